"""What the baseline programs share: what they are told, the clip in memory, the network, the paste, the answer.

It belongs to the baselines alone and uses nothing of the product. Pictures are BGR uint8, row-major. "domain n.n" names
the section of the family's facts that a function follows; correct pixels are those of tests/reference.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Planes = NDArray[np.float32]

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}

CPU = "CPUExecutionProvider"
WARM = 2  # batches that run before the clock


@dataclass(frozen=True, slots=True)
class Spec:
    """What to render and how; the keys of SPEC.json. Sides and boxes are in pixels."""

    system: str  # which program
    backgrounds: list[str]  # a picture file for each
    rects: list[list[int]]  # the face box of each: x0, y0, x1, y1, half-open
    features: str  # a .npy file (T, *row) float32
    model: str  # an ONNX file
    image_input: str  # name of the input (batch, 6, inner, inner) in [0, 1], float32 or float16
    audio_input: str  # name of the input (batch, *audio), float32 or float16
    output: str  # name of the output (batch, 3, inner, inner) in [0, 1], float32 or float16
    inner: int  # side of the network's pictures
    crop: int  # side of the crop around them
    mask: list[int]  # x, y, width, height of what is black in the masked planes
    masked_first: bool  # whether these are planes 0 to 2, else 3 to 5
    crop_filter: int  # OpenCV's filter from face to crop
    paste_filter: int  # and back
    rows: int  # feature rows in an audio window
    audio: list[int]  # shape of the window as the network takes it
    out: str  # existing folder for the frames
    format: str  # jpg or png; none where nothing is written
    quality: int  # of JPEG, 1 to 100
    frames: int  # output frames, from 0
    seconds: float | None  # how long the bare network runs, whatever frames says
    workers: int  # processes, pool threads or actors, as the program has them
    threads: int  # intra-op threads of a session
    batch: int  # frames per inference
    provider: str  # execution provider to insist on

    @classmethod
    def from_command_line(cls) -> Spec:
        """The spec that the program's one argument names."""
        return cls(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

    @property
    def inside(self) -> slice:
        """What the network sees of the crop, along either side."""
        border = (self.crop - self.inner) // 2
        return slice(border, border + self.inner)


def batches(frames: range, size: int) -> list[range]:
    """The frames in order, ``size`` at a time; the last batch may be shorter."""
    return [frames[i : i + size] for i in range(0, len(frames), size)]


def bounce(t: int, backgrounds: int) -> int:
    """The background of output frame ``t``: one step before the first frame, both ends shown once."""
    turn = 2 * (backgrounds - 1)
    step = (t + 1) % max(1, turn)
    return min(step, turn - step)


@dataclass(frozen=True, slots=True)
class Background:
    """A picture ``(H, W, 3)``, its face box ``x0, y0, x1, y1`` and the resized crop ``(crop, crop, 3)`` of it."""

    frame: Image
    rect: list[int]
    crop: Image


def crop_face(spec: Spec, frame: Image, rect: Sequence[int]) -> Image:
    """The face box, resized to ``(crop, crop, 3)``."""
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
        """The rows around row t, half of them before it, float32; zeros where there is no row."""
        return self.padded[t : t + self.spec.rows].reshape(self.spec.audio)


def load_clip(spec: Spec) -> BaselineClip:
    """Decodes every background that an output frame needs and cuts its crop, so that neither is done twice."""
    backgrounds = {}
    for number in sorted({bounce(t, len(spec.backgrounds)) for t in range(spec.frames)}):
        picture = cv2.imread(spec.backgrounds[number])
        if picture is None:
            raise ValueError(f"{spec.backgrounds[number]} cannot be read as a picture")
        frame, rect = np.asarray(picture, np.uint8), spec.rects[number]
        backgrounds[number] = Background(frame, rect, crop_face(spec, frame, rect))
    features = np.load(spec.features, allow_pickle=False).astype(np.float32)
    around = [(spec.rows // 2, spec.rows - spec.rows // 2), *[(0, 0)] * (features.ndim - 1)]
    return BaselineClip(spec, backgrounds, np.pad(features, around))


def open_session(spec: Spec, threads: int) -> onnxruntime.InferenceSession:
    """A session on the provider that was asked for, and on no other; RuntimeError where it cannot be had."""
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

    ``frames`` is how many have been predicted since the warm-up, in so many ``runs``; ``clip`` what they are of.
    """

    def __init__(self, clip: BaselineClip, threads: int) -> None:
        """Builds the session and warms it with zeros; RuntimeError without the provider."""
        self.clip, spec = clip, clip.spec
        self.frames = self.runs = 0
        self._spec = spec
        self._session = open_session(spec, threads)
        self._image = np.zeros((spec.batch, 6, spec.inner, spec.inner), np.float32)
        self._audio = np.zeros((spec.batch, *spec.audio), np.float32)
        self._types = {tensor.name: DTYPES[tensor.type] for tensor in self._session.get_inputs()}
        # A new shape is slow the first time on a GPU, and an error where the model's batch is fixed.
        fixed = any(isinstance(tensor.shape[0], int) for tensor in self._session.get_inputs())
        self._padded = fixed or spec.provider != CPU
        for _ in range(WARM):
            self._run(spec.batch)

    def _run(self, count: int) -> Planes:
        used = len(self._image) if self._padded else count
        arrays = {self._spec.image_input: self._image[:used], self._spec.audio_input: self._audio[:used]}
        feed = {name: array.astype(self._types[name], copy=False) for name, array in arrays.items()}
        answer: Planes = self._session.run([self._spec.output], feed)[0]
        return answer[:count].astype(np.float32, copy=False)

    def predict(self, crops: Sequence[Image], windows: Sequence[Planes]) -> Planes:
        """The network's answer ``(n, 3, inner, inner)`` float32 for at most a batch of crops and audio windows."""
        inside, (x, y, width, height) = self._spec.inside, self._spec.mask
        whole, masked = (3, 0) if self._spec.masked_first else (0, 3)
        for i, (crop, window) in enumerate(zip(crops, windows, strict=True)):
            # Splitting bytes and dividing whole planes was the quickest exact way of seven that were tried.
            for channel, plane in enumerate(cv2.split(crop[inside, inside])):
                np.divide(plane, np.float32(255), out=self._image[i, whole + channel])
            self._image[i, masked : masked + 3] = self._image[i, whole : whole + 3]
            self._image[i, masked : masked + 3, y : y + height, x : x + width] = 0
            self._audio[i] = window
        self.runs, self.frames = self.runs + 1, self.frames + len(crops)
        return self._run(len(crops))

    def predict_frames(self, frames: Sequence[int]) -> Planes:
        """The network's answer for output frames, from the crops that were cut when the clip was loaded."""
        return self.predict([self.clip.background(t).crop for t in frames], [self.clip.window(t) for t in frames])


def composite(spec: Spec, background: Background, prediction: Planes, crop: Image | None = None) -> Image:
    """The finished frame ``(H, W, 3)``, in the background's own crop if no other is given.

    The prediction ``(3, inner, inner)`` x255 in float32, truncated, into the crop, that back to size, into a copy.
    """
    face = (background.crop if crop is None else crop).copy()
    face[spec.inside, spec.inside] = cv2.merge([*(prediction * np.float32(255)).astype(np.uint8)])
    x0, y0, x1, y1 = background.rect
    finished = background.frame.copy()
    finished[y0:y1, x0:x1] = cv2.resize(face, (x1 - x0, y1 - y0), interpolation=spec.paste_filter)
    return finished


def write_frame(spec: Spec, t: int, image: Image) -> None:
    """Writes output frame ``t``, as OpenCV does by default, JPEG with the given quality; OSError where it cannot."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, spec.quality] if spec.format == "jpg" else []
    path = Path(spec.out) / f"frame_{t:06d}.{spec.format}"
    if not cv2.imwrite(str(path), image, settings):
        raise OSError(f"{path} cannot be written")


def finish(clip: BaselineClip, t: int, prediction: Planes) -> None:
    """Pastes an output frame and writes it."""
    write_frame(clip.spec, t, composite(clip.spec, clip.background(t), prediction))


def render_batch(network: BaselineNetwork, frames: Sequence[int]) -> None:
    """Predicts output frames at once, then pastes and writes one after another."""
    for t, prediction in zip(frames, network.predict_frames(frames), strict=True):
        finish(network.clip, t, prediction)


@dataclass(frozen=True, slots=True)
class Done:
    """What a process has done, and when: `time.perf_counter`, one clock for all processes of a machine."""

    frames: int
    runs: int  # of the network
    began: float
    ended: float


def report(done: Sequence[Done]) -> None:
    """Prints the program's answer, from the first process that began to the last that ended, as one line of JSON."""
    answer = {
        "frames": sum(part.frames for part in done),
        "runs": sum(part.runs for part in done),
        "seconds": max(part.ended for part in done) - min(part.began for part in done),
    }
    sys.stdout.write(json.dumps(answer) + "\n")
