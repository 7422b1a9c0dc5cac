"""How a run is laid out before it begins: blocks of backgrounds, ranges of frames, what workers and loaders are told.

Nothing here talks to Ray.
"""
