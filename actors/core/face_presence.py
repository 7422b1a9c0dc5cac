"""How much of the rendered face output frames show where the clip has frames without a face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.core.fading import as_opacities, fading


def face_opacities(has_face: NDArray[np.bool_], fps: int) -> NDArray[np.uint8]:
    """How much of the rendered face each output frame shows; the rest is the background's own.

    Frames without a face show nothing of it. The fade beside them is that of `actors.core.voice_activity`, but it lies
    in the frames with a face, because there is nothing to be faded in the others.

    Args:
        has_face: ``(frames,)``, whether the background of each output frame shows the face.
        fps: output frames per second.

    Returns:
        ``(frames,)`` in 255ths: 0 exactly where there is no face, 255 from 0.16 s away from these frames on.
    """
    return as_opacities(1 - fading(~has_face, fps))
