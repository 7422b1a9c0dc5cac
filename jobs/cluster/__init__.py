"""Ray as a place to work: found, joined or started, its resources, and how workers are placed on it.

Nothing here knows which frames are rendered.
"""
