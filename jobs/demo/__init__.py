"""The self-made demo: a drawn presenter, a synthetic voice and the clip folder they are written as."""
