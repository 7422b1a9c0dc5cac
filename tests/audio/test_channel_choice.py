"""Which channels are heard: the mean, unless it would lose the voice; every other choice is said."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.audio.channel_choice import ChannelChoice, Levels

Samples = NDArray[np.float32]

RATE = 8000


def noise(seed: int, seconds: float = 3.0, level: float = 0.1) -> Samples:
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).astype(np.float32)


def choice(layout: str, *channels: Samples) -> ChannelChoice:
    names = tuple(channel.name for channel in av.AudioLayout(layout).channels)
    assert len(names) == len(channels)
    samples = np.stack(channels)
    levels = Levels(names, layout)
    for start in range(0, samples.shape[1], RATE):
        levels.add(samples[:, start : start + RATE])
    return levels.choice()


VOICE, OTHER, THIRD, FOURTH = (noise(seed) for seed in range(4))
SILENCE = np.zeros_like(VOICE)
MEAN = ChannelChoice()


def test_what_the_mean_keeps_is_averaged_without_a_word() -> None:
    assert choice("mono", VOICE) == MEAN
    assert choice("mono", SILENCE) == MEAN
    assert choice("stereo", VOICE, VOICE) == MEAN
    assert choice("stereo", VOICE, OTHER) == MEAN
    # Two people at two microphones, one of whom says little and in the distance.
    assert choice("stereo", VOICE, np.where(np.arange(len(OTHER)) < RATE, OTHER / 30, 0).astype(np.float32)) == MEAN
    assert choice("stereo", SILENCE, SILENCE) == MEAN
    assert choice("stereo", VOICE, -0.05 * VOICE) == MEAN
    # A voice in the middle, and a room at its sides.
    assert choice("stereo", VOICE + OTHER, VOICE - OTHER) == MEAN
    assert choice("quad", VOICE, OTHER, THIRD, FOURTH) == MEAN
    assert choice("5.1", *(VOICE,) * 6) == MEAN
    assert choice("8 channels", *(noise(seed) for seed in range(8))) == MEAN
    assert choice("3.0", VOICE, VOICE, VOICE) == MEAN


@pytest.mark.parametrize("gain", [-1.0, -0.7, -1.2, -0.3])
@pytest.mark.parametrize("hiss", [0.0, 0.01])
def test_of_opposed_channels_the_loudest_is_heard(gain: float, hiss: float) -> None:
    found = choice("stereo", VOICE, gain * VOICE + hiss * OTHER)
    # Which of two equals, is the first; hiss alone makes the other one louder.
    assert found.channels == (0 if gain > -1 or (gain == -1 and not hiss) else 1,)
    assert "oppose each other (one is another's negative)" in found.warning
    quad = choice("4 channels", 0.5 * VOICE, -0.5 * VOICE, VOICE, -VOICE)
    assert quad.channels == (2,)


@pytest.mark.parametrize("layout", ["8 channels", "6 channels", "octagonal"])
def test_a_channel_that_holds_nearly_all_is_heard_alone(layout: str) -> None:
    """A voice on one track of many, where nothing says which; the others have hiss, so that none is empty."""
    count = len(av.AudioLayout(layout).channels)
    channels = [noise(10 + place, level=0.004) for place in range(count)]
    channels[3] = VOICE
    found = choice(layout, *channels)
    assert found.channels == (3,)
    assert "holds nearly all of its sound" in found.warning
    assert f"would be {16 if count == 6 else 18} dB quieter" in found.warning


def test_partly_opposed_channels_are_averaged_with_a_warning() -> None:
    found = choice("stereo", 0.3 * VOICE + OTHER, 0.3 * VOICE - OTHER)
    assert found.channels is None
    assert "in part" in found.warning


def test_channels_that_are_opposed_for_a_while_only_are_warned_of() -> None:
    flipped = np.where(np.arange(len(VOICE)) < 2 * RATE, VOICE, -VOICE).astype(np.float32)
    found = choice("stereo", VOICE, flipped)
    assert found.channels is None
    assert "in 1 of 3 seconds its channels cancel" in found.warning


@pytest.mark.parametrize("layout", ["3.0", "5.0", "5.1", "5.1(side)", "7.0", "7.1"])
@pytest.mark.parametrize("music", [0.0, 0.1, 2.0])
def test_the_centre_is_heard_where_the_mean_would_cover_it(layout: str, music: float) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    channels = [VOICE if name == "FC" else music * noise(9 + place) for place, name in enumerate(names)]
    found = choice(layout, *channels)
    assert found.channels == (names.index("FC"),)
    assert f"its centre ({layout}) is used alone" in found.warning


def test_an_empty_centre_is_not_heard() -> None:
    found = choice("5.1", VOICE, OTHER, 1e-3 * THIRD, SILENCE, SILENCE, SILENCE)
    assert found.channels == (0, 1)
    assert "only channel 1 (FL) and channel 2 (FR) of its 6 channels hold sound" in found.warning


@pytest.mark.parametrize("layout", ["stereo", "quad", "3 channels", "6 channels", "7.1", "16 channels"])
@pytest.mark.parametrize("hum", [0.0, 1e-3])
def test_a_voice_in_one_channel_is_heard_as_loud_as_it_is(layout: str, hum: float) -> None:
    count = av.AudioLayout(layout).nb_channels
    found = choice(layout, *(hum * noise(place) for place in range(1, count)), VOICE)
    assert found.channels == (count - 1,)
    assert "holds sound" in found.warning


def test_ambisonic_sound_is_heard_by_its_first_channel() -> None:
    assert choice("ambisonic 1", VOICE, OTHER, THIRD, FOURTH).channels == (0,)
