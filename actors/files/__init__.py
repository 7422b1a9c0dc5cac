"""The way to files: every read, write, digest and name goes through here. Nothing here decodes or calculates pixels."""
