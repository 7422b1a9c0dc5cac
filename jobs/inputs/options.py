"""The options of a render: one validated value, the same names in flags, file, run.json and messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actors.core.choices import (
    FACE,
    Blend,
    Covered,
    Delivery,
    ImageFormat,
    Interpolation,
    Loop,
    Precision,
    default_quality,
)
from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.core.voice_activity import Silence
from jobs.inputs.option_words import must_be
from jobs.inputs.options_file import PATHS, read_config

# Pydantic's words for what people meet most, in ours.
MESSAGES = {"missing": "must be given", "extra_forbidden": "there is no such option"}


@dataclass(frozen=True, slots=True)
class Decides:
    """Which parts of a run's identity an option decides: such an option cannot change between runs into one folder.

    Attributes:
        identity: keys of `jobs.inputs.inputs.Inputs.identity`; none where no pixel depends on the option.
    """

    identity: tuple[str, ...] = ()


class DeviceChoice(StrEnum):
    """Where to run the network."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class CompositeOptions(BaseModel):
    """Everything `composite` can be told. A field's name is its flag's name with dashes.

    Raises:
        ValueError: (pydantic's ValidationError) a value is out of range or two options contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: Annotated[str, Decides(("clip",))]
    model: Annotated[str, Decides(("model", "kind", "output"))]
    kind: Annotated[str | None, Decides(("kind",))] = None
    output: Annotated[str | None, Decides(("output",))] = None
    out: Annotated[str, Decides()]
    features: Annotated[str | None, Decides(("features",))] = None
    encoder: Annotated[str | None, Decides(("features",))] = None
    rects: Annotated[str | None, Decides(("rects",))] = None
    rect: Annotated[
        str | None, Decides(("rects",)), Field(pattern=r"^([0-9]{1,9},){2}0*[1-9][0-9]{0,8},0*[1-9][0-9]{0,8}$")
    ] = None
    faces: Annotated[str | None, Decides(("rects",))] = None
    face: Annotated[str | None, Decides(("rects",)), Field(pattern=rf"^({FACE})$")] = None
    face_at: Annotated[str | None, Decides(("rects",)), Field(pattern=r"^[0-9]{1,9},[0-9]{1,9}(,[0-9]{1,9})?$")] = None
    face_gap: Annotated[float, Decides(("rects",)), Field(ge=0, le=60, allow_inf_nan=False)] = 0.2
    covered: Annotated[Covered, Decides(("rects",))] = Covered.RENDER
    detector: Annotated[str | None, Decides(("rects",))] = None
    pads: Annotated[str | None, Decides(("rects",)), Field(pattern=r"^[0-9]{1,4}(,[0-9]{1,4}){3}$")] = None
    like: Annotated[str | None, Decides(("rects",))] = None
    frames: Annotated[str | None, Decides(), Field(pattern=r"^[0-9]{0,12}:[0-9]{0,12}$")] = None
    workers: Annotated[int | None, Decides(), Field(ge=1, le=4096)] = None
    threads: Annotated[int | None, Decides(), Field(ge=1, le=1024)] = None
    batch: Annotated[int | None, Decides(), Field(ge=1, le=256)] = None
    gpus_per_worker: Annotated[float | None, Decides(), Field(gt=0, le=64)] = None
    tuned: Annotated[bool, Decides()] = True
    device: Annotated[DeviceChoice, Decides(("device",))] = DeviceChoice.AUTO
    precision: Annotated[Precision, Decides(("precision",))] = Precision.FP32
    format: Annotated[ImageFormat, Decides(("format",))] = ImageFormat.PNG
    quality: Annotated[int | None, Decides(("quality",)), Field(ge=1, le=101)] = None
    video: Annotated[bool, Decides()] = False
    audio: Annotated[str | None, Decides(("features", "silence"))] = None
    silence: Annotated[Silence, Decides(("silence",))] = Silence.RENDER
    loop: Annotated[Loop | None, Decides(("loop",))] = None
    retime: Annotated[bool, Decides(("retime",))] = False
    interpolation: Annotated[Interpolation | None, Decides(("interpolation",))] = None
    blend: Annotated[Blend, Decides(("blend",))] = Blend.HARD
    colour_match: Annotated[bool, Decides(("colour_match",))] = False
    smooth_crops: Annotated[bool, Decides(("smooth_crops",))] = False
    parsing: Annotated[str | None, Decides(("parsing",))] = None
    composite: Annotated[bool, Decides(("composite", "format"))] = True
    address: Annotated[str | None, Decides()] = None
    restart: Annotated[bool, Decides()] = False
    wait: Annotated[float, Decides(), Field(gt=0, allow_inf_nan=False)] = 900.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        share = self.gpus_per_worker
        if share is not None and share > 1 and share != int(share):
            raise ValueError("gpus-per-worker: above 1 it must be a whole number")
        if self.rects and self.rect:
            raise ValueError("rects and rect: give one of them")
        if self.face and self.face_at:
            raise ValueError("face-at: a face is chosen already; give --face or --face-at")
        if self.like and self.pads:
            raise ValueError("pads: boxes are made like the avatar's own; leave it out with --like")
        if self.faces and self.detector:
            raise ValueError("detector: the faces have been found already; leave it out with --faces")
        if self.encoder and self.features:
            raise ValueError("encoder: features are given already; give one of them")
        if self.quality is not None and self.format not in {ImageFormat.JPG, ImageFormat.WEBP}:
            raise ValueError(f"quality: {self.format.value} has none; use --format jpg or webp")
        if self.quality == 101 and self.format is ImageFormat.JPG:
            raise ValueError("quality: jpg goes up to 100")
        return self

    @model_validator(mode="after")
    def _composite(self) -> Self:
        if self.composite:
            return self
        if self.video:
            raise ValueError("video: there is nothing to show with --no-composite")
        if self.finds_silence:
            raise ValueError("silence: there is nothing to show with --no-composite")
        pasted = {"blend": self.blend is not Blend.HARD, "colour-match": self.colour_match, "parsing": self.parsing}
        for name, given in pasted.items():
            if given:
                raise ValueError(f"{name}: nothing is pasted with --no-composite")
        return self

    @property
    def inputs(self) -> dict[str, str]:
        """The paths of what a run is made of as given, by their flags, "" for the clip."""
        given = {name: getattr(self, name) for name in sorted(PATHS - {"out"})}
        return {"" if name == "clip" else f"--{name}": path for name, path in given.items() if path is not None}

    @property
    def face_flags(self) -> tuple[str, ...]:
        """Flags given that are about faces that are found; where a clip has its own boxes they mean nothing."""
        named = ("faces", "face", "face_at", "detector", "pads", "like")
        given = [name for name in named if getattr(self, name) is not None]
        given += [name for name in ("face_gap", "covered") if name in self.model_fields_set]
        return tuple(f"--{name.replace('_', '-')}" for name in given)

    @property
    def face_options(self) -> tuple[object, ...]:
        """The values of all options that decide which face boxes are found on which footage."""
        return (
            *(self.clip, self.faces, self.face, self.face_at, self.face_gap, self.covered),
            *(self.detector, self.pads, self.like),
        )

    @property
    def face_box(self) -> FaceBox | None:
        """``--rect X,Y,W,H`` as a half-open rectangle."""
        if self.rect is None:
            return None
        x, y, width, height = map(int, self.rect.split(","))
        return FaceBox(x, y, x + width, y + height)

    def filters(self, kind: ModelKind) -> tuple[Interpolation, Interpolation]:
        """Filters of the resizes from face to crop and back: the one that was asked for, else the kind's own."""
        if self.interpolation is not None:
            return self.interpolation, self.interpolation
        return kind.crop_filter, kind.paste_filter

    @property
    def image_quality(self) -> int:
        """The quality in force."""
        return default_quality(self.format) if self.quality is None else self.quality

    @property
    def image_format(self) -> ImageFormat:
        """The format in force: none when nothing is composited."""
        return self.format if self.composite else ImageFormat.NONE

    @property
    def finds_silence(self) -> bool:
        """Whether silence in the recording decides what is shown."""
        return self.silence is not Silence.RENDER

    @property
    def layout_given(self) -> bool:
        """Whether the user says anything about how workers are laid out."""
        return any(given is not None for given in (self.workers, self.threads, self.batch, self.gpus_per_worker))

    @property
    def delivery(self) -> Delivery | None:
        """What finished frames become; ``None`` when nothing is composited."""
        return Delivery(self.format, self.image_quality, self.video) if self.composite else None

    def frame_range(self, length: int) -> tuple[int, int]:
        """The output frames to render, half-open, of ``length`` there are.

        Raises:
            InputError: the range is empty or reaches past the end.
        """
        first, _, last = (self.frames or ":").partition(":")
        start, stop = int(first or 0), int(last) if last else length
        if not 0 <= start < stop <= length:
            raise InputError(
                f"--frames {self.frames}", f"there are {length} output frames", f"stay within 0:{length}, start first"
            )
        return start, stop


