"""Which of the 512 audio features the demo's mouth listens to: what the voice writes, the model reads."""

# How far the mouth is open: 0 closed, 1 wide open.
OPENING = 0
# How the lips are drawn: -1 rounded as for "oo", 0 at rest, 1 spread as for "ee".
SPREAD = 1
# The other features carry the sound's spectrum for the eye of whoever plots them; the mouth ignores them.
SPECTRUM = slice(2, 512)
