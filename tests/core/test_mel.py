"""The mel front end against a slow transform written from its definition, the family's own files, and itself in pieces.

"domain n.n" names the section of the domain facts that a check follows.
"""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.mel import (
    BANDS,
    RATE,
    SHORTEST,
    WINDOW_ROWS,
    mel_bank,
    mel_spectrogram,
    mel_windows,
    window_count,
    window_start,
)

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the family's own spectrograms are not on this machine")


# A front end that is obvious, and far too slow


def slow_mel_scale(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000, 6.4)


def slow_hertz(mel: float) -> float:
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def slow_bank(low: float = 55.0, high: float = 7600.0) -> Floats:
    first, last = slow_mel_scale(low), slow_mel_scale(high)
    corners = [slow_hertz(first + (last - first) * i / 81) for i in range(82)]
    bank = np.zeros((80, 401))
    for band in range(80):
        left, middle, right = corners[band : band + 3]
        height = 2 / (right - left)
        for k in range(401):
            hertz = 20.0 * k
            if left < hertz <= middle:
                bank[band, k] = height * (hertz - left) / (middle - left)
            elif middle < hertz < right:
                bank[band, k] = height * (right - hertz) / (right - middle)
    return bank


@cache
def turns() -> NDArray[np.complex128]:
    return np.asarray(np.exp(-2j * np.pi * np.outer(np.arange(401), np.arange(800)) / 800), np.complex128)


def slow_mel(samples: Samples, *, symmetric: bool = False, reflect: bool = False, bank: Floats | None = None) -> Floats:
    """The rows by a discrete Fourier transform that is a sum of products, and nothing cleverer."""
    sound = [float(value) for value in samples]
    emphasised = [now - 0.97 * before for now, before in zip(sound, [0.0, *sound[:-1]], strict=True)]
    margin = [0.0] * 400
    padded = np.array([*margin, *emphasised, *margin])
    if reflect:
        padded = np.pad(np.array(emphasised), 400, mode="reflect")
    n = np.arange(800)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / (799 if symmetric else 800))
    weights = slow_bank() if bank is None else bank
    rows = []
    for t in range(len(sound) // 200 + 1):
        magnitudes = np.abs(turns() @ (padded[200 * t : 200 * t + 800] * hann))
        decibels = 20 * np.log10(np.maximum(1e-5, weights @ magnitudes)) - 20
        rows.append(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4))
    return np.array(rows)


def slow_windows(rows: Floats | Samples, fps: int = 25) -> list[NDArray[np.floating]]:
    """Domain 3.2, in floating point as upstream writes it."""
    windows = []
    for k in range(int((len(rows) - 16) / 80.0 * fps) + 2):
        start = int(80.0 * k / fps)
        windows.append((rows[start : start + 16] if start + 16 <= len(rows) else rows[-16:]).T)
    return windows


def whole(samples: Samples) -> Samples:
    return np.concatenate(list(mel_spectrogram([samples])))


def windows_of(samples: Samples, fps: int = 25) -> Samples:
    return np.concatenate(list(mel_windows([samples], fps)))


