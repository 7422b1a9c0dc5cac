"""Where somebody speaks in a recording, and how much of the rendered face each output frame shows for it.

Speech is told from silence by its level alone, after ITU-T P.56 (method B): the active speech level is the mean power
over the time in which sound is within 15.9 dB of that same level or was so less than 0.2 s ago. The measure looks at
the whole recording, so it does not depend on which of its frames are rendered, and where.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.core.fading import as_opacities, fading

# Samples per second that levels are measured at, and levels per second.
RATE = 16_000
HOPS_PER_SECOND = 100

_HOP = RATE // HOPS_PER_SECOND
# Takes out hum and rumble, which carry no speech; the same as the mel front end's.
_EMPHASIS = 0.97

# P.56, clause 6: the threshold lies so far below the active speech level, and activity goes on so long behind it.
_MARGIN_DB = 15.9
_HANG = 0.2

# Speech that has begun goes on down to so far below the threshold: voices trail off.
_HYSTERESIS_DB = 6.0
# The mouth opens before anything is heard.
_LEAD = 0.08

# Below there is no speech, whatever the recording; full scale is 0 dB.
_FLOOR_DB = -70.0
_STEP_DB = 0.5

# Seconds. Shorter pauses are rendered, so that the face does not flicker between two words.
_SHORTEST_PAUSE = 0.4


class Silence(StrEnum):
    """What is shown where nobody speaks."""

    RENDER = "render"
    PASSTHROUGH = "passthrough"


def hop_powers(chunks: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The power of a recording's pre-emphasised sound (``y[n] = x[n] - 0.97 x[n-1]``), every 10 ms.

    Args:
        chunks: one recording, ``(n,)`` each in [-1, 1] at `RATE`; how it is cut changes no bit.

    Returns:
        ``(hops,)``, mean squares; the last hop is filled up with silence.
    """
    powers = [np.zeros(0)]
    pending, last = np.zeros(0), 0.0
    for chunk in chunks:
        if not len(chunk):
            continue
        sound = chunk.astype(np.float64)
        pending = np.concatenate([pending, sound - _EMPHASIS * np.concatenate([[last], sound[:-1]])])
        last = float(sound[-1])
        whole = len(pending) // _HOP * _HOP
        powers.append(_powers(pending[:whole]))
        pending = pending[whole:]
    powers.append(_powers(np.pad(pending, (0, -len(pending) % _HOP))))
    return np.concatenate(powers)


def speech_hops(powers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tells for each hop whether somebody speaks.

    Args:
        powers: of a whole recording, from `hop_powers`.

    Returns:
        ``(hops,)``; all false where nothing is above -70 dB of full scale.
    """
    # Over 30 ms, the time constant of P.56's envelope.
    around = np.pad(powers, 1)
    smoothed = (around[:-2] + around[1:-1] + around[2:]) / 3
    levels = 10 * np.log10(np.maximum(smoothed, 1e-12))
    threshold = _threshold(levels, float(powers.sum()))
    held = _reaching(levels >= threshold - _HYSTERESIS_DB, levels >= threshold)
    return _lengthened(held, before=round(_LEAD * HOPS_PER_SECOND), behind=round(_HANG * HOPS_PER_SECOND))


def mouth_opacities(speaking: NDArray[np.bool_], frames: int, fps: int) -> NDArray[np.uint8]:
    """How much of the rendered face each output frame shows; the rest is the background's own.

    Frames with speech in them show all of it, and so do pauses of less than 0.4 s. Beside these it fades evenly to
    nothing within 0.16 s.

    Args:
        speaking: for each hop, from `speech_hops`; behind its end there is silence.
        frames: output frames, at least 1.
        fps: output frames per second.

    Returns:
        ``(frames,)`` in 255ths, weights as in `actors.core.blend`: 0 shows the background alone.
    """
    # A frame has the hops that begin or end while it is shown.
    edges = np.minimum(np.arange(frames + 1) * HOPS_PER_SECOND, len(speaking) * fps)
    counted = np.concatenate([[0], np.cumsum(speaking)])
    spoken = np.flatnonzero(counted[-(-edges[1:] // fps)] > counted[edges[:-1] // fps])
    shown = np.zeros(frames, np.bool_)
    shown[spoken] = True
    ends = [-1, *spoken.tolist(), frames] if len(spoken) else []
    for before, after in pairwise(ends):
        if after - before - 1 < round(_SHORTEST_PAUSE * fps):
            shown[before + 1 : after] = True
    return as_opacities(fading(shown, fps))


def _powers(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.square(sound).reshape(-1, _HOP).mean(axis=1))


def _threshold(levels: NDArray[np.float64], energy: float) -> float:
    """The least level of speech in dB: so far below the active speech level that it gives."""
    threshold = _FLOOR_DB
    while (active := int(_lengthened(levels >= threshold, before=0, behind=round(_HANG * HOPS_PER_SECOND)).sum())) > 0:
        if 10 * np.log10(energy / active) - threshold <= _MARGIN_DB:
            break
        threshold += _STEP_DB
    return threshold


def _reaching(low: NDArray[np.bool_], high: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those runs of ``low`` in which there is a ``high``."""
    run = np.cumsum(np.diff(low, prepend=False))
    return low & np.isin(run, run[high])


def _lengthened(active: NDArray[np.bool_], *, before: int, behind: int) -> NDArray[np.bool_]:
    """Activity that begins some hops earlier and ends some later."""
    counted = np.concatenate([np.zeros(behind + 1, np.int64), np.cumsum(np.pad(active, (0, before)))])
    return counted[before + behind + 1 :] > counted[: len(active)]
