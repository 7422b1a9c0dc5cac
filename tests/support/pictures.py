"""Frames and squares of any size and content, for tests of encoders."""

import cv2
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

CONTENTS = ["noise", "flat", "slope"]


def picture(content: str, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """``(height, width, 3)``: noise, one colour, or slopes that run into 0 and 255."""
    rng = np.random.default_rng(seed)
    if content == "noise":
        return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    if content == "flat":
        return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    slope = rng.normal(0, 3, (2, 3))
    y, x = np.mgrid[0:height, 0:width]
    levels = 128 + y[..., None] * slope[0] + x[..., None] * slope[1]
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


@st.composite
def spans(draw: st.DrawFn, size: int) -> tuple[int, int]:
    """Part of a side, half-open: a pixel, all of it, at either end, or in between."""
    length = draw(st.one_of(st.sampled_from([1, size]), st.integers(1, size)))
    start = draw(st.one_of(st.sampled_from([0, size - length]), st.integers(0, size - length)))
    return start, start + length


def by_opencv(content: bytes) -> NDArray[np.uint8]:
    """What OpenCV decodes, as it is in the file."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image, np.uint8)