def noise(count: int, seed: int = 0) -> Samples:
    """Noise with pauses, so that the floor and the clipping are met as well."""
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.choice([0.0, 1e-6, 1e-3, 0.1, 0.5], count // 500 + 1), 500)[:count]
    return np.asarray(rng.standard_normal(count) * loudness, np.float32)


def pieces(samples: Samples, sizes: list[int]) -> Iterator[Samples]:
    """The samples cut into chunks of these sizes, over and over."""
    position, turn = 0, 0
    while position < len(samples):
        size = sizes[turn % len(sizes)]
        yield samples[position : position + size]
        position, turn = position + size, turn + 1


@pytest.mark.parametrize("count", [1, 199, 200, 640, 800, 3000, 9_999])
def test_rows_are_those_of_the_definition(count: int) -> None:
    samples = noise(count)
    rows = whole(samples)
    assert rows.shape == (count // 200 + 1, BANDS)
    assert rows.dtype == np.float32
    assert np.abs(rows - slow_mel(samples)).max() < 1e-6


def test_what_is_too_loud_is_clipped_and_silence_is_the_floor() -> None:
    at = np.arange(RATE) / RATE
    rows = whole(np.asarray(4 * np.sin(2 * np.pi * 3000 * at), np.float32))
    assert rows.max() == 4
    assert (whole(np.zeros(RATE, np.float32)) == -4).all()


def test_the_bank_is_the_formulas() -> None:
    bank = mel_bank()
    assert bank.shape == (80, 401)
    assert bank.dtype == np.float32
    assert np.abs(bank - slow_bank()).max() < 1e-8
    # Every triangle has the area of 1 Hz where bins are close enough to tell.
    assert np.abs(bank[40:].sum(axis=1) * 20 - 1).max() < 0.02


def test_the_reference_tells_wrong_front_ends_apart() -> None:
    """The mistakes that look right lie far outside of the tolerance of the test above."""
    samples = noise(4000, seed=3)
    right = slow_mel(samples)
    assert np.abs(slow_mel(samples, symmetric=True) - right).max() > 1e-3
    assert np.abs(slow_mel(samples, reflect=True) - right).max() > 1e-2
    assert np.abs(slow_mel(samples, bank=slow_bank(0.0, 8000.0)) - right).max() > 1e-1


@pytest.mark.parametrize("seconds", [0.19, 0.2, 0.25, 1, 1.337, 4.72, 7])
def test_windows_are_those_of_the_definition(seconds: float) -> None:
    samples = noise(round(seconds * RATE))
    rows = whole(samples)
    windows = windows_of(samples)
    expected = slow_windows(rows)
    assert windows.shape == (len(expected), BANDS, WINDOW_ROWS)
    assert np.array_equal(windows, np.stack(expected))


@pytest.mark.parametrize("fps", [20, 25, 30])
def test_other_frame_rates_have_windows_of_their_own(fps: int) -> None:
    samples = noise(2 * RATE)
    assert np.array_equal(windows_of(samples, fps), np.stack(slow_windows(whole(samples), fps)))


@pytest.mark.parametrize("count", [1, 640, 1600, 2999])
def test_sound_shorter_than_a_window_is_heard_as_if_silence_followed(count: int) -> None:
    samples = noise(count, seed=1) + np.float32(0.1)
    followed = np.pad(samples, (0, SHORTEST - count))
    windows = windows_of(samples)
    assert len(windows) == 2
    assert np.array_equal(windows, windows_of(followed))
    # Without the padding there would be fewer rows than a window has.
    assert len(whole(samples)) < WINDOW_ROWS == len(whole(followed))


def test_counts_are_upstreams_and_never_more_than_there_are_rows() -> None:
    """Upstream's floating point gives one window less than exact arithmetic for some lengths; so must ours."""
    counts = {rows: window_count(rows, 25) for rows in range(16, 20_000)}
    assert counts == {rows: int((rows - 16) / 80 * 25) + 2 for rows in counts}
    assert [rows for rows in counts if counts[rows] != (rows - 16) * 25 // 80 + 2][:2] == [384, 672]
    # 20.92 s of the Sanders recording: 334,739 samples, 520 encoded windows (522 with both ends doubled).
    assert window_count(334_739 // 200 + 1, 25) == 520
    assert [window_start(k, 25) for k in range(6)] == [0, 3, 6, 9, 12, 16]


@settings(max_examples=examples(20))
@given(
    st.integers(0, 40_000),
    st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_how_sound_is_cut_changes_no_bit(count: int, sizes: list[int], seed: int) -> None:
    samples = noise(count, seed)
    parts = list(pieces(samples, sizes))
    assert np.array_equal(np.concatenate(list(mel_spectrogram(parts))), whole(samples))
    assert np.array_equal(np.concatenate(list(mel_windows(parts, 25))), windows_of(samples))


@pytest.mark.parametrize("size", [1, 7, 200])
def test_tiny_chunks_change_no_bit(size: int) -> None:
    # More than one block of rows, whose boundary a wrong state would show at.
    samples = noise(200 * 128 + 3001)
    assert np.array_equal(np.concatenate(list(mel_windows(pieces(samples, [size]), 25))), windows_of(samples))


def test_empty_chunks_are_nothing() -> None:
    samples = noise(5000)
    empty = np.zeros(0, np.float32)
    parts = [empty, samples[:1], empty, samples[1:], empty]
    assert np.array_equal(np.concatenate(list(mel_spectrogram(parts))), whole(samples))


def test_windows_come_while_the_sound_still_goes_on() -> None:
    """What memory depends on: an hour must not be held before its first window is given out."""
    heard = 0

    def listening() -> Iterator[Samples]:
        nonlocal heard
        for _ in range(120):
            heard += 1
            yield np.zeros(RATE, np.float32)

    windows = mel_windows(listening(), 25)
    next(windows)
    assert heard < 5
    largest = max(len(part) for part in windows)
    assert largest < 100


@needs_data
@pytest.mark.parametrize("name", ["sine440", "speech640ms"])
def test_the_familys_own_spectrograms_are_reproduced(name: str) -> None:
    samples, expected = (np.load(DATA / "mel" / f"{name}_{what}.npy") for what in ("audio", "mel"))
    rows = whole(samples)
    assert rows.shape == expected.shape
    assert np.abs(rows - expected).max() < 1e-6


@needs_data
def test_the_familys_own_bank_is_reproduced_to_the_last_bit() -> None:
    assert np.array_equal(mel_bank(), np.load(DATA / "mel" / "mel_filters_16k_800_80_55_7600.npy"))


@needs_data
def test_no_trap_is_reproduced() -> None:
    traps = DATA / "traps"
    assert np.abs(mel_bank() - np.load(traps / "mel_filters_WRONG_0_8000.npy")).max() > 0.01
    rows = whole(np.load(DATA / "mel" / "speech640ms_audio.npy"))
    wrong = np.load(traps / "reference_mel_spec_WRONG_48x80.npy")
    assert len(rows) != len(wrong)
    assert np.abs(rows[: len(wrong)] - wrong).max() > 1
    normalised = np.load(traps / "mel_for_encoder_WRONG_norm.npy")
    starts = range(len(rows) - len(normalised) + 1)
    assert min(np.abs(rows[start : start + len(normalised)] - normalised).max() for start in starts) > 1
