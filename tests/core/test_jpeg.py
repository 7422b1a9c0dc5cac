"""Spliced JPEG files are OpenCV's own, byte for byte, whatever the frame's size and wherever the square lies."""

import io
import pickle
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
import pytest
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import CONTENTS, by_opencv, picture, spans

from actors.core.clip import FaceBox
from actors.core.jpeg import JpegBackground, encode_jpeg, prepare_jpeg, restart_interval, splice_jpeg
from actors.core.pixels import Image, paste

# Partial MCUs to the right and below, rows of one MCU, of a prime number of them, of one and of several intervals.
WIDTHS = [1, 15, 16, 17, 128, 200, 255, 256, 257, 270, 288, 304, 512]
HEIGHTS = [1, 8, 9, 16, 17, 47, 48, 96]


class Case(NamedTuple):
    width: int
    height: int
    box: FaceBox
    quality: int
    content: str
    seed: int = 1


@st.composite
def cases(draw: st.DrawFn) -> Case:
    width = draw(st.one_of(st.sampled_from(WIDTHS), st.integers(1, 300)))
    height = draw(st.one_of(st.sampled_from(HEIGHTS), st.integers(1, 100)))
    (x0, x1), (y0, y1) = draw(spans(width)), draw(spans(height))
    return Case(
        width,
        height,
        FaceBox(x0, y0, x1, y1),
        draw(st.one_of(st.sampled_from([1, 50, 95, 100]), st.integers(1, 100))),
        draw(st.sampled_from(CONTENTS)),
        draw(st.integers(0, 2**32 - 1)),
    )


def plain(image: Image, quality: int) -> bytes:
    """What OpenCV makes of a frame when it is told the quality alone."""
    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return content.tobytes()


def by_pillow(content: bytes) -> Image:
    return np.asarray(PIL.Image.open(io.BytesIO(content)).convert("RGB"), np.uint8)


@settings(max_examples=examples(200), deadline=None)
@given(cases())
@example(Case(1280, 720, FaceBox(532, 210, 754, 432), 95, "noise"))
@example(Case(1920, 1080, FaceBox(1700, 860, 1920, 1080), 95, "slope"))
@example(Case(854, 480, FaceBox(0, 0, 150, 150), 75, "noise"))
@example(Case(848, 480, FaceBox(400, 100, 550, 250), 90, "noise"))
@example(Case(1270, 710, FaceBox(1269, 709, 1270, 710), 95, "noise"))
@example(Case(1270, 710, FaceBox(0, 0, 1270, 710), 95, "noise"))
@example(Case(7, 5, FaceBox(3, 2, 4, 3), 100, "noise"))
def test_a_spliced_file_is_the_full_encode_of_the_finished_frame(case: Case) -> None:
    frame = picture(case.content, case.height, case.width, case.seed)
    frame.setflags(write=False)
    prepared = prepare_jpeg(frame, case.box, case.quality)
    for seed, content in enumerate(("noise", case.content)):
        square = picture(content, case.box.height, case.box.width, case.seed + seed)
        square.setflags(write=False)
        finished = paste(frame, square, case.box)
        assert splice_jpeg(prepared, square) == encode_jpeg(finished, case.quality)


@settings(max_examples=examples(40), deadline=None)
@given(cases())
def test_it_decodes_to_the_pixels_of_the_plain_encode(case: Case) -> None:
    frame = picture(case.content, case.height, case.width, case.seed)
    square = picture("noise", case.box.height, case.box.width, case.seed + 1)
    spliced = splice_jpeg(prepare_jpeg(frame, case.box, case.quality), square)
    expected = plain(paste(frame, square, case.box), case.quality)
    assert np.array_equal(by_opencv(spliced), by_opencv(expected))
    assert np.array_equal(by_pillow(spliced), by_pillow(expected))


@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_the_full_encode_is_opencvs_with_that_interval(quality: int) -> None:
    image = picture("noise", 40, 300, 3)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, restart_interval(300)]
    done, expected = cv2.imencode(".jpg", image, options)
    assert done
    assert encode_jpeg(image, quality) == expected.tobytes()
    assert encode_jpeg(image, quality) != plain(image, quality)


@pytest.mark.parametrize(
    ("width", "interval"),
    [
        *((1, 1), (16, 1), (17, 2), (128, 8), (129, 9), (368, 23), (640, 8), (848, 53), (854, 9), (1080, 17)),
        *((1270, 8), (1280, 8), (1366, 43), (1920, 8), (2560, 8), (3840, 8)),
    ],
)
def test_intervals_are_short_and_fill_the_row(width: int, interval: int) -> None:
    assert restart_interval(width) == interval


def test_it_survives_the_object_store() -> None:
    frame, box = picture("noise", 100, 300, 5), FaceBox(130, 20, 200, 90)
    square = picture("slope", 70, 70, 6)
    prepared = prepare_jpeg(frame, box, 95)
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
    assert len(pickled) < 1500
    assert sum(buffer.raw().nbytes for buffer in buffers) == prepared.nbytes

    shared = [bytes(buffer.raw()) for buffer in buffers]
    before = [bytes(buffer) for buffer in shared]
    received = pickle.loads(pickled, buffers=shared)  # noqa: S301
    assert isinstance(received, JpegBackground)
    assert not received.region.flags.writeable
    assert splice_jpeg(received, square) == encode_jpeg(paste(frame, square, box), 95)
    assert shared == before


def test_no_interval_is_encoded_that_the_square_does_not_touch() -> None:
    prepared = prepare_jpeg(picture("slope", 720, 1280, 4), FaceBox(532, 210, 754, 432), 95)
    # 8 MCUs, 128 px, to an interval: columns 512 to 768, rows 208 to 432.
    assert prepared.region.shape == (224, 256, 3)
    assert prepared.box == FaceBox(20, 2, 242, 224)


def test_a_prepared_background_keeps_nothing_else_alive() -> None:
    frame = picture("slope", 480, 1280, 7)
    prepared = prepare_jpeg(frame, FaceBox(600, 100, 700, 200), 95)
    for array in (prepared.constant, prepared.cuts, prepared.restarts, prepared.region):
        assert array.base is None
    assert prepared.nbytes < frame.nbytes / 4


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 30, 3), (30, 40, 1), (41, 30, 3)])
def test_a_square_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    prepared = prepare_jpeg(picture("flat", 100, 100, 1), FaceBox(10, 10, 50, 40), 95)
    with pytest.raises(ValueError, match="does not fit"):
        splice_jpeg(prepared, np.zeros(shape, np.uint8))


def test_what_jpeg_cannot_hold_is_an_error() -> None:
    with pytest.raises((ValueError, cv2.error)):
        encode_jpeg(np.zeros((1, 65501, 3), np.uint8), 95)
