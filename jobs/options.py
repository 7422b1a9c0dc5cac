"""The options of a render: one validated value, the same names in flags, file, run.json and messages."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actors.core.clip import FaceRect
from actors.core.errors import InputError
from actors.core.pixels import Interpolation
from actors.core.timeline import Loop
from actors.encoding import ImageFormat, default_quality

# Pydantic's words for what people meet most, in ours.
MESSAGES = {"missing": "must be given", "extra_forbidden": "there is no such option"}


class Effect(StrEnum):
    """Whether an option changes pixels: such an option cannot change between runs into one folder."""

    PIXELS = "pixels"
    NOTHING = "nothing"


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

    clip: Annotated[str, Effect.PIXELS]
    model: Annotated[str, Effect.PIXELS]
    out: Annotated[str, Effect.NOTHING]
    features: Annotated[str | None, Effect.PIXELS] = None
    rects: Annotated[str | None, Effect.PIXELS] = None
    rect: Annotated[str | None, Effect.PIXELS, Field(pattern=r"^\d+,\d+,\d+,\d+$")] = None
    frames: Annotated[str | None, Effect.NOTHING, Field(pattern=r"^\d*:\d*$")] = None
    workers: Annotated[int | None, Effect.NOTHING, Field(ge=1, le=4096)] = None
    batch: Annotated[int | None, Effect.NOTHING, Field(ge=1, le=256)] = None
    gpus_per_worker: Annotated[float, Effect.NOTHING, Field(gt=0, le=64)] = 0.25
    device: Annotated[DeviceChoice, Effect.PIXELS] = DeviceChoice.AUTO
    format: Annotated[ImageFormat, Effect.PIXELS] = ImageFormat.PNG
    quality: Annotated[int | None, Effect.PIXELS, Field(ge=1, le=101)] = None
    video: Annotated[bool, Effect.NOTHING] = False
    audio: Annotated[str | None, Effect.NOTHING] = None
    loop: Annotated[Loop | None, Effect.PIXELS] = None
    interpolation: Annotated[Interpolation, Effect.PIXELS] = Interpolation.CUBIC
    composite: Annotated[bool, Effect.PIXELS] = True
    address: Annotated[str | None, Effect.NOTHING] = None
    restart: Annotated[bool, Effect.NOTHING] = False
    wait: Annotated[float, Effect.NOTHING, Field(gt=0, allow_inf_nan=False)] = 900.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.gpus_per_worker > 1 and self.gpus_per_worker != int(self.gpus_per_worker):
            raise ValueError("gpus-per-worker: above 1 it must be a whole number")
        if self.rects and self.rect:
            raise ValueError("rects and rect: give one of them")
        if self.audio and not self.video:
            raise ValueError("audio: sound goes into the video only; add --video")
        if self.video and not self.composite:
            raise ValueError("video: there is nothing to show with --no-composite")
        if self.quality is not None and self.format not in {ImageFormat.JPG, ImageFormat.WEBP}:
            raise ValueError(f"quality: {self.format.value} has none; use --format jpg or webp")
        if self.quality == 101 and self.format is ImageFormat.JPG:
            raise ValueError("quality: jpg goes up to 100")
        return self

    @property
    def face_rect(self) -> FaceRect | None:
        """``--rect X,Y,W,H`` as a half-open rectangle."""
        if self.rect is None:
            return None
        x, y, width, height = map(int, self.rect.split(","))
        return FaceRect(x, y, x + width, y + height)

    @property
    def image_quality(self) -> int:
        """The quality in force."""
        return default_quality(self.format) if self.quality is None else self.quality

    @property
    def image_format(self) -> ImageFormat:
        """The format in force: none when nothing is composited."""
        return self.format if self.composite else ImageFormat.NONE

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


def pixel_options() -> frozenset[str]:
    """Names of the options that change pixels."""
    return frozenset(name for name, field in CompositeOptions.model_fields.items() if Effect.PIXELS in field.metadata)


def load_options(flags: dict[str, Any], config: str | None) -> CompositeOptions:
    """Merges flags with a TOML file of the same names; a flag beats the file.

    Args:
        flags: options given on the command line; those not given are absent.
        config: path of the file, if any.

    Raises:
        InputError: the file cannot be read, or a value is not valid.
    """
    values = {**(_read_config(config) if config else {}), **flags}
    try:
        return CompositeOptions.model_validate(values)
    except ValidationError as error:
        # A misspelt name explains a missing one, so it comes first.
        first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        where = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        message = MESSAGES.get(first["type"], first["msg"].removeprefix("Value error, "))
        subject, _, rest = (where, "", message) if where else message.partition(": ")
        flag = subject if subject == "clip" else f"--{subject}"
        raise InputError(flag, rest or "not valid", "see --help") from error


def _read_config(path: str) -> dict[str, Any]:
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "there is no such file", "check --config") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(path, f"cannot be read as TOML ({error})", "mend it") from error
    return {name.replace("-", "_"): value for name, value in values.items()}
