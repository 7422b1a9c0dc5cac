"""What drives the mouth: a sequence of feature rows or ready-made windows, and the audio tensors cut from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from actors.core.kind import ModelKind


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """Either features or windows are given; their length is the number of output frames.

    Attributes:
        features: ``(T, *kind.feature)`` float32, one row per output frame.
        windows: ``(N, *kind.audio)`` float32, one tensor per output frame (binary export).
        opacities: ``(T,)`` uint8 in 255ths, how much of the rendered face each output frame shows: less where nobody
            speaks or the background shows no face; ``None`` shows all of it everywhere.
    """

    features: NDArray[np.float32] | None
    windows: NDArray[np.float32] | None
    opacities: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rows(self) -> NDArray[np.float32]:
        """Whichever of the two is given."""
        rows = self.features if self.features is not None else self.windows
        if rows is None:
            raise ValueError("an audio track needs features or windows")
        return rows

    def opacity(self, frame: int) -> int:
        """How much of the rendered face an output frame shows, in 255ths; where it is 0 the network need not run."""
        return 255 if self.opacities is None else int(self.opacities[frame])

    def tensors(self, start: int, stop: int, kind: ModelKind) -> NDArray[np.float32]:
        """The audio tensors ``(stop - start, *kind.audio)`` of output frames ``start <= i < stop``."""
        if self.features is not None:
            return audio_windows(self.features, start, stop, kind)
        return self.rows[start:stop]


def audio_windows(features: NDArray[np.float32], start: int, stop: int, kind: ModelKind) -> NDArray[np.float32]:
    """The audio tensors of output frames ``start <= i < stop``.

    The window of frame ``i`` holds ``rows`` feature rows from ``i - rows // 2`` on; rows before the first and after
    the last are zeros (not copies of the edge), as in the network's training.

    Args:
        features: ``(T, *kind.feature)`` float32.
        start: first output frame, ``0 <= start``.
        stop: end of the output frames, ``start < stop <= T``.
        kind: says how many rows a window has and which shape the network wants.

    Returns:
        ``(stop - start, *kind.audio)`` float32, a row-major view of each window.
    """
    first = start - kind.rows // 2
    last = first + stop - start - 1 + kind.rows
    padded = np.zeros((last - first, *features.shape[1:]), np.float32)
    inside = slice(max(first, 0), min(last, len(features)))
    padded[inside.start - first : inside.stop - first] = features[inside]
    windows = [padded[i : i + kind.rows].reshape(kind.audio) for i in range(stop - start)]
    return np.stack(windows)
