"""Frames to files: what is lossless is bit for bit, what is not is OpenCV's own."""

import cv2
import numpy as np
import pytest

from actors.core.choices import Delivery, ImageFormat, default_quality
from actors.core.clip import FaceBox
from actors.core.pixels import Image
from actors.rendering.image_files import encode_frame, prepare_background, splice_frame


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def soft(height: int, width: int) -> Image:
    return np.asarray(cv2.GaussianBlur(noise(height, width), (0, 0), 3), np.uint8)


def decoded(content: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


PICTURES = [noise(2, 2), noise(3, 5), noise(67, 129), soft(96, 160), np.zeros((8, 8, 3), np.uint8), noise(16, 2)]


def square_in(image: Image) -> FaceBox:
    height, width = image.shape[:2]
    return FaceBox(width // 4, height // 3, width - width // 5, height - height // 6)


def encode(image: Image, delivery: Delivery) -> bytes:
    """A finished frame that is ``image``, drawn on a background of another colour."""
    box = square_in(image)
    background = image.copy()
    background[box.y0 : box.y1, box.x0 : box.x1] = 255 - background[box.y0 : box.y1, box.x0 : box.x1]
    square = image[box.y0 : box.y1, box.x0 : box.x1]
    whole = bytes(encode_frame(background, square, box, delivery))
    prepared = prepare_background(background, box, delivery)
    if prepared is not None:
        assert splice_frame(prepared, square) == whole
    return whole


def delivery(image_format: ImageFormat, quality: int | None = None) -> Delivery:
    return Delivery(image_format, default_quality(image_format) if quality is None else quality, video=False)


@pytest.mark.parametrize("image", PICTURES, ids=lambda image: f"{image.shape[1]}x{image.shape[0]}")
@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.WEBP])
def test_png_and_webp_are_lossless_by_default(image: Image, image_format: ImageFormat) -> None:
    assert np.array_equal(decoded(encode(image, delivery(image_format))), image)


def test_png_ignores_the_quality() -> None:
    image = soft(32, 48)
    assert encode(image, delivery(ImageFormat.PNG, 0)) == encode(image, delivery(ImageFormat.PNG, 50))


@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_jpg_shows_what_opencvs_own_shows(quality: int) -> None:
    image = soft(96, 160)
    done, expected = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    assert np.array_equal(decoded(encode(image, delivery(ImageFormat.JPG, quality))), decoded(expected.tobytes()))


def test_webp_up_to_100_is_lossy_and_smaller() -> None:
    image = noise(67, 129)
    lossy = encode(image, delivery(ImageFormat.WEBP, 60))
    assert not np.array_equal(decoded(lossy), image)
    assert len(lossy) < len(encode(image, delivery(ImageFormat.WEBP)))


@pytest.mark.parametrize(
    ("image_format", "mark", "is_prepared"),
    [(ImageFormat.PNG, b"\x89PNG", True), (ImageFormat.JPG, b"\xff\xd8", True), (ImageFormat.WEBP, b"RIFF", False)],
)
def test_the_content_is_of_the_format(image_format: ImageFormat, mark: bytes, is_prepared: bool) -> None:
    image = soft(32, 48)
    assert encode(image, delivery(image_format)).startswith(mark)
    assert (prepare_background(image, square_in(image), delivery(image_format)) is not None) == is_prepared


def test_what_webp_cannot_hold_is_an_error() -> None:
    wide = np.zeros((1, 16384, 3), np.uint8)
    with pytest.raises((ValueError, cv2.error)):
        encode_frame(wide, wide[:, :1], FaceBox(0, 0, 1, 1), delivery(ImageFormat.WEBP))
