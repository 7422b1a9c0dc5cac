"""A slow, obvious renderer for every kind of network, written from the facts alone: the oracle of the kinds' tests.

It imports nothing of this project and shares no code with it. "domain n.n" names the section of the domain facts that a
function follows; S, U and W2L are the programs that the facts were read from (SyncTalk_2D, Ultralight-Digital-Human,
Wav2Lip). Images are (height, width, 3) uint8 in BGR order; rects are (x0, y0, x1, y1) in pixels, half-open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Rect: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class Facts:
    """What is known of a kind of network."""

    crop: int  # the face is resized to crop x crop
    border: int  # pixels of the crop on each side that the network does not see and that stay as they were
    black: Rect  # what is black in the masked copy, in the network's own pixels
    masked_first: bool  # whether planes 0-2 are the masked copy (else the reference)
    crop_filter: int
    paste_filter: int
    row: tuple[int, ...]  # one row of features
    rows: int  # rows in one window
    tensor: tuple[int, ...]  # the audio tensor of one frame
    fps: float
    loop: str


def _unet(
    crop: int, filters: tuple[int, int], audio: tuple[tuple[int, ...], int, tuple[int, ...]], fps: float
) -> Facts:
    """A UNet: border 4, black is OpenCV's rectangle of x 5, y 5, width side - 10, height side - 15."""
    side = crop - 8
    row, rows, tensor = audio
    black = (5, 5, 5 + side - 10, 5 + side - 15)
    return Facts(crop, 4, black, False, *filters, row, rows, tensor, fps, "bounce")


# S enlarges and shrinks by bicubic at 328; at 160 its INTER_AREA stands where the destination
# belongs, so both are bilinear. U's rewrite, which has the windows of 8 rows, means INTER_AREA and gets it.
_CUBIC = (cv2.INTER_CUBIC, cv2.INTER_CUBIC)
_LINEAR = (cv2.INTER_LINEAR, cv2.INTER_LINEAR)
_AREA = (cv2.INTER_AREA, cv2.INTER_LINEAR)

# A feature row, the rows of a window, and the tensor that the window becomes.
_AVE = ((512,), 16, (32, 16, 16))
_HUBERT_16 = ((2, 1024), 16, (32, 32, 32))
_HUBERT_8 = ((2, 1024), 8, (16, 32, 32))
_WENET_16 = ((16, 512), 16, (256, 16, 32))
_WENET_8 = ((16, 512), 8, (128, 16, 32))

KINDS: dict[str, Facts] = {
    "unet-328-ave": _unet(328, _CUBIC, _AVE, 25),
    "unet-328-hubert-16": _unet(328, _CUBIC, _HUBERT_16, 25),
    "unet-328-hubert-8": _unet(328, _CUBIC, _HUBERT_8, 25),
    "unet-328-wenet-16": _unet(328, _CUBIC, _WENET_16, 20),
    "unet-328-wenet-8": _unet(328, _CUBIC, _WENET_8, 20),
    "unet-160-ave": _unet(168, _LINEAR, _AVE, 25),
    "unet-160-hubert-16": _unet(168, _LINEAR, _HUBERT_16, 25),
    "unet-160-hubert-8": _unet(168, _AREA, _HUBERT_8, 25),
    "unet-160-wenet-16": _unet(168, _LINEAR, _WENET_16, 20),
    "unet-160-wenet-8": _unet(168, _AREA, _WENET_8, 20),
    # One row of "features" is one of 80 rows of mel a second.
    "wav2lip-96": Facts(96, 0, (0, 48, 96, 96), True, *_LINEAR, (80,), 16, (1, 80, 16), 25, "wrap"),
    # The same contract at 256.
    "wav2lip-256": Facts(256, 0, (0, 128, 256, 256), True, *_LINEAR, (80,), 16, (1, 80, 16), 25, "wrap"),
}


# Which background goes with which output frame


def background_index(loop: str, t: int, n: int) -> int:
    """bounce: step t + 1 times from frame 0 and turn at the ends; wrap: begin again after the last."""
    if t < 0 or n < 1:
        raise ValueError(f"output frame {t} of {n} backgrounds does not exist")
    if loop == "wrap":
        return t % n
    if loop != "bounce":
        raise ValueError(loop)
    index, direction = 0, 1
    for _ in range(t + 1 if n > 1 else 0):
        if index == n - 1:
            direction = -1
        if index == 0:
            direction = 1
        index += direction
    return index


