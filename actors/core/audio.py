"""What drives the mouth: a sequence of feature rows, or ready-made windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actors.core.timeline import audio_windows

if TYPE_CHECKING:
    from actors.core.kind import ModelKind


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """Either features or windows are given; their length is the number of output frames.

    Attributes:
        features: ``(T, *kind.feature)`` float32, one row per output frame.
        windows: ``(N, *kind.audio)`` float32, one tensor per output frame (binary export).
        shares: ``(T,)`` uint8 in 255ths, how much of the rendered face each output frame shows, from
            `actors.core.activity.rendered_shares`; ``None`` shows all of it everywhere.
    """

    features: NDArray[np.float32] | None
    windows: NDArray[np.float32] | None
    shares: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rows(self) -> NDArray[np.float32]:
        """Whichever of the two is given."""
        rows = self.features if self.features is not None else self.windows
        if rows is None:
            raise ValueError("an audio track needs features or windows")
        return rows

    def share(self, frame: int) -> int:
        """How much of the rendered face an output frame shows, in 255ths; where it is 0 the network need not run."""
        return 255 if self.shares is None else int(self.shares[frame])

    def tensors(self, start: int, stop: int, kind: ModelKind) -> NDArray[np.float32]:
        """The audio tensors ``(stop - start, *kind.audio)`` of output frames ``start <= i < stop``."""
        if self.features is not None:
            return audio_windows(self.features, start, stop, kind)
        return self.rows[start:stop]
