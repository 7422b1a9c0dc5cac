"""What a command is given: its options, and the clip, network and sound that they name, read and checked together.

Nothing here is started or written.
"""
