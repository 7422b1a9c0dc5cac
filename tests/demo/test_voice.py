"""The synthetic voices sound like speech by the numbers."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from jobs.demo.voice import PRESENTER, RATE, SECOND, Samples, Speaker, frame_loudness, make_voice, write_wav

if TYPE_CHECKING:
    from pathlib import Path

# How many frames each speaks for.
FRAMES = {PRESENTER: 150, SECOND: 110}


@pytest.fixture(scope="module", params=FRAMES, ids=["presenter", "second"])
def speaker(request: pytest.FixtureRequest) -> Speaker:
    found = request.param
    assert isinstance(found, Speaker)
    return found


@pytest.fixture(scope="module")
def voice(speaker: Speaker) -> Samples:
    return make_voice(FRAMES[speaker] / 25, speaker)


def test_it_is_mono_float_in_range_and_the_same_every_time(speaker: Speaker, voice: Samples) -> None:
    assert voice.shape == (FRAMES[speaker] * RATE // 25,)
    assert voice.dtype == np.float32
    assert 0.5 < np.abs(voice).max() <= 1
    np.testing.assert_array_equal(voice, make_voice(FRAMES[speaker] / 25, speaker))


def test_it_has_pauses_and_the_rhythm_of_syllables(speaker: Speaker, voice: Samples) -> None:
    frames = FRAMES[speaker]
    loudness = frame_loudness(voice, frames)
    quiet = loudness < 0.03 * loudness.max()
    assert 0.08 < quiet.mean() < 0.5
    # Peaks of the envelope that stand well clear of the dips beside them are syllables.
    smooth = np.convolve(loudness, [0.25, 0.5, 0.25], mode="same") / loudness.max()
    peaks = [i for i in range(1, frames - 1) if smooth[i - 1] < smooth[i] >= smooth[i + 1] and smooth[i] > 0.15]
    speaking = (~quiet).sum() / 25
    assert 3 <= len(peaks) / speaking <= 5


def test_its_pitch_is_a_womans_or_a_mans_and_moves(speaker: Speaker, voice: Samples) -> None:
    pitches = []
    for start in range(0, len(voice) - 1024, 640):
        block = voice[start : start + 1024].astype(np.float64)
        if np.sqrt((block**2).mean()) < 0.08:
            continue
        spectrum = np.abs(np.fft.rfft(block * np.hanning(1024), 4096)) ** 2
        echo = np.fft.irfft(spectrum)
        low, high = round(RATE / (190 * speaker.pitch)), round(RATE / (68 * speaker.pitch))
        best = low + int(np.argmax(echo[low:high]))
        if echo[best] > 0.5 * echo[0]:
            pitches.append(RATE / best)
    assert len(pitches) > 20
    lowest, highest = (150, 240) if speaker is PRESENTER else (85, 145)
    assert lowest < np.median(pitches) < highest
    assert np.percentile(pitches, 90) - np.percentile(pitches, 10) > 12 * speaker.pitch


def test_the_wav_holds_the_samples(voice: Samples, tmp_path: Path) -> None:
    write_wav(tmp_path / "v.wav", voice)
    with wave.open(str(tmp_path / "v.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, RATE, 2)
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32767
    np.testing.assert_allclose(read, voice, atol=1 / 32767)
