"""A network from its file to its answers: what the file says, how its graph is rewritten, sessions that run it.

Nothing here knows a clip or a run, or composites a pixel.
"""