# Audio windows


def output_frames(facts: Facts, features: Floats) -> int:
    """As many as there are feature rows, or as there are mel windows."""
    if facts.tensor != (1, 80, 16):
        return len(features)
    if len(features) < 16:
        raise ValueError(f"{len(features)} rows of mel do not fill one window of 16")
    i = 0
    while int(i * 80 / facts.fps) + 16 <= len(features):
        i += 1
    return i + 1


def audio_tensor(facts: Facts, features: Floats, i: int) -> Floats:
    """The audio of output frame i."""
    if facts.tensor == (1, 80, 16):
        return mel_window(features, i, facts.fps)
    return feature_window(facts, features, i)


def feature_window(facts: Facts, features: Floats, i: int) -> Floats:
    """Half of the rows before row i, the rest from it on, zeros where there is no row; flat row-major view (3.4)."""
    window = np.zeros((facts.rows, *facts.row), dtype=np.float32)
    for step in range(facts.rows):
        row = i - facts.rows // 2 + step
        if 0 <= row < len(features):
            window[step] = features[row]
    return window.reshape(facts.tensor)


def mel_window(mel: Floats, i: int, fps: float) -> Floats:
    """16 rows of mel from int(80 i / fps), the last 16 where those would run out, bands first."""
    start = int(i * 80 / fps)
    if start + 16 > len(mel):
        start = len(mel) - 16
    if start < 0:
        raise ValueError(f"{len(mel)} rows of mel do not fill one window of 16")
    tensor = np.zeros((1, 80, 16), dtype=np.float32)
    for step in range(16):
        for band in range(80):
            tensor[0, band, step] = mel[start + step, band]
    return tensor


def mel_bank() -> NDArray[np.float64]:
    """80 triangles from 55 to 7600 Hz, even on Slaney's scale and of equal area, over 401 bins."""

    def to_mel(hertz: float) -> float:
        return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)

    def to_hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    low, high = to_mel(55.0), to_mel(7600.0)
    edges = [to_hertz(low + (high - low) * k / 81) for k in range(82)]
    bank = np.zeros((80, 401))
    for band in range(80):
        left, middle, right = edges[band : band + 3]
        for k in range(401):
            hertz = k * 16000 / 800
            if left < hertz <= middle:
                bank[band, k] = (hertz - left) / (middle - left)
            elif middle < hertz < right:
                bank[band, k] = (right - hertz) / (right - middle)
        bank[band] *= 2 / (right - left)
    return bank


def mel_spectrogram(samples: NDArray[np.floating]) -> Floats:
    """(T, 80) in [-4, 4] from 16 kHz mono in [-1, 1], 80 rows a second."""
    values = [float(sample) for sample in samples]
    emphasised = np.array([value - 0.97 * values[n - 1] if n > 0 else value for n, value in enumerate(values)])
    padded = np.concatenate([np.zeros(400), emphasised, np.zeros(400)])
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / 800) for n in range(800)])
    bank = mel_bank()
    rows = []
    for start in range(0, len(samples) + 1, 200):
        magnitude = np.abs(np.fft.rfft(padded[start : start + 800] * hann))
        decibels = 20 * np.log10(np.maximum(1e-5, bank @ magnitude)) - 20
        rows.append(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4))
    return np.array(rows, dtype=np.float32)


# What the network sees


def _check_rect(frame: Image, rect: Rect) -> None:
    x0, y0, x1, y1 = rect
    height, width = frame.shape[:2]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(f"rect {rect} is not inside of its {width}x{height} frame")


def network_input(facts: Facts, frame: Image, rect: Rect) -> tuple[Floats, Image]:
    """Crop, resize, mask and lay out one frame.

    Returns:
        The planes (6, side, side) float32 in [0, 1] and the crop (crop, crop, 3) from which they were cut.
    """
    _check_rect(frame, rect)
    x0, y0, x1, y1 = rect
    crop = cv2.resize(frame[y0:y1, x0:x1], (facts.crop, facts.crop), interpolation=facts.crop_filter)
    side = facts.crop - 2 * facts.border
    planes = np.zeros((6, side, side), dtype=np.float32)
    left, top, right, bottom = facts.black
    for channel in range(3):
        seen = crop[facts.border : facts.border + side, facts.border : facts.border + side, channel]
        whole = seen.astype(np.float32) / np.float32(255)
        masked = whole.copy()
        masked[top:bottom, left:right] = 0
        planes[channel] = masked if facts.masked_first else whole
        planes[3 + channel] = whole if facts.masked_first else masked
    return planes, np.asarray(crop, dtype=np.uint8)


