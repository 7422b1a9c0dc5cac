"""What a user can choose between, each with its words on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import cv2


class AudioSource(StrEnum):
    """Where the audio of a kind can come from."""

    FEATURES = "features"
    """Files of features alone: they are made elsewhere, by a speech model of another sort."""
    ENCODER = "encoder"
    """Files of features, or an encoder of mel windows and a recording."""
    MEL = "mel"
    """The recording itself: its rows are the mel windows of `actors.core.mel.mel_windows`."""


class Device(StrEnum):
    """What a network runs on."""

    CPU = "cpu"
    CUDA = "cuda"

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of it, which records and timing tables hold."""
        return {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[self.value]

    @classmethod
    def of_provider(cls, provider: str) -> Device:
        """The device of a provider.

        Raises:
            ValueError: it is neither.
        """
        for device in cls:
            if device.provider == provider:
                return device
        raise ValueError(f"there is no provider {provider}")


# What Linux shows of NVIDIA's driver, itself or under Windows.
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")


class Precision(StrEnum):
    """The compute precision: the numbers that a network calculates with. Its inputs and outputs stay float32."""

    FP32 = "fp32"
    FP16 = "fp16"


@dataclass(frozen=True, slots=True)
class GpuTuning:
    """Options of a CUDA session by which it may be quicker; without them it is plain.

    They change how a network is calculated, not what: each is used where answers are compared with a plain session's.

    Attributes:
        fused_nhwc: convolutions keep channels last and take their bias and ReLU with them. One without the other is
            slower than neither: ONNX Runtime then transposes tensors, or leaves Tensor Cores for the fusion.
        heuristic_search: cuDNN's first guess at each convolution's algorithm is taken.
        graph: the kernels of a batch are captured once and launched together from then on.
    """

    fused_nhwc: bool = False
    heuristic_search: bool = False
    graph: bool = False

    def __str__(self) -> str:
        words = {"NHWC with fused bias": self.fused_nhwc, "heuristic search": self.heuristic_search}
        return ", ".join(word for word, used in {**words, "CUDA graph": self.graph}.items() if used) or "plain"


PLAIN = GpuTuning()


class Interpolation(StrEnum):
    """Filter of a resize, from face box to crop or from crop back to face box."""

    CUBIC = "cubic"
    LINEAR = "linear"
    AREA = "area"

    @property
    def flag(self) -> int:
        """OpenCV's constant."""
        return {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[self.value]


class Loop(StrEnum):
    """How backgrounds repeat when there are more output frames than backgrounds."""

    BOUNCE = "bounce"
    MIRROR = "mirror"
    WRAP = "wrap"
    ONCE = "once"


class Blend(StrEnum):
    """How the finished patch meets the frame."""

    HARD = "hard"
    FEATHER = "feather"


class FaceRule(StrEnum):
    """Which face of a shot is dubbed."""

    LARGEST = "largest"
    """The one that covers most pixels over the shot."""
    LEFT = "left"
    """The one whose mean place is furthest to the left of the picture."""
    RIGHT = "right"
    """The one whose mean place is furthest to the right of the picture."""


# What `--face` takes, as a regular expression: a rule, or the number of a face.
FACE = f"{'|'.join(FaceRule)}|[1-9][0-9]{{0,8}}"


class Covered(StrEnum):
    """What is shown where something covers the mouth."""

    RENDER = "render"
    PASSTHROUGH = "passthrough"


class ImageFormat(StrEnum):
    """What frames are written as; ``none`` writes no frame files."""

    PNG = "png"
    JPG = "jpg"
    WEBP = "webp"
    NONE = "none"


# OpenCV's scale for WebP: above 100 means lossless.
_WEBP_LOSSLESS = 101


@dataclass(frozen=True, slots=True)
class Delivery:
    """What finished frames become.

    Attributes:
        image_format: format of the frame files.
        quality: 1..100 for jpg and webp (webp above 100: lossless); ignored for png, which is lossless.
        video: whether each range is also encoded into a segment of a video.
        aspect: width of a pixel over its height, which the video says.
    """

    image_format: ImageFormat
    quality: int
    video: bool
    aspect: Fraction = Fraction(1)


def default_quality(image_format: ImageFormat) -> int:
    """The quality used when none is given: 95 for jpg, lossless for webp; png has none."""
    return {ImageFormat.JPG: 95, ImageFormat.WEBP: _WEBP_LOSSLESS}.get(image_format, 0)
