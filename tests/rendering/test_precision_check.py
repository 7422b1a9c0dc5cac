"""What half precision costs, in levels and in dB."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.core.precision_report import PrecisionReport


def planes(*levels: int) -> np.ndarray:
    """Frames of one level each."""
    return np.stack([np.full((3, 4, 4), level, np.uint8) for level in levels])


def test_equal_frames_are_infinitely_near() -> None:
    report = PrecisionReport.of(planes(0, 255), planes(0, 255))
    assert report == PrecisionReport(frames=2, worst=0, mean=0.0, psnr=math.inf)
    assert report.passes


def test_differences_count_in_both_directions() -> None:
    report = PrecisionReport.of(planes(3, 253), planes(0, 255))
    assert (report.frames, report.worst, report.mean) == (2, 3, 2.5)
    # The mean of the squares is (9 + 4) / 2.
    assert report.psnr == pytest.approx(10 * math.log10(255**2 / 6.5))
    assert not report.passes


@pytest.mark.parametrize(("level", "passes"), [(4, True), (5, False)])
def test_one_value_may_differ_by_four_levels_and_no_more(level: int, passes: bool) -> None:
    found = np.zeros((1, 3, 64, 64), np.uint8)
    found[0, 0, 0, 0] = level
    report = PrecisionReport.of(found, np.zeros_like(found))
    assert report.psnr > 70
    assert report.passes is passes


def test_a_level_everywhere_is_too_far() -> None:
    """One level everywhere is 48 dB."""
    assert not PrecisionReport.of(planes(1), planes(0)).passes
