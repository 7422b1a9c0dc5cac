"""Model kinds: what a network of the family is fed and what it gives back."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ModelKind:
    """The contract of one kind of network.

    Attributes:
        name: what users call it.
        crop: side in pixels that the face square is resized to.
        inner: side in pixels of the region the network sees, centred in the crop.
        mask: ``(x, y, width, height)`` of the rectangle blacked out in the masked copy of the inner region.
        feature: shape of one audio feature row.
        rows: feature rows in one audio window; half of them lie before the output frame's own row.
        audio: shape of the audio tensor of one frame, a row-major view of the window.
        fps: output frames per second, one feature row each.
    """

    name: str
    crop: int
    inner: int
    mask: tuple[int, int, int, int]
    feature: tuple[int, ...]
    rows: int
    audio: tuple[int, ...]
    fps: int

    @property
    def border(self) -> int:
        """Pixels of the crop on each side that the network never sees."""
        return (self.crop - self.inner) // 2

    @property
    def planes(self) -> tuple[int, int, int]:
        """Shape of one frame's image tensor: reference B, G, R, then masked B, G, R."""
        return (6, self.inner, self.inner)

    @property
    def output(self) -> tuple[int, int, int]:
        """Shape of one frame's prediction: B, G, R in [0, 1]."""
        return (3, self.inner, self.inner)


class Precision(StrEnum):
    """The numbers that a network calculates with; what it takes and gives stays float32."""

    FP32 = "fp32"
    FP16 = "fp16"


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
    """

    image: str
    audio: str
    output: str
    batch: int | None
    opset: int
    external: tuple[str, ...]


UNET_328 = ModelKind(
    name="unet-328-ave",
    crop=328,
    inner=320,
    mask=(5, 5, 310, 305),
    feature=(512,),
    rows=16,
    audio=(32, 16, 16),
    fps=25,
)
