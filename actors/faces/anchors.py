"""Where BlazeFace looks for faces."""

from __future__ import annotations

from functools import cache

import numpy as np

from actors.faces.detections import Floats

# Cells a side of its two feature maps, and how many anchors each cell has. The paper (Bazarevsky et al. 2019, section
# 3.3) stops at 8 x 8 cells and puts all anchors of the finer maps that others have there.
MAPS = ((16, 2), (8, 6))
ANCHORS = sum(cells * cells * each for cells, each in MAPS)


@cache
def anchors() -> Floats:
    """The centres of all 896 anchors, ``(896, 2)`` float32 x and y in (0, 1), in the order of the network's outputs.

    The order is that of maps, rows, columns. An anchor has no size of its own. Both detectors have the same: their
    strides are 8 and 16 pixels of 128, and 16 and 32 of 256.
    """
    maps = []
    for cells, each in MAPS:
        centres = (np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells)
        y, x = np.meshgrid(centres, centres, indexing="ij")
        maps.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), each, axis=0))
    found = np.concatenate(maps)
    found.flags.writeable = False
    return found
