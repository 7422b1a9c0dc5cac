"""Who renders what when: a pure state machine decides, and one loop does what it says on Ray.

Nothing here knows options, folders or how a frame is made.
"""
