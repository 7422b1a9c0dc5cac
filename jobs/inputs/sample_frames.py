"""A few frames of a clip as the network's input, to try the network on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.core.audio_track import AudioTrack
from actors.core.clip import Clip
from actors.core.kind import ModelKind
from actors.rendering.blocks import BlockRequest, load_block, network_view


def sample_frames(
    clip: Clip, kind: ModelKind, rows: NDArray[np.float32] | None, count: int
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The network's input for some frames with a face, spread over the clip; without features its audio is zeros.

    Args:
        clip: where the pictures come from.
        kind: the network.
        rows: what drives the mouth: feature rows, or ready-made windows ``(T, *kind.audio)``.
        count: how many frames, at least 1.

    Returns:
        Pictures as `actors.network.session.Session.run` takes them, ``(count, ...)`` uint8 or float32, and
        ``(count, *kind.audio)`` float32.

    Raises:
        InputError: a picture cannot be read.
    """
    source = clip.frames if clip.frames is not None else clip.planes
    if source is None:
        raise ValueError("a clip has frames or planes")
    images, sounds = [], []
    track = None
    if rows is not None:
        windows = rows.shape[1:] == kind.audio
        track = AudioTrack(None if windows else rows, rows if windows else None)
    faces = clip.faces
    for place in range(count):
        shown = faces[place * len(faces) // count]
        boxes = (clip.boxes or ())[shown : shown + 1]
        request = BlockRequest(shown, source.part(shown, shown + 1), boxes, kind.crop_filter)
        images.append(network_view(load_block(request, kind)[0], 0, kind))
        frame = 0 if track is None else place * len(track) // count
        sounds.append(np.zeros(kind.audio, np.float32) if track is None else track.tensors(frame, frame + 1, kind)[0])
    return np.stack(images), np.stack(sounds)
