"""Many clips in one command: the rows of a manifest, and what becomes of each.

How one clip is rendered is not known here.
"""
