"""Frames to files: what is lossless is bit for bit, what is not is OpenCV's own."""

import cv2
import numpy as np
import pytest

from actors.core.pixels import Image
from actors.encoding import ImageFormat, default_quality, encode_image


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def soft(height: int, width: int) -> Image:
    return np.asarray(cv2.GaussianBlur(noise(height, width), (0, 0), 3), np.uint8)


def decoded(content: memoryview) -> Image:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


PICTURES = [noise(1, 1), noise(3, 5), noise(67, 129), soft(96, 160), np.zeros((8, 8, 3), np.uint8), noise(16, 1)]


@pytest.mark.parametrize("image", PICTURES, ids=lambda image: f"{image.shape[1]}x{image.shape[0]}")
@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.WEBP])
def test_png_and_webp_are_lossless_by_default(image: Image, image_format: ImageFormat) -> None:
    content = encode_image(image, image_format, default_quality(image_format))
    assert np.array_equal(decoded(content), image)


def test_png_ignores_the_quality() -> None:
    image = soft(32, 48)
    assert bytes(encode_image(image, ImageFormat.PNG, 0)) == bytes(encode_image(image, ImageFormat.PNG, 50))


@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_jpg_is_opencvs_own(quality: int) -> None:
    image = soft(96, 160)
    done, expected = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    assert bytes(encode_image(image, ImageFormat.JPG, quality)) == expected.tobytes()


def test_webp_up_to_100_is_lossy_and_smaller() -> None:
    image = noise(67, 129)
    lossy = encode_image(image, ImageFormat.WEBP, 60)
    assert not np.array_equal(decoded(lossy), image)
    assert lossy.nbytes < encode_image(image, ImageFormat.WEBP, default_quality(ImageFormat.WEBP)).nbytes


@pytest.mark.parametrize(
    ("image_format", "mark"),
    [(ImageFormat.PNG, b"\x89PNG"), (ImageFormat.JPG, b"\xff\xd8"), (ImageFormat.WEBP, b"RIFF")],
)
def test_the_content_is_of_the_format_and_a_flat_view_of_bytes(image_format: ImageFormat, mark: bytes) -> None:
    content = encode_image(soft(32, 48), image_format, default_quality(image_format))
    assert bytes(content).startswith(mark)
    assert content.contiguous
    assert content.nbytes == len(bytes(content))


@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.JPG, ImageFormat.WEBP])
def test_equal_frames_are_equal_files(image_format: ImageFormat) -> None:
    first = encode_image(soft(64, 64), image_format, default_quality(image_format))
    second = encode_image(np.ascontiguousarray(soft(64, 64)), image_format, default_quality(image_format))
    assert bytes(first) == bytes(second)


def test_part_of_a_larger_picture_is_encoded_as_itself() -> None:
    image = noise(40, 60)[5:30, 7:50]
    assert np.array_equal(decoded(encode_image(image, ImageFormat.PNG, 0)), image)


def test_what_webp_cannot_hold_is_an_error() -> None:
    with pytest.raises((ValueError, cv2.error)):
        encode_image(np.zeros((1, 16384, 3), np.uint8), ImageFormat.WEBP, 101)


def test_default_qualities() -> None:
    assert {form.value: default_quality(form) for form in ImageFormat} == {"png": 0, "jpg": 95, "webp": 101, "none": 0}
