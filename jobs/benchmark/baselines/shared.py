"""What the baseline programs share: the clip in memory, the network's tensors, the paste and the answer.

It belongs to the baselines alone and uses nothing of the product. Pictures are BGR uint8, row-major. "domain n.n" names
the section of the family's facts that a function follows; correct pixels are those of tests/reference.py.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()  # before the imports, which are part of the set-up

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

Image = NDArray[np.uint8]
Planes = NDArray[np.float32]

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}

CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Spec:
    """What to render and how; the keys of SPEC.json.

    Attributes:
        backgrounds: image paths, one for each background.
        rects: the face box ``x0, y0, x1, y1`` of each background, half-open, in pixels.
        features: path of a ``.npy`` file ``(T, *row)`` float32.
        model: path of the ONNX file.
        image_input: name of the input ``(batch, 6, inner, inner)`` float32 or float16 in [0, 1].
        audio_input: name of the input ``(batch, *audio)`` float32 or float16.
        output: name of the output ``(batch, 3, inner, inner)`` float32 or float16 in [0, 1].
        inner: side of the network's pictures, in pixels.
        crop: side of the crop around them.
        mask: ``x, y, width, height`` of the rectangle that is black in the masked planes.
        masked_first: whether these are planes 0 to 2, else 3 to 5.
        crop_filter: OpenCV's filter from face to crop.
        paste_filter: OpenCV's filter back.
        rows: feature rows in an audio window.
        audio: shape of the window as the network takes it.
        out: existing folder for the frames.
        format: ``jpg``, ``png``, or ``none`` where nothing is written.
        quality: of JPEG, 1 to 100.
        frames: how many output frames, from 0.
        workers: processes, pool threads or actors, as the program has them.
        threads: intra-op threads of a session, 0 for ONNX Runtime's own choice (all cores).
        batch: frames per inference.
        provider: execution provider to insist on.
        warm: batches to run before the clock.
        options: what only one program understands.
    """

    backgrounds: list[str]
    rects: list[list[int]]
    features: str
    model: str
    image_input: str
    audio_input: str
    output: str
    inner: int
    crop: int
    mask: list[int]
    masked_first: bool
    crop_filter: int
    paste_filter: int
    rows: int
    audio: list[int]
    out: str
    format: str
    quality: int
    frames: int
    workers: int
    threads: int
    batch: int
    provider: str
    warm: int
    options: dict[str, Any]

    @classmethod
    def from_command_line(cls) -> Spec:
        """The spec that the program's one argument names."""
        return cls(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

    @property
    def border(self) -> int:
        """Pixels of the crop on each side that the network does not see."""
        return (self.crop - self.inner) // 2


# Which frames


def batches(frames: range, size: int) -> list[range]:
    """The frames in order, ``size`` at a time; the last batch may be shorter."""
    return [frames[i : i + size] for i in range(0, len(frames), size)]


def contiguous_share(frames: int, workers: int, worker: int) -> range:
    """The piece of frames 0 .. frames - 1 that belongs to one of the workers; the pieces differ by one at most."""
    return range(frames * worker // workers, frames * (worker + 1) // workers)


# The clip


def bounce(t: int, backgrounds: int) -> int:
    """The background of output frame ``t``: one step before the first frame, both ends shown once (domain 4.5)."""
    if backgrounds == 1:
        return 0
    step = (t + 1) % (2 * (backgrounds - 1))
    return min(step, 2 * (backgrounds - 1) - step)


@dataclass(frozen=True, slots=True)
class Background:
    """A picture ``(H, W, 3)``, its face box ``x0, y0, x1, y1`` and the resized crop ``(crop, crop, 3)`` of it."""

    frame: Image
    rect: tuple[int, int, int, int]
    crop: Image


def crop_face(spec: Spec, frame: Image, rect: tuple[int, int, int, int]) -> Image:
    """The face box, resized to ``(crop, crop, 3)`` (domain 2.3)."""
    x0, y0, x1, y1 = rect
    crop = cv2.resize(frame[y0:y1, x0:x1], (spec.crop, spec.crop), interpolation=spec.crop_filter)
    return np.asarray(crop, np.uint8)


@dataclass(frozen=True, slots=True)
class BaselineClip:
    """The backgrounds that are needed, by number, and the features with zeros around them."""

    spec: Spec
    backgrounds: dict[int, Background]
    padded: Planes

    def background(self, t: int) -> Background:
        """The background of output frame ``t``."""
        return self.backgrounds[bounce(t, len(self.spec.backgrounds))]

    def window(self, t: int) -> Planes:
        """The rows around row t, half of them before it, float32; zeros where there is no row (domain 3.4)."""
        return self.padded[t : t + self.spec.rows].reshape(self.spec.audio)


def load_clip(spec: Spec) -> BaselineClip:
    """Decodes every background that an output frame needs and cuts its crop, so that neither is done twice.

    Raises:
        ValueError: a picture cannot be read.
    """
    backgrounds = {}
    for number in sorted({bounce(t, len(spec.backgrounds)) for t in range(spec.frames)}):
        picture = cv2.imread(spec.backgrounds[number])
        if picture is None:
            raise ValueError(f"{spec.backgrounds[number]} cannot be read as a picture")
        frame = np.asarray(picture, np.uint8)
        x0, y0, x1, y1 = spec.rects[number]
        backgrounds[number] = Background(frame, (x0, y0, x1, y1), crop_face(spec, frame, (x0, y0, x1, y1)))
    features = np.load(spec.features, allow_pickle=False).astype(np.float32)
    around = [(spec.rows // 2, spec.rows - spec.rows // 2), *[(0, 0)] * (features.ndim - 1)]
    return BaselineClip(spec, backgrounds, np.pad(features, around))


# The network


def open_session(spec: Spec, threads: int) -> onnxruntime.InferenceSession:
    """A session on the provider that was asked for, and on no other.

    Raises:
        RuntimeError: the provider could not be had.
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    if threads == 1:
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if spec.provider != CPU:
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(spec.model, settings, providers=[spec.provider], enable_fallback=0)
    if session.get_providers()[0] != spec.provider:
        raise RuntimeError(f"{spec.provider} could not be had, only {session.get_providers()}")
    return session


class BaselineNetwork:
    """A warm session with input arrays that every batch reuses; not to be shared between threads.

    Attributes:
        batches: how often the network has run since the warm-up.
    """

    def __init__(self, spec: Spec, threads: int, batch: int) -> None:
        """Builds the session and runs ``spec.warm`` batches of zeros.

        Raises:
            RuntimeError: the provider could not be had.
        """
        self._spec = spec
        self._session = open_session(spec, threads)
        self._image = np.zeros((batch, 6, spec.inner, spec.inner), np.float32)
        self._audio = np.zeros((batch, *spec.audio), np.float32)
        self._types = {tensor.name: DTYPES[tensor.type] for tensor in self._session.get_inputs()}
        # A new shape is slow the first time on a GPU, and an error where the model's batch is fixed.
        fixed = any(isinstance(tensor.shape[0], int) for tensor in self._session.get_inputs())
        self._padded = fixed or spec.provider != CPU
        self.batches = 0
        for _ in range(spec.warm):
            self._run(batch)
        self.batches = 0

    def _run(self, count: int) -> Planes:
        used = len(self._image) if self._padded else count
        arrays = {self._spec.image_input: self._image[:used], self._spec.audio_input: self._audio[:used]}
        feed = {name: array.astype(self._types[name], copy=False) for name, array in arrays.items()}
        answer: Planes = self._session.run([self._spec.output], feed)[0]
        self.batches += 1
        return answer[:count].astype(np.float32, copy=False)

    def predict(self, crops: Sequence[Image], windows: Sequence[Planes]) -> Planes:
        """The network's answer ``(n, 3, inner, inner)`` float32 for crops ``(crop, crop, 3)`` and audio windows.

        Args:
            crops: at most ``batch`` of them.
            windows: ``(*audio,)`` float32, as many.
        """
        inner = slice(self._spec.border, self._spec.border + self._spec.inner)
        x, y, width, height = self._spec.mask
        whole, masked = (3, 0) if self._spec.masked_first else (0, 3)
        for i, (crop, window) in enumerate(zip(crops, windows, strict=True)):
            # Splitting bytes and dividing whole planes was the quickest exact way of seven that were tried.
            for channel, plane in enumerate(cv2.split(crop[inner, inner])):
                np.divide(plane, np.float32(255), out=self._image[i, whole + channel])
            self._image[i, masked : masked + 3] = self._image[i, whole : whole + 3]
            self._image[i, masked : masked + 3, y : y + height, x : x + width] = 0
            self._audio[i] = window
        return self._run(len(crops))

    def predict_frames(self, clip: BaselineClip, frames: Sequence[int]) -> Planes:
        """The network's answer for output frames, from the crops that were cut when the clip was loaded."""
        return self.predict([clip.background(t).crop for t in frames], [clip.window(t) for t in frames])


# The frame


def to_levels(prediction: Planes) -> Image:
    """Planes in [0, 1] of any shape as bytes: x255 in float32, then truncated (domain 4.1)."""
    return (prediction * np.float32(255)).astype(np.uint8)


def paste(spec: Spec, background: Background, levels: Image, crop: Image | None = None) -> Image:
    """The finished frame ``(H, W, 3)``: levels into the crop, that back to size, into a copy, hard edges (domain 4.1).

    Args:
        spec: gives the sizes.
        background: what is pasted into a copy of.
        levels: ``(3, inner, inner)`` uint8.
        crop: the crop, where it is not the background's own.
    """
    face = (background.crop if crop is None else crop).copy()
    inner = slice(spec.border, spec.border + spec.inner)
    face[inner, inner] = cv2.merge([*levels])
    x0, y0, x1, y1 = background.rect
    finished = background.frame.copy()
    finished[y0:y1, x0:x1] = cv2.resize(face, (x1 - x0, y1 - y0), interpolation=spec.paste_filter)
    return finished


def composite(spec: Spec, background: Background, prediction: Planes, crop: Image | None = None) -> Image:
    """`paste` of a prediction ``(3, inner, inner)`` float32 in [0, 1]."""
    return paste(spec, background, to_levels(prediction), crop)


def write_frame(spec: Spec, t: int, image: Image) -> None:
    """Writes output frame ``t`` under its final name, as OpenCV does by default; JPEG with the given quality.

    Raises:
        OSError: the file cannot be written.
    """
    settings = [cv2.IMWRITE_JPEG_QUALITY, spec.quality] if spec.format == "jpg" else []
    path = Path(spec.out) / f"frame_{t:06d}.{spec.format}"
    if not cv2.imwrite(str(path), image, settings):
        raise OSError(f"{path} cannot be written")


# What was done


@dataclass(frozen=True, slots=True)
class Count:
    """What a process has done: output frames and runs of the network.

    ``probe`` is the sum of ``prediction[1, inner // 2, inner // 2]`` over the frames, where no pictures are kept.
    """

    frames: int
    batches: int
    probe: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a process has done, and when: `time.perf_counter`, one clock for all processes of a machine."""

    count: Count
    began: float
    ended: float


def timed(work: Callable[[], Count]) -> Done:
    """Runs ``work`` against the clock."""
    began = time.perf_counter()
    count = work()
    return Done(count, began, time.perf_counter())


# The answer


def report(system: str, spec: Spec, done: Sequence[Done], settings: dict[str, Any], **more: object) -> None:
    """Prints the program's answer, from the first process that began to the last that ended, as one line of JSON.

    Args:
        system: name of the program.
        spec: what was asked for.
        done: what each process did; one entry for a program of one process.
        settings: what the program decided by itself.
        more: further keys of the answer.
    """
    began, ended = min(part.began for part in done), max(part.ended for part in done)
    frames, seconds = sum(part.count.frames for part in done), ended - began
    kept = ("format", "quality", "workers", "threads", "batch", "provider", "warm", "options")
    answer = {
        "system": system,
        "frames": frames,
        "seconds": seconds,
        "fps_steady": frames / seconds,
        "setup_seconds": began - STARTED,
        "batches": sum(part.count.batches for part in done),
        "settings": {name: asdict(spec)[name] for name in kept} | settings | {"cores": os.cpu_count()},
        **more,
    }
    sys.stdout.write(json.dumps(answer) + "\n")
