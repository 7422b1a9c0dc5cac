"""Whether a system's frames are right: each is compared with a reference that one slow, trusted program rendered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import cv2
import numpy as np

from actors.core.choices import Precision
from actors.core.pixels import Image
from jobs.benchmark.material import Material
from jobs.benchmark.matrix import BenchmarkDevice, Output

# Changing every value of a frame by up to two levels at random moved single values of its JPEG by 18 at most (measured
# at quality 95 on frames of the demo and on noise).
JPEG_LEVELS = 20

# Of decoded references that are kept for the next system.
MOST_BYTES = 512 << 20

# In the face box of a video at the renderer's quality the peak signal-to-noise ratio was 35 dB or more for networks
# that paint faces, and 29 dB for random weights (measured).
VIDEO_DECIBEL = 25.0
# A video frame is nearer to its own reference than to its neighbours', but for a few where hardly anything moves.
VIDEO_IN_STEP = 0.75


@dataclass(frozen=True, slots=True)
class FrameVerdict:
    """What came of a comparison.

    Attributes:
        checked: frames whose pixels were compared.
        worst: largest difference of one value from the reference, 0..255; of a video after its encoding.
        fault: what is wrong, or empty.
    """

    checked: int
    worst: int
    fault: str = ""


def tolerance(device: BenchmarkDevice, precision: Precision, output: Output) -> int:
    """Levels by which a value may differ from the reference, which is rendered on the CPU in float32.

    None on the CPU. Another device rounds otherwise (one level), half precision more so (two); in JPEG one level may
    tip a coefficient over to its next step, which shows as many.
    """
    if device is BenchmarkDevice.CPU:
        return 0
    if output is Output.JPG:
        return JPEG_LEVELS
    return 2 if precision is Precision.FP16 else 1


class Reference:
    """The frames that everybody must render.

    Args:
        folder: PNG files ``frame_000000.png`` and so on.
        count: how many there are.
        material: says which of them an output frame must look like.
        quality: of JPEG.
    """

    def __init__(self, folder: Path, count: int, material: Material, quality: int) -> None:
        self._folder = folder
        self._count = count
        self._material = material
        self._quality = quality
        self._read: dict[tuple[int, bool], Image] = {}

    def sample(self, frames: int, most: int) -> tuple[int, ...]:
        """Output frames to look at, of those there is a reference for: spread evenly, both ends among them."""
        known = [frame for frame in range(frames) if self._material.model_frame(frame) < self._count]
        if len(known) <= most:
            return tuple(known)
        return tuple(known[round(i * (len(known) - 1) / (most - 1))] for i in range(most))

    def frame(self, frame: int, output: Output) -> Image:
        """What output frame ``frame`` must decode to, ``(H, W, 3)`` uint8.

        Raises:
            OSError: the reference is gone.
        """
        number = self._material.model_frame(frame)
        key = (number, output is Output.JPG)
        if key not in self._read:
            image = read_image(self._folder / f"frame_{number:06d}.png")
            if output is Output.JPG:
                image = through_jpeg(image, self._quality)
            if sum(kept.nbytes for kept in self._read.values()) > MOST_BYTES:
                self._read.clear()
            self._read[key] = image
        return self._read[key]

    def likeness(self, found: Image, frame: int, other: int) -> float:
        """Peak signal-to-noise ratio of a picture of ``frame`` to the reference of ``other``, in ``frame``'s box.

        Minus infinity where there is no such reference, in decibel otherwise.
        """
        if other < 0 or self._material.model_frame(other) >= self._count:
            return -math.inf
        box = self._material.box(frame)
        face = slice(box.y0, box.y1), slice(box.x0, box.x1)
        return decibel(found[face], self.frame(other, Output.VIDEO)[face])


def read_image(path: Path) -> Image:
    """A picture file.

    Raises:
        OSError: it cannot be read.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise OSError(f"{path.name} cannot be read")
    return np.asarray(image, np.uint8)


def through_jpeg(image: Image, quality: int) -> Image:
    """The picture that OpenCV's own JPEG of ``image`` decodes to."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def difference(found: Image, wanted: Image) -> int:
    """The largest difference of two values at one place; 255 where the shapes differ."""
    if found.shape != wanted.shape:
        return 255
    return int(cv2.absdiff(found, wanted).max())


def decibel(found: Image, wanted: Image) -> float:
    """Peak signal-to-noise ratio; infinite for equal pictures, 0 where the shapes differ."""
    if found.shape != wanted.shape:
        return 0.0
    error = float(np.mean(np.square(found.astype(np.float32) - wanted)))
    return 10 * math.log10(255**2 / error) if error else math.inf


def check_frames(
    folder: Path, output: Output, frames: int, reference: Reference, allowed: int, most: int
) -> FrameVerdict:
    """Compares frame files with the reference.

    Args:
        folder: holds ``frame_000000`` and so on, and nothing else.
        output: their format.
        frames: how many there must be.
        reference: what they must look like.
        allowed: levels by which a value may differ.
        most: how many to compare.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    expected = {f"frame_{frame:06d}.{output}" for frame in range(frames)}
    if missing := sorted(expected - names):
        return FrameVerdict(0, 0, f"{len(missing)} of {frames} frames are missing, the first is {missing[0]}")
    if extra := sorted(names - expected):
        return FrameVerdict(0, 0, f"{len(extra)} files are no frames of it, the first is {extra[0]}")
    worst = 0
    sample = reference.sample(frames, most)
    for checked, frame in enumerate(sample):
        try:
            found = read_image(folder / f"frame_{frame:06d}.{output}")
        except OSError as error:
            return FrameVerdict(checked, worst, str(error))
        worst = max(worst, difference(found, reference.frame(frame, output)))
        if worst > allowed:
            return FrameVerdict(checked + 1, worst, f"frame {frame} differs from the reference by {worst} levels")
    return FrameVerdict(len(sample), worst)


def check_video(path: Path, frames: int, reference: Reference, most: int) -> FrameVerdict:
    """Compares a video's face boxes with the reference, as closely as an encoder leaves them.

    Args:
        path: the video.
        frames: how many it must have.
        reference: what they must look like.
        most: how many to compare.
    """
    sample = set(reference.sample(frames, most))
    worst, in_step, checked, count = 0, 0, 0, 0
    try:
        for count, picture in enumerate(_decoded(path), 1):
            frame = count - 1
            if frame not in sample:
                continue
            found = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
            worst = max(worst, difference(found, reference.frame(frame, Output.VIDEO)))
            checked += 1
            near = {other: reference.likeness(found, frame, other) for other in (frame - 1, frame, frame + 1)}
            if near[frame] < VIDEO_DECIBEL:
                return FrameVerdict(
                    checked, worst, f"frame {frame} of the video is {near[frame]:.1f} dB from the reference"
                )
            in_step += near[frame] == max(near.values())
    except (OSError, av.error.FFmpegError) as error:
        return FrameVerdict(checked, worst, f"the video cannot be decoded ({type(error).__name__})")
    if count != frames:
        return FrameVerdict(checked, worst, f"the video has {count} frames instead of {frames}")
    if in_step < VIDEO_IN_STEP * checked:
        return FrameVerdict(
            checked, worst, f"{checked - in_step} of {checked} frames of the video look like their neighbours"
        )
    return FrameVerdict(checked, worst)


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)
