"""Speech activity against rules applied one hop and one frame at a time, and on sounds whose answer is known."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.voice_activity import RATE, hop_powers, mouth_opacities, speech_hops

Samples = NDArray[np.float32]
HOP = 160


def voice(seconds: float, level: float = 0.1, seed: int = 0) -> Samples:
    """Syllables: noise that swells and fades four times a second."""
    count = round(seconds * RATE)
    swell = np.abs(np.sin(np.pi * 4 * np.arange(count) / RATE)) + 0.1
    return np.asarray(np.random.default_rng(seed).normal(0, level, count) * swell, np.float32)


def hiss(seconds: float, decibels: float, seed: int = 1) -> Samples:
    count = round(seconds * RATE)
    return np.random.default_rng(seed).normal(0, 10 ** (decibels / 20), count).astype(np.float32)


def spoken(samples: Samples) -> NDArray[np.bool_]:
    return speech_hops(hop_powers([samples]))


def shares(samples: Samples, fps: int = 25) -> list[int]:
    return [int(share) for share in mouth_opacities(spoken(samples), round(len(samples) / RATE * fps), fps)]


# The rules, one at a time


def slow_powers(samples: Samples) -> list[float]:
    sound = [float(value) for value in samples]
    emphasised = [now - 0.97 * before for now, before in zip(sound, [0.0, *sound[:-1]], strict=False)]
    emphasised += [0] * (-len(sound) % HOP)
    return [math.fsum(y * y for y in emphasised[i : i + HOP]) / HOP for i in range(0, len(emphasised), HOP)]


def slow_speech(powers: list[float]) -> list[bool]:
    """Levels of 30 ms; P.56's threshold; a state machine with hysteresis, hang and lead."""
    quiet = [0.0, *powers, 0.0]
    levels = [10 * math.log10(max(1e-12, sum(quiet[i : i + 3]) / 3)) for i in range(len(powers))]
    threshold = -70.0
    while active := sum(
        any(level >= threshold for level in levels[max(0, i - 20) : i + 1]) for i in range(len(levels))
    ):
        if 10 * math.log10(sum(powers) / active) - threshold <= 15.9:
            break
        threshold += 0.5
    held = [False] * len(levels)
    for i, level in enumerate(levels):
        if level >= threshold:
            for step in (-1, 1):
                j = i
                while 0 <= j < len(levels) and levels[j] >= threshold - 6:
                    held[j] = True
                    j += step
    return [any(held[max(0, i - 20) : i + 9]) for i in range(len(held))]


def slow_shares(speaking: list[bool], frames: int, fps: int) -> list[int]:
    """One frame after the other, in whole numbers of hundredths of a second times the frame rate."""
    silent = [
        not any(now and hop * fps < (i + 1) * 100 and (hop + 1) * fps > i * 100 for hop, now in enumerate(speaking))
        for i in range(frames)
    ]
    shown = []
    for pause, group in itertools.groupby(silent):
        length = len(list(group))
        shown += [not pause or (length < round(0.4 * fps) and not all(silent))] * length
    steps = round(0.16 * fps)
    distances = [min((abs(i - j) for j, there in enumerate(shown) if there), default=steps) for i in range(frames)]
    return [round(255 * max(0, steps - distance) / steps) for distance in distances]


@settings(max_examples=examples(25))
@given(st.integers(0, 3000), st.integers(0, 99))
def test_powers_are_mean_squares_of_what_is_emphasised(count: int, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, count).astype(np.float32)
    np.testing.assert_allclose(hop_powers([samples]), slow_powers(samples), rtol=1e-12)


@settings(max_examples=examples(20))
@given(st.integers(0, 9000), st.lists(st.integers(0, 1500), min_size=1, max_size=5).filter(any))
def test_how_sound_is_cut_changes_no_bit(count: int, sizes: list[int]) -> None:
    samples = voice(count / RATE)

    def pieces() -> Iterator[Samples]:
        position = 0
        for size in itertools.cycle(sizes):
            yield samples[position : position + size]
            position += size
            if position >= count:
                return

    assert np.array_equal(hop_powers(pieces()), hop_powers([samples]))


