"""Whether a system's frames are right: each is compared with a reference that one slow, trusted program rendered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import av.error
import cv2
import numpy as np

from actors.core.choices import Device, Precision
from actors.core.pixels import Image
from jobs.benchmark.material import Material
from jobs.benchmark.matrix import JPEG_QUALITY, Output

# Changing every value of a frame by up to two levels at random moved single values of its JPEG by 18 at most (measured
# at quality 95 on frames of the demo and on noise).
JPEG_LEVELS = 20
# So many frames of a trial are compared; of their references so many bytes stay decoded for the next system.
MOST_CHECKED = 24
KEPT_BYTES = 512 << 20
# In the face box of a video at the renderer's quality the peak signal-to-noise ratio was 35 dB or more for networks
# that paint faces, and 29 dB for random weights (measured).
VIDEO_DECIBEL = 25.0
# A video frame is nearer to its own reference than to its neighbours', but for a few where hardly anything moves.
VIDEO_IN_STEP = 0.75


@dataclass(frozen=True, slots=True)
class FrameVerdict:
    """What came of a comparison."""

    checked: int = 0  # frames whose pixels were compared
    worst: int = 0  # largest difference of one value from the reference, 0..255; of a video after its encoding
    fault: str = ""  # what is wrong


def tolerance(device: Device, precision: Precision, output: Output) -> int:
    """Levels by which a value may differ from the reference, which is rendered on the CPU in float32.

    None on the CPU. Another device rounds otherwise (one level), half precision more so (two); in JPEG one level may
    tip a coefficient over to its next step, which shows as many.
    """
    if device is Device.CPU:
        return 0
    if output is Output.JPG:
        return JPEG_LEVELS
    return 2 if precision is Precision.FP16 else 1


class Reference:
    """The frames that everybody must render: PNG files ``frame_000000.png`` and so on in a folder, ``count`` of them.

    The material says which of them an output frame must look like.
    """

    def __init__(self, folder: Path, count: int, material: Material) -> None:
        self._folder = folder
        self._count = count
        self._material = material
        self._decoded = lru_cache(KEPT_BYTES // (3 * material.width * material.height))(self._decode)

    def sample(self, frames: int, most: int = MOST_CHECKED) -> tuple[int, ...]:
        """Output frames to look at, of those there is a reference for: spread evenly, both ends among them."""
        known = [frame for frame in range(frames) if self._material.model_frame(frame) < self._count]
        if len(known) <= most:
            return tuple(known)
        return tuple(known[round(i * (len(known) - 1) / (most - 1))] for i in range(most))

    def frame(self, frame: int, output: Output) -> Image:
        """What output frame ``frame`` must decode to, ``(H, W, 3)`` uint8; OSError where the reference is gone."""
        return self._decoded(self._material.model_frame(frame), jpeg=output is Output.JPG)

    def _decode(self, number: int, *, jpeg: bool) -> Image:
        image = read_image(self._folder / f"frame_{number:06d}.png")
        return through_jpeg(image) if jpeg else image

    def likeness(self, found: Image, frame: int, other: int) -> float:
        """`decibel` of a picture of ``frame`` and the reference of ``other`` in its box; minus infinity without one."""
        if other < 0 or self._material.model_frame(other) >= self._count:
            return -math.inf
        box = self._material.box(frame)
        face = slice(box.y0, box.y1), slice(box.x0, box.x1)
        return decibel(found[face], self.frame(other, Output.VIDEO)[face])


def read_image(path: Path) -> Image:
    """A picture file; OSError where it cannot be read."""
    image = cv2.imread(str(path))
    if image is None:
        raise OSError(f"{path.name} cannot be read")
    return np.asarray(image, np.uint8)


def through_jpeg(image: Image) -> Image:
    """The picture that OpenCV's own JPEG of ``image`` decodes to."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def difference(found: Image, wanted: Image) -> int:
    """The largest difference of two values at one place; 255 where the shapes differ."""
    return int(cv2.absdiff(found, wanted).max()) if found.shape == wanted.shape else 255


def decibel(found: Image, wanted: Image) -> float:
    """Peak signal-to-noise ratio, above 360 for equal pictures; 0 where the shapes differ."""
    return cv2.PSNR(found, wanted) if found.shape == wanted.shape else 0.0


def check_frames(folder: Path, output: Output, frames: int, reference: Reference, allowed: int) -> FrameVerdict:
    """Compares frame files with the reference, from which a value may differ by so many levels.

    The folder must hold ``frame_000000`` and so on, as many as there are frames, and nothing else.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    expected = {f"frame_{frame:06d}.{output}" for frame in range(frames)}
    if missing := sorted(expected - names):
        return FrameVerdict(0, 0, f"{len(missing)} of {frames} frames are missing, the first is {missing[0]}")
    if extra := sorted(names - expected):
        return FrameVerdict(0, 0, f"{len(extra)} files are no frames of it, the first is {extra[0]}")
    worst = 0
    sample = reference.sample(frames)
    for checked, frame in enumerate(sample):
        try:
            found = read_image(folder / f"frame_{frame:06d}.{output}")
        except OSError as error:
            return FrameVerdict(checked, worst, str(error))
        worst = max(worst, difference(found, reference.frame(frame, output)))
        if worst > allowed:
            return FrameVerdict(checked + 1, worst, f"frame {frame} differs from the reference by {worst} levels")
    return FrameVerdict(len(sample), worst)


def check_video(path: Path, frames: int, reference: Reference) -> FrameVerdict:
    """Compares the face boxes of a video, which must have so many frames, as closely as an encoder leaves them."""
    sample = set(reference.sample(frames))
    worst, in_step, checked, count = 0, 0, 0, 0
    try:
        with av.open(str(path)) as container:
            for frame, picture in enumerate(container.decode(video=0)):
                count = frame + 1
                if frame not in sample:
                    continue
                found = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
                worst = max(worst, difference(found, reference.frame(frame, Output.VIDEO)))
                checked += 1
                near = {other: reference.likeness(found, frame, other) for other in (frame - 1, frame, frame + 1)}
                if near[frame] < VIDEO_DECIBEL:
                    fault = f"frame {frame} of the video is {near[frame]:.1f} dB from the reference"
                    return FrameVerdict(checked, worst, fault)
                in_step += near[frame] == max(near.values())
    except (OSError, av.error.FFmpegError) as error:
        return FrameVerdict(checked, worst, f"the video cannot be decoded ({type(error).__name__})")
    fault = ""
    if count != frames:
        fault = f"the video has {count} frames instead of {frames}"
    elif in_step < VIDEO_IN_STEP * checked:
        fault = f"{checked - in_step} of {checked} frames of the video look like their neighbours"
    return FrameVerdict(checked, worst, fault)
