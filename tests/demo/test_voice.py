"""The synthetic voice sounds like speech by the numbers."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from jobs.demo.voice import RATE, Samples, frame_loudness, make_voice, write_wav

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 150


@pytest.fixture(scope="module")
def voice() -> Samples:
    return make_voice(FRAMES / 25)


def test_it_is_mono_float_in_range_and_the_same_every_time(voice: Samples) -> None:
    assert voice.shape == (FRAMES * RATE // 25,)
    assert voice.dtype == np.float32
    assert 0.5 < np.abs(voice).max() <= 1
    np.testing.assert_array_equal(voice, make_voice(FRAMES / 25))


def test_it_has_pauses_and_the_rhythm_of_syllables(voice: Samples) -> None:
    loudness = frame_loudness(voice, FRAMES)
    quiet = loudness < 0.03 * loudness.max()
    assert 0.08 < quiet.mean() < 0.5
    # Peaks of the envelope that stand well clear of the dips beside them are syllables.
    smooth = np.convolve(loudness, [0.25, 0.5, 0.25], mode="same") / loudness.max()
    peaks = [i for i in range(1, FRAMES - 1) if smooth[i - 1] < smooth[i] >= smooth[i + 1] and smooth[i] > 0.15]
    speaking = (~quiet).sum() / 25
    assert 3 <= len(peaks) / speaking <= 5


def test_its_pitch_is_a_voices_and_moves(voice: Samples) -> None:
    pitches = []
    for start in range(0, len(voice) - 1024, 640):
        block = voice[start : start + 1024].astype(np.float64)
        if np.sqrt((block**2).mean()) < 0.08:
            continue
        spectrum = np.abs(np.fft.rfft(block * np.hanning(1024), 4096)) ** 2
        echo = np.fft.irfft(spectrum)
        low, high = RATE // 320, RATE // 110
        best = low + int(np.argmax(echo[low:high]))
        if echo[best] > 0.5 * echo[0]:
            pitches.append(RATE / best)
    assert len(pitches) > 20
    assert 150 < np.median(pitches) < 240
    assert np.percentile(pitches, 90) - np.percentile(pitches, 10) > 20


def test_the_wav_holds_the_samples(voice: Samples, tmp_path: Path) -> None:
    write_wav(tmp_path / "v.wav", voice)
    with wave.open(str(tmp_path / "v.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, RATE, 2)
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32767
    np.testing.assert_allclose(read, voice, atol=1 / 32767)
