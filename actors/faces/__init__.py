"""Faces found on frames: a detector says where they are, a mesh of 468 points what shape they have.

What is found on a frame depends on that frame alone. Nothing here knows which face is wanted, or follows one in time.
"""
