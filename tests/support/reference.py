"""A slow, obvious renderer of the UNet-328 family, written from the facts alone: the oracle of the golden tests.

It imports nothing of this project and shares no code with it. "domain n.n" names the section of the domain facts that a
function follows. Images are (height, width, 3) uint8 in BGR order; rects are (x0, y0, x1, y1) in pixels, half-open.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Rect: TypeAlias = tuple[int, int, int, int]


# Which background goes with which output frame


def bounce(t: int, n: int) -> int:
    """Step t + 1 times from frame 0: advance before use, turn at the ends."""
    index = 0
    direction = 1
    if n == 1:
        return 0
    for _ in range(t + 1):
        if index == n - 1:
            direction = -1
        if index == 0:
            direction = 1
        index += direction
    return index


def mirror(t: int, n: int) -> int:
    """0..n-1 and then n-1..0, the end frames shown twice, period 2n."""
    forwards = list(range(n))
    backwards = list(reversed(forwards))
    return (forwards + backwards)[t % (2 * n)]


def wrap(t: int, n: int) -> int:
    """Start again at frame 0 after the last one."""
    return t % n


def once(t: int, n: int) -> int:
    """Every background once; IndexError past the last one."""
    if t >= n:
        raise IndexError(f"output frame {t} has no background: there are only {n}")
    return t


def background_index(loop: str, t: int, n: int) -> int:
    """The background under output frame t of a clip of n backgrounds."""
    if t < 0 or n < 1:
        raise ValueError(f"output frame {t} of {n} backgrounds does not exist")
    return {"bounce": bounce, "mirror": mirror, "wrap": wrap, "once": once}[loop](t, n)


# Where the face is


def read_landmarks(path: Path) -> NDArray[np.int32]:
    """The 110 points (110, 2) of a .lms file: read as float32, then truncated to int32, not rounded."""
    rows = [[float(word) for word in line.split()] for line in path.read_text(encoding="ascii").splitlines()]
    points = np.array(rows, dtype=np.float32)
    if points.shape != (110, 2):
        raise ValueError(f"{path} holds {points.shape} numbers instead of (110, 2)")
    return points.astype(np.int32)


def square_from_landmarks(points: NDArray[np.int32]) -> Rect:
    """The crop square: left edge at point 1, right edge at 31, top edge at 52, as high as wide."""
    x0 = int(points[1][0])
    y0 = int(points[52][1])
    x1 = int(points[31][0])
    side = x1 - x0
    return (x0, y0, x1, y0 + side)


def read_rects(path: Path) -> list[Rect]:
    """The rects of either JSON form; of the form with names, in the numeric order of the names."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict):
        content = [content[name]["rect"] for name in sorted(content, key=int)]
    return [(int(x0), int(y0), int(x1), int(y1)) for x0, y0, x1, y1 in content]


# What the network sees


def audio_window(features: Floats, i: int) -> Floats:
    """Feature rows i-8 .. i+7, zeros where there is no row, viewed flat as (32, 16, 16) float32."""
    window = np.zeros((16, 512), dtype=np.float32)
    for step in range(16):
        row = i - 8 + step
        if 0 <= row < len(features):
            window[step] = features[row]
    return window.reshape(32, 16, 16)