# What becomes of the network's answer


def to_levels(prediction: Floats) -> Image:
    """Planes (3, side, side) in [0, 1] as an image: x255 in float32, then truncated."""
    if not np.all((prediction >= 0) & (prediction <= 1)):
        raise ValueError("the network's answer leaves [0, 1] or is not a number")
    image = np.zeros((*prediction.shape[1:], 3), dtype=np.uint8)
    for channel in range(3):
        image[:, :, channel] = np.trunc(prediction[channel].astype(np.float32) * np.float32(255)).astype(np.uint8)
    return image


def paste(facts: Facts, frame: Image, rect: Rect, crop: Image, prediction: Floats) -> Image:
    """Put the prediction into the crop within its border, that back into a copy of the frame, with hard edges."""
    _check_rect(frame, rect)
    x0, y0, x1, y1 = rect
    patch = crop.copy()
    end = facts.crop - facts.border
    patch[facts.border : end, facts.border : end] = to_levels(prediction)
    result = frame.copy()
    result[y0:y1, x0:x1] = cv2.resize(patch, (x1 - x0, y1 - y0), interpolation=facts.paste_filter)
    return result


# The network


def open_session(model_path: Path) -> onnxruntime.InferenceSession:
    """A plain session on the CPU with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model_path), options, providers=["CPUExecutionProvider"])


def predict(session: onnxruntime.InferenceSession, planes: Floats, sound: Floats) -> Floats:
    """Run the network on one frame, its inputs told apart by their shapes: the first output (3, side, side)."""
    given = {"image": planes, "sound": sound}
    feed = {}
    for argument in session.get_inputs():
        sides = tuple(argument.shape[1:])
        which = [name for name, values in given.items() if values.shape == sides]
        if len(which) != 1:
            raise ValueError(f"the model's input {argument.name} {sides} is neither {planes.shape} nor {sound.shape}")
        feed[argument.name] = given.pop(which[0])[np.newaxis]
    if given:
        raise ValueError(f"the model takes no {' and no '.join(given)}")
    answer = session.run(None, feed)[0]
    if answer.shape != (1, 3, *planes.shape[1:]):
        raise ValueError(f"the network answered {answer.shape}")
    prediction: Floats = answer.astype(np.float32)[0]
    return prediction


def render(
    kind: str,
    frames: Sequence[Image],
    rects: Sequence[Rect],
    features: Floats,
    model_path: Path,
    *,
    start: int = 0,
    stop: int | None = None,
    fps: float | None = None,
) -> Iterator[tuple[int, int, Image]]:
    """Render output frames start .. stop-1, one at a time.

    Args:
        kind: a name of `KINDS`.
        frames: the backgrounds.
        rects: the face on each.
        features: (T, *row), for Wav2Lip the mel spectrogram (T, 80).
        model_path: the network.
        start: first output frame.
        stop: end of the output frames; all that the features give.
        fps: output frames a second where they are not the kind's own; W2L takes those of the backgrounds' video.

    Yields:
        The output frame's number, the number of its background and rect, and the picture.
    """
    facts = KINDS[kind] if fps is None else replace(KINDS[kind], fps=fps)
    count = output_frames(facts, features)
    end = count if stop is None else stop
    if len(frames) != len(rects):
        raise ValueError(f"{len(frames)} frames but {len(rects)} rects")
    if not 0 <= start <= end <= count:
        raise ValueError(f"frames {start}:{end} are not within the {count} that the features give")
    session = open_session(model_path)
    for t in range(start, end):
        background = background_index(facts.loop, t, len(frames))
        frame, rect = frames[background], rects[background]
        planes, crop = network_input(facts, frame, rect)
        prediction = predict(session, planes, audio_tensor(facts, features, t))
        yield t, background, paste(facts, frame, rect, crop, prediction)
