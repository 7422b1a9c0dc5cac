"""What all systems render: the clip's frames as files everybody can read, its boxes, and features of any length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Loop
from actors.core.clip import Clip, FaceBox, ImageFrames, VideoFrames
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.core.pairing import background_index
from actors.core.pixels import Image
from actors.files import storage
from jobs.clip import read_clip, read_features
from jobs.demo.demo_clip import write_demo_clip
from jobs.inputs.options import load_options

# Output frames repeat with the backgrounds, but not before so many: enough to meet both ends of any short clip.
LEAST_PERIOD = 128
# Of the demo's clip only so many backgrounds: then reading them is as small a part of a short trial as reading a whole
# clip is of hours of output.
DEMO_BACKGROUNDS = 32
SEED = 328  # of features that are made up
# Lossless, and three times quicker to write than OpenCV's default.
PNG = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)


@dataclass(frozen=True, slots=True)
class Material:
    """A clip ready for every system.

    Output frames are periodic: frame ``t`` and frame ``t + period`` have the same background and the same audio
    window, apart from the first ``kind.rows // 2`` frames, whose windows begin before the features.
    """

    name: str  # for tables
    clip: str  # what ours is given
    box_flags: dict[str, str]  # the flags that ours is given beside it
    backgrounds: tuple[str, ...]  # PNG files, in order: what the others are given
    boxes: tuple[FaceBox, ...]  # the face box of each
    rows: NDArray[np.float32]  # audio features (period, *kind.feature), to be repeated
    folder: Path  # where files of features go
    width: int  # of a frame, in pixels
    height: int
    kind: ModelKind  # the contract of the networks

    @property
    def period(self) -> int:
        """Output frames after which pictures repeat."""
        return len(self.rows)

    @property
    def distinct(self) -> int:
        """How many different output frames there are."""
        return self.period + self.kind.rows // 2

    def model_frame(self, frame: int) -> int:
        """The first output frame that looks like ``frame``: below `distinct`."""
        lead = self.kind.rows // 2
        return frame if frame < lead else lead + (frame - lead) % self.period

    def box(self, frame: int) -> FaceBox:
        """The face box of output frame ``frame``."""
        return self.boxes[background_index(Loop.BOUNCE, frame, len(self.boxes))]

    def features(self, frames: int) -> Path:
        """A ``.npy`` file with features for ``frames`` output frames, and rows beyond, so that none sees an end."""
        path = self.folder / f"features-{frames}.npy"
        if not path.exists():
            rows = np.arange(frames + self.kind.rows) % self.period
            np.save(path, self.rows[rows], allow_pickle=False)
        return path


def period_of(backgrounds: int) -> int:
    """The least multiple of the bounce over ``backgrounds`` that is not below `LEAST_PERIOD`."""
    turn = max(1, 2 * (backgrounds - 1))
    return turn * math.ceil(LEAST_PERIOD / turn)


def prepare(scratch: Path, clip: str | None, boxes: str | None, box: str | None, kind: ModelKind) -> Material:
    """Reads a clip, or draws the demo's, and writes its frames as PNG into a folder.

    Where the demo has no features for the networks' kind, or no clip could have any, they are made up.

    Raises:
        InputError: the clip cannot be used, or has no full frames or no features.
    """
    folder = scratch / "clip"
    if clip is None:
        write_demo_clip(folder)
        for path in (*(folder / "full_body_img").iterdir(), *(folder / "landmarks").iterdir()):
            if int(path.stem) >= DEMO_BACKGROUNDS:
                path.unlink()
    # Programs run in folders of their own, where a relative path means something else.
    where, boxes_file = storage.resolve(clip or str(folder)), storage.resolve(boxes) if boxes else None
    options = load_options({"clip": where, "model": "none", "out": "none", "rects": boxes_file, "rect": box}, None)
    found = read_clip(options.clip, boxes=options.rects, box=options.face_box, kind=kind)
    if found.frames is None or found.boxes is None:
        raise InputError(options.clip, "holds no full frames", "the benchmark composites, so name a clip that has them")
    boxes_there = tuple(one for one in found.boxes if one is not None)
    if len(boxes_there) < len(found.boxes):
        problem, fix = "has frames without a face", "the other programs need one on each: name a clip that has them"
        raise InputError(options.clip, problem, fix)
    period = period_of(len(boxes_there))
    if found.features is not None:
        features = read_features(found.features, kind)
    elif clip is None or kind.features_file is None:
        features = np.random.default_rng(SEED).gamma(0.4, 1.0, (period, *kind.feature)).astype(np.float32)
    else:
        raise InputError(options.clip, f"has no {kind.features_file}", "put the clip's features there")
    rows = np.arange(period) % len(features)
    flags = {"rects": boxes_file, "rect": box}
    return Material(
        name="the demo's beginning" if clip is None else found.id,
        clip=options.clip,
        box_flags={flag: value for flag, value in flags.items() if value},
        backgrounds=_write_backgrounds(found, scratch / "backgrounds"),
        boxes=boxes_there,
        rows=features[rows],
        folder=scratch,
        width=found.frames.width,
        height=found.frames.height,
        kind=kind,
    )


def _write_backgrounds(clip: Clip, folder: Path) -> tuple[str, ...]:
    folder.mkdir()
    paths = []
    for index, frame in enumerate(_frames(clip.frames)):
        path = folder / f"{index:06d}.png"
        if not cv2.imwrite(str(path), frame, PNG):
            raise OSError(f"{path.name} cannot be written")
        paths.append(str(path))
    if len(paths) != clip.backgrounds:
        raise InputError(clip.path, f"{len(paths)} of {clip.backgrounds} frames decode", "encode it again")
    return tuple(paths)


def _frames(frames: ImageFrames | VideoFrames | None) -> Iterator[Image]:
    """All frames, of a video by decoding from the start: slow, simple, and not how the renderer does it."""
    if isinstance(frames, ImageFrames):
        for path in frames.paths:
            image = cv2.imread(path)
            if image is None:
                raise InputError(path, "is not a whole image on a local disk", "write it again, or copy the clip here")
            yield np.asarray(image, np.uint8)
    elif frames is not None:
        try:
            with av.open(frames.path) as container:
                for frame in container.decode(video=0):
                    yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
        except (av.error.FFmpegError, OSError) as error:
            raise InputError(frames.path, f"cannot be decoded ({error})", "encode it again") from error
