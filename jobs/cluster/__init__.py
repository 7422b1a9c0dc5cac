"""Ray: found, joined or started; the resources of its nodes; the placement of workers on them.

Nothing here knows which frames are rendered.
"""
