"""How many clips are open at once. Pure."""

from __future__ import annotations

from collections.abc import Collection

# Clips are opened until so many frames for each worker are left of those that are open: that is a second's work or so,
# and the next clips' backgrounds are loaded meanwhile. At least, and at most, so many clips.
AHEAD_FRAMES, LEAST_OPEN, MOST_OPEN = 256, 2, 64

# No clip is opened that stands more than so many rows behind one that has begun and not ended: the network of that one
# may have no worker yet, and gets one when there is nothing else to do.
MOST_BEHIND = 64


def opens_more(number: int, begun: Collection[int], frames: int, workers: int) -> bool:
    """Whether another clip is opened now.

    Args:
        number: place of its row.
        begun: those of the clips that are open, or about to be.
        frames: that are left of these.
        workers: that there are or will be.
    """
    if begun and number > min(begun) + MOST_BEHIND:
        return False
    return len(begun) < LEAST_OPEN or (len(begun) < MOST_OPEN and frames <= AHEAD_FRAMES * workers)