def load_options(flags: dict[str, Any], config: str | None) -> CompositeOptions:
    """Merges flags with a TOML file of the same names; a flag beats the file.

    Args:
        flags: options given on the command line; those not given are absent.
        config: path of the file, if any.

    Raises:
        InputError: the file cannot be read, or a value is not valid.
    """
    fields = CompositeOptions.model_fields
    values = {**({} if config is None else read_config(config, fields)), **flags}
    try:
        return CompositeOptions.model_validate(values)
    except ValidationError as error:
        # A misspelt name explains a missing one, so it comes first, and what is missing last.
        order = {"extra_forbidden": 0, "missing": 2}
        first = min(error.errors(), key=lambda fault: order.get(fault["type"], 1))
        if not first["loc"]:
            name, _, problem = first["msg"].removeprefix("Value error, ").partition(": ")
            name = name.replace("-", "_")
        else:
            name = str(first["loc"][0])
            given = name in fields and values.get(name) is not None
            problem = must_be(name, fields[name]) if given else MESSAGES.get(first["type"], "must be given")
        flag = f"--{name.replace('_', '-')}"
        if config is not None and name in values and name not in flags:
            raise InputError(f"{config}: {name}", problem, "mend it there") from error
        raise InputError("clip" if name == "clip" else flag, problem, "see --help") from error
