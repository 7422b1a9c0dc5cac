"""Model kinds: what a network of the family is fed and what it gives back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from actors.core.choices import AudioSource, Interpolation, Loop
from actors.core.clip import FaceBox
from actors.core.mel import BANDS, WINDOW_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """The contract of one kind of network.

    Attributes:
        name: what users call it; its module in `actors.kinds` has the same, with underscores.
        crop: side in pixels that the face box is resized to.
        inner: side in pixels of the network's image input, centred in the crop.
        mask: ``(x, y, width, height)`` of the rectangle blacked out in the masked copy of the inner region.
        masked_first: whether the masked copy is planes 0 to 2 and the reference 3 to 5; else the other way round.
        value_range: what black and white are to the network, in its planes and in its prediction.
        crop_filter: filter of the resize from face to crop, unless the user names another.
        paste_filter: filter of the resize back; what it gives is pasted with hard edges.
        square: whether faces are meant to be square; one that is not is stretched.
        loop: how backgrounds repeat, unless the user says otherwise.
        audio_source: where its audio can come from.
        feature: shape of one audio feature row.
        features_file: name under which a clip folder holds its own features; ``None`` where they have no such name.
        rows: feature rows in one audio window; half of them, rounded down, lie before the output frame's own row.
        audio: shape of the audio tensor of one frame, a row-major view of the window.
        fps: output frames per second, one feature row each.

    Raises:
        ValueError: its parts contradict each other.
    """

    name: str
    crop: int
    inner: int
    mask: tuple[int, int, int, int]
    masked_first: bool
    value_range: tuple[float, float]
    crop_filter: Interpolation
    paste_filter: Interpolation
    square: bool
    loop: Loop
    audio_source: AudioSource
    feature: tuple[int, ...]
    features_file: str | None
    rows: int
    audio: tuple[int, ...]
    fps: int

    def __post_init__(self) -> None:
        x, y, width, height = self.mask
        black, white = self.value_range
        mel = (self.feature, self.rows) == ((BANDS, WINDOW_ROWS), 1)
        rules = {
            "its name is words and numbers with dashes between": re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name),
            "its inner region lies in the middle of its crop": self.crop >= self.inner > 0
            and (self.crop - self.inner) % 2 == 0,
            "its mask lies within its inner region": FaceBox(x, y, x + width, y + height).inside(
                self.inner, self.inner
            ),
            "black is less than white": black < white,
            "its window fills its audio tensor": 0 < self.rows * math.prod(self.feature) == math.prod(self.audio),
            "its rows are mel windows if its audio source is mel": mel or self.audio_source is not AudioSource.MEL,
            "it has frames": self.fps > 0,
        }
        for rule, holds in rules.items():
            if not holds:
                raise ValueError(f"{self.name}: it is not so that {rule}")

    @property
    def border(self) -> int:
        """Pixels of the crop on each side that are not input of the network."""
        return (self.crop - self.inner) // 2

    @property
    def planes(self) -> tuple[int, int, int]:
        """Shape of one frame's image tensor: two times B, G, R, the reference and the masked copy of it."""
        return (6, self.inner, self.inner)

    @property
    def output(self) -> tuple[int, int, int]:
        """Shape of one frame's prediction: B, G, R."""
        return (3, self.inner, self.inner)


@dataclass(frozen=True, slots=True)
class FaceTensor:
    """What a network makes of the picture alone, and reads where it joins picture and sound.

    Attributes:
        name: in the graph.
        sides: planes, rows and columns of one frame's, float32.
    """

    name: str
    sides: tuple[int, int, int]

    @property
    def bytes(self) -> int:
        """Bytes of one frame's."""
        return 4 * math.prod(self.sides)


@dataclass(frozen=True, slots=True)
class ModelTensors:
    """An export bound to its kind: which tensor is which, found by shape.

    Attributes:
        image: name of the input that takes the six planes.
        audio: name of the input that takes the audio window.
        output: name of the output with the three predicted planes.
        batch: the batch the graph is fixed to, or ``None`` when any batch will do.
        opset: version of the default operator set.
        external: files beside the model that hold weights, by name.
        face: tensors worth keeping with each background, see `actors.network.face_encoder`; empty where none are.
        plain: whether its graph alone tells that it ends and what memory it takes; see `actors.network.size_bounds`.
        quantised: operators by which it is quantised; empty where it is not.
    """

    image: str
    audio: str
    output: str
    batch: int | None
    opset: int
    external: tuple[str, ...]
    face: tuple[FaceTensor, ...] = ()
    plain: bool = True
    quantised: tuple[str, ...] = ()

    @property
    def face_bytes(self) -> int:
        """Bytes of one background's face tensors."""
        return sum(tensor.bytes for tensor in self.face)