stretches = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([-120.0, -75.0, -60.0, -50.0, -42.0, -38.0, -30.0, -20.0, -3.0])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(60))
@given(stretches, st.integers(0, 99))
def test_speech_is_what_the_rules_say(parts: list[tuple[int, float]], seed: int) -> None:
    levels = np.concatenate([np.full(length, level) for length, level in parts])
    # Levels that no step of the threshold meets, so that rounding decides nothing.
    powers = 10 ** ((levels + np.random.default_rng(seed).uniform(0, 0.4, len(levels))) / 10)
    assert speech_hops(powers).tolist() == slow_speech(powers.tolist())


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(st.integers(1, 70), st.booleans()), max_size=10),
    st.integers(-5, 5),
    st.sampled_from([20, 25, 30]),
)
def test_shares_are_what_the_rules_say(parts: list[tuple[int, bool]], more: int, fps: int) -> None:
    speaking = [now for length, now in parts for _ in range(length)]
    frames = max(1, round(len(speaking) / 100 * fps) + more)
    found = mouth_opacities(np.array(speaking, np.bool_), frames, fps)
    assert found.dtype == np.uint8
    assert found.tolist() == slow_shares(speaking, frames, fps)


# Sounds whose answer is known


def test_a_pause_is_silence_and_nothing_else_is() -> None:
    sound = np.concatenate([voice(1.0), hiss(1.0, -60), voice(1.0, seed=2)])
    found = shares(sound)
    # Speech hangs on for 0.2 s and begins 0.08 s early; each way fades in 0.16 s.
    assert found[:30] == [255] * 30
    assert found[48:] == [255] * 27
    assert found[36:42] == [0] * 6
    for way in (found[30:36], found[48:41:-1]):
        assert all(later <= sooner <= later + 64 for sooner, later in itertools.pairwise(way))


@pytest.mark.parametrize("factor", [0.02, 0.3, 3.0])
def test_how_loud_the_recording_is_does_not_matter(factor: float) -> None:
    sound = np.concatenate([voice(1.0), hiss(1.0, -55), voice(0.5, seed=2)])
    assert np.array_equal(spoken(sound), spoken(sound * np.float32(factor)))


@pytest.mark.parametrize("sound", [np.zeros(RATE, np.float32), hiss(1.0, -75), np.zeros(0, np.float32)])
def test_a_recording_of_nothing_shows_the_background(sound: Samples) -> None:
    assert not spoken(sound).any()
    assert mouth_opacities(spoken(sound), 25, 25).tolist() == [0] * 25


def test_what_cannot_be_told_from_speech_is_rendered() -> None:
    """Of two faults the lesser: a mouth that is rendered in a pause, not one that stands still in a word."""
    assert shares(hiss(2.0, -40)) == [255] * 50
    assert shares(np.concatenate([voice(1.0), hiss(1.0, -28), voice(1.0)])) == [255] * 75


def test_hum_and_an_offset_are_silence() -> None:
    at = np.arange(RATE) / RATE
    hum = np.asarray(0.01 * np.sin(2 * np.pi * 50 * at) + 0.05, np.float32)
    assert 0 in shares(np.concatenate([voice(1.0), hum, voice(1.0)]))


def test_short_pauses_are_rendered() -> None:
    word = voice(0.5)
    sound = np.concatenate([word, hiss(0.5, -60)] * 4 + [word])
    assert shares(sound) == [255] * round(25 * len(sound) / RATE)


def test_a_voice_that_trails_off_is_speech_to_its_end() -> None:
    tail = voice(1.0, level=0.1) * np.linspace(1, 0.1, RATE, dtype=np.float32)
    found = shares(np.concatenate([voice(1.0), tail, hiss(2.0, -70)]))
    assert found[:50] == [255] * 50
    assert found[-25:] == [0] * 25


def test_a_frame_of_sound_is_enough() -> None:
    assert shares(voice(0.04)) == [255]
    assert mouth_opacities(np.ones(1, np.bool_), 1, 25).tolist() == [255]