def _resize(image: Image, width: int, height: int, interpolation: str) -> Image:
    """Resize with the one filter that is used in both directions."""
    flag = {"cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[interpolation]
    return np.asarray(cv2.resize(image, (width, height), interpolation=flag), dtype=np.uint8)


def _check_rect(frame: Image, rect: Rect) -> None:
    """Upstream does not clamp and goes silently wrong at the frame's edges, so refuse such rects."""
    x0, y0, x1, y1 = rect
    height, width = frame.shape[:2]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(f"rect {rect} is not inside of its {width}x{height} frame")


def network_input(frame: Image, rect: Rect, interpolation: str) -> tuple[Floats, Image]:
    """Crop, resize, mask and lay out one frame for the network.

    Returns:
        The planes (6, 320, 320) float32 in [0, 1], B, G, R of the reference and then B, G, R of the masked copy,
        and the crop (328, 328, 3) uint8 from which they were cut.
    """
    _check_rect(frame, rect)
    x0, y0, x1, y1 = rect
    crop = _resize(frame[y0:y1, x0:x1], 328, 328, interpolation)
    inner = crop[4:324, 4:324].copy()
    masked = inner.copy()
    masked[5 : 5 + 305, 5 : 5 + 310] = 0
    planes = np.zeros((6, 320, 320), dtype=np.float32)
    for channel in range(3):
        planes[channel] = inner[:, :, channel].astype(np.float32) / np.float32(255)
        planes[3 + channel] = masked[:, :, channel].astype(np.float32) / np.float32(255)
    return planes, crop


# What becomes of the network's answer


def to_levels(prediction: Floats) -> Image:
    """Planes (3, 320, 320) in [0, 1] as an image (320, 320, 3): x255 in float32, then truncated."""
    if not np.all((prediction >= 0) & (prediction <= 1)):
        raise ValueError("the network's answer leaves [0, 1] or is not a number")
    image = np.zeros((320, 320, 3), dtype=np.uint8)
    for channel in range(3):
        levels = prediction[channel].astype(np.float32) * np.float32(255)
        image[:, :, channel] = np.trunc(levels).astype(np.uint8)
    return image


def paste(frame: Image, rect: Rect, crop: Image, prediction: Floats, interpolation: str) -> Image:
    """Put the prediction into the 328 crop, that back into a copy of the frame, with hard edges."""
    _check_rect(frame, rect)
    x0, y0, x1, y1 = rect
    patch = crop.copy()
    patch[4:324, 4:324] = to_levels(prediction)
    result = frame.copy()
    result[y0:y1, x0:x1] = _resize(patch, x1 - x0, y1 - y0, interpolation)
    return result


# The network


def open_session(model_path: Path) -> onnxruntime.InferenceSession:
    """A plain session on the CPU with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model_path), options, providers=["CPUExecutionProvider"])


def bind_inputs(session: onnxruntime.InferenceSession) -> tuple[str, str]:
    """The names of the image input (6 channels) and of the audio input (32), whatever they are."""
    names: dict[int, str] = {argument.shape[1]: argument.name for argument in session.get_inputs()}
    if len(session.get_inputs()) != 2 or set(names) != {6, 32}:
        raise ValueError(f"the model's inputs have {sorted(names)} channels instead of 6 and 32")
    return names[6], names[32]


def predict(session: onnxruntime.InferenceSession, planes: Floats, window: Floats) -> Floats:
    """Run the network on one frame (batch 1): its first output (3, 320, 320) float32."""
    image_name, audio_name = bind_inputs(session)
    answer = session.run(None, {image_name: planes[np.newaxis], audio_name: window[np.newaxis]})[0]
    if answer.shape != (1, 3, 320, 320):
        raise ValueError(f"the network answered {answer.shape} instead of (1, 3, 320, 320)")
    prediction: Floats = answer.astype(np.float32)[0]
    return prediction


def render(
    frames: Sequence[Image],
    rects: Sequence[Rect],
    features: Floats,
    model_path: Path,
    *,
    loop: str = "bounce",
    interpolation: str = "cubic",
    start: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[int, int, Image]]:
    """Render output frames start .. stop-1, of as many as there are feature rows, one at a time.

    Yields:
        The output frame's number, the number of its background and rect, and the picture.
    """
    end = len(features) if stop is None else stop
    if len(frames) != len(rects):
        raise ValueError(f"{len(frames)} frames but {len(rects)} rects")
    if not 0 <= start <= end <= len(features):
        raise ValueError(f"frames {start}:{end} are not within the {len(features)} rows of features")
    session = open_session(model_path)
    for t in range(start, end):
        background = background_index(loop, t, len(frames))
        frame = frames[background]
        rect = rects[background]
        planes, crop = network_input(frame, rect, interpolation)
        prediction = predict(session, planes, audio_window(features, t))
        yield t, background, paste(frame, rect, crop, prediction, interpolation)
