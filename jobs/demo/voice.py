"""The demo's voices: a small formant synthesiser."""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from jobs.demo.phonemes import PRESENTATION, REPLY, Phrase, segments

if TYPE_CHECKING:
    from pathlib import Path

Samples: TypeAlias = npt.NDArray[np.float32]
Curve: TypeAlias = npt.NDArray[np.float64]

RATE = 16_000
# Frames per second of the demo's network.
FPS = 25
PER_FRAME = RATE // FPS
SEED = 328

# Control values change every 5 ms and glide over about 40 ms, as a tongue does.
_STEP = 80
_GLIDE = 9
_BANDWIDTHS = (80.0, 110.0, 160.0, 220.0, 260.0)
_HIGH_FORMANTS = (3900.0, 5000.0)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice and what it says.

    Attributes:
        phrases: what it says.
        tract: factor on the formants of `jobs.demo.phonemes`, which are men's; a shorter vocal tract has higher ones.
        pitch: factor on the phrases' pitches.
    """

    phrases: Sequence[Phrase]
    tract: float = 1.0
    pitch: float = 1.0


PRESENTER = Speaker(PRESENTATION, tract=1.13, pitch=1.65)
SECOND = Speaker(REPLY)


def _glide(values: Curve, width: int) -> Curve:
    kernel = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _controls(speaker: Speaker, seconds: float) -> dict[str, Curve]:
    """The synthesiser's control curves, one value per `_STEP` samples."""
    steps = math.ceil(seconds * RATE / _STEP)
    spoken = segments(speaker.phrases)
    ends = np.cumsum([s.seconds for s in spoken]) * RATE / _STEP
    which = np.minimum(np.searchsorted(ends, np.arange(steps), side="right"), len(spoken))
    sounds = [*(s.sound for s in spoken), spoken[0].sound]
    pitch = [*(s.pitch for s in spoken), spoken[-1].pitch]

    def curve(values: list[float], width: int) -> Curve:
        return _glide(np.array(values, np.float64)[which], width)

    curves = {f"f{i + 1}": curve([speaker.tract * s.formants[i] for s in sounds], _GLIDE) for i in range(3)}
    curves |= {f"f{i + 4}": np.full(steps, hertz) for i, hertz in enumerate(_HIGH_FORMANTS)}
    curves["voice"] = curve([s.voice for s in sounds], 7)
    curves["breath"] = curve([s.breath for s in sounds], 5)
    curves["hiss"] = curve([s.hiss[0] for s in sounds], 5)
    curves["hiss_at"] = curve([s.hiss[1] for s in sounds], 3)
    curves["pitch"] = speaker.pitch * curve(pitch, 31)
    return curves


def _folds(curves: dict[str, Curve], count: int) -> Curve:
    """Flow derivative of the vocal folds: Rosenberg's pulse (1971), open for 60 % of each period."""
    at = np.arange(count) / _STEP
    steps = np.arange(len(curves["pitch"]))
    pitch = np.interp(at, steps, curves["pitch"])
    # A slow drift and a 5 Hz tremble keep the tone from sounding like a buzzer.
    seconds = np.arange(count) / RATE
    pitch = pitch * (1 + 0.008 * np.sin(2 * np.pi * 5.1 * seconds) + 0.006 * np.sin(2 * np.pi * 1.7 * seconds))
    phase = np.cumsum(pitch / RATE) % 1.0
    rise, fall = 0.42, 0.18
    flow = np.where(phase < rise, 0.5 - 0.5 * np.cos(np.pi * phase / rise), 0.0)
    falling = (phase >= rise) & (phase < rise + fall)
    flow = np.where(falling, np.cos(0.5 * np.pi * (phase - rise) / fall), flow)
    return np.diff(flow, prepend=0.0) * np.interp(at, steps, curves["voice"])


def _resonate(signal: Curve, centres: Curve, bandwidth: float) -> Curve:
    """A two-pole resonator (Klatt 1980) whose centre moves every `_STEP` samples; unit gain at 0 Hz."""
    c = -math.exp(-2 * math.pi * bandwidth / RATE)
    scale = 2 * math.exp(-math.pi * bandwidth / RATE)
    y1 = y2 = 0.0
    out: list[float] = []
    for step, centre in enumerate(centres.tolist()):
        b = scale * math.cos(2 * math.pi * centre / RATE)
        a = 1 - b - c
        for x in signal[step * _STEP : (step + 1) * _STEP].tolist():
            y = a * x + b * y1 + c * y2
            y2, y1 = y1, y
            out.append(y)
    return np.array(out)


def make_voice(seconds: float = 6.0, speaker: Speaker = PRESENTER) -> Samples:
    """Has a speaker say its phrases.

    Args:
        seconds: length of the result; the presenter speaks for about six, and what is over is silence.
        speaker: who speaks.

    Returns:
        Mono samples at 16 kHz in [-1, 1]; the same every time.
    """
    count = round(seconds * RATE)
    curves = _controls(speaker, seconds)
    at = np.arange(count) / _STEP
    steps = np.arange(len(curves["pitch"]))
    noise = np.random.default_rng(SEED).standard_normal(count)

    source = _folds(curves, count) + 0.02 * noise * np.interp(at, steps, curves["breath"])
    # Every glottis closes more sharply than the pulse's cosine; this lifts the high end as much.
    spoken = source - 0.7 * np.concatenate([[0.0], source[:-1]])
    for i, bandwidth in enumerate(_BANDWIDTHS):
        spoken = _resonate(spoken, curves[f"f{i + 1}"], bandwidth)
    # The difference takes the mean out of the noise, as the lips do when they radiate.
    hiss = np.diff(_resonate(noise, curves["hiss_at"], 1200.0), prepend=0.0)
    hiss *= np.interp(at, steps, curves["hiss"])
    voice = spoken / np.abs(spoken).max() + 0.35 * hiss / np.abs(hiss).max()
    return np.asarray(0.8 * voice / np.abs(voice).max(), np.float32)


def frame_loudness(samples: Samples, frames: int) -> Samples:
    """Root mean square of every video frame's 40 ms of sound.

    Args:
        samples: mono at 16 kHz; silence follows where the frames are longer.
        frames: how many.

    Returns:
        ``(frames,)`` float32, at least 0.
    """
    padded = np.zeros(frames * PER_FRAME, np.float32)
    padded[: min(len(samples), len(padded))] = samples[: len(padded)]
    return np.asarray(np.sqrt(np.square(padded.reshape(frames, PER_FRAME)).mean(axis=1)), np.float32)


def write_wav(path: Path, samples: Samples) -> None:
    """Writes mono 16-bit sound at 16 kHz; values beyond [-1, 1] are clipped."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes())
