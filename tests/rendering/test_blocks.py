"""Blocks of backgrounds: the same pixels whatever they come from and wherever the block begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from blocks import (
    COUNT,
    CUBIC,
    HEIGHT,
    KINDS,
    LINEAR,
    WHOLE,
    WIDTH,
    boxes,
    crop_of,
    full_frames,
    in_sequence,
    picture,
    refusal,
    square,
    write_video,
)

from actors.core.choices import Interpolation
from actors.core.clip import ImageFrames, PlaneFile
from actors.core.errors import InputError, StoppedError
from actors.files import storage
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.rendering.blocks import BlockRequest, PictureBlock, PlaneBlock, load_block
from jobs.clip.identity import with_digests
from jobs.clip.video_source import read_video


def write_images(folder: Path, suffix: str, count: int = 6) -> ImageFrames:
    paths = [folder / f"{i}.{suffix}" for i in range(count)]
    for i, path in enumerate(paths):
        assert cv2.imwrite(str(path), picture(i))
    return ImageFrames(tuple(map(str, paths)), WIDTH, HEIGHT)


@pytest.mark.parametrize("interpolation", [CUBIC, LINEAR])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_images_are_decoded_and_cropped(tmp_path: Path, suffix: str, interpolation: Interpolation) -> None:
    source = write_images(tmp_path, suffix)
    request = BlockRequest(2, source.part(2, 5), boxes(2, 5), interpolation, WHOLE)
    block, receipt = load_block(request, UNET_328)
    frames = [np.asarray(cv2.imread(source.paths[i]), np.uint8) for i in range(2, 5)]
    assert isinstance(block, PictureBlock)
    assert (block.first, block.boxes) == (2, boxes(2, 5))
    assert np.array_equal(full_frames(block), np.stack(frames))
    crops = [crop_of(frame, square(2 + i), interpolation) for i, frame in enumerate(frames)]
    assert np.array_equal(block.crops, np.stack(crops))
    assert full_frames(block).dtype == np.uint8
    assert block.crops.dtype == np.uint8
    assert block.canvases is not None
    kept = sum(target.nbytes for target in block.canvases.targets if target is not None)
    assert receipt.bytes == full_frames(block).nbytes + block.crops.nbytes + kept
    assert receipt.seconds > 0


def test_frames_are_left_out_where_they_are_not_needed(tmp_path: Path) -> None:
    source = write_images(tmp_path, "png", 3)
    whole, _ = load_block(BlockRequest(0, source, boxes(0, 3), CUBIC, WHOLE), UNET_328)
    block, receipt = load_block(BlockRequest(0, source, boxes(0, 3), CUBIC), UNET_328)
    assert isinstance(block, PictureBlock)
    assert isinstance(whole, PictureBlock)
    assert block.canvases is None
    assert np.array_equal(block.crops, whole.crops)
    assert receipt.bytes == 3 * 328 * 328 * 3


def test_pictures_without_colour_become_three_planes(tmp_path: Path) -> None:
    grey = picture(0)[:, :, 0]
    path = tmp_path / "0.png"
    assert cv2.imwrite(str(path), grey)
    block, _ = load_block(
        BlockRequest(0, ImageFrames((str(path),), WIDTH, HEIGHT), boxes(0, 1), CUBIC, WHOLE), UNET_328
    )
    assert np.array_equal(full_frames(block)[0], np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
@pytest.mark.parametrize("keep", [0.0, 0.4, 0.95])
def test_a_truncated_image_is_named(tmp_path: Path, suffix: str, keep: float) -> None:
    source = write_images(tmp_path, suffix, 3)
    path = Path(source.paths[1])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    error = refusal(source, 3)
    assert error.subject == str(path)
    assert error.problem == "is not a whole image"


def test_an_image_that_is_gone_or_no_image_is_named(tmp_path: Path) -> None:
    source = write_images(tmp_path, "png", 3)
    Path(source.paths[2]).write_text("a letter")
    assert refusal(source, 3).subject == source.paths[2]
    Path(source.paths[1]).unlink()
    error = refusal(source, 3)
    assert error.subject == source.paths[1]
    assert "cannot be read" in error.problem


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH - 1), (HEIGHT + 2, WIDTH), (WIDTH, HEIGHT)])
def test_an_image_of_another_size_is_named_with_both_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    source = write_images(tmp_path, "png", 3)
    assert cv2.imwrite(source.paths[1], np.zeros((*size, 3), np.uint8))
    error = refusal(source, 3)
    assert error.subject == source.paths[1]
    assert f"{size[1]}x{size[0]}" in error.problem
    assert f"{WIDTH}x{HEIGHT}" in error.problem


def test_a_video_and_its_own_frames_as_images_are_the_same_block(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    paths = [tmp_path / f"{i}.png" for i in range(COUNT)]
    for image, frame in zip(paths, in_sequence(path), strict=True):
        assert cv2.imwrite(str(image), frame)
    images = ImageFrames(tuple(map(str, paths)), WIDTH, HEIGHT)
    for source in (images, read_video(str(path))):
        block, _ = load_block(BlockRequest(9, source.part(9, 20), boxes(9, 20), CUBIC, WHOLE), UNET_328)
        assert np.array_equal(full_frames(block), np.stack(in_sequence(path)[9:20]))


def test_nothing_is_made_of_images_that_are_not_what_was_seen(tmp_path: Path) -> None:
    source = with_digests(write_images(tmp_path, "bmp"))
    masks = with_digests(write_images(tmp_path, "png"))
    request = BlockRequest(0, source, boxes(0, 6), CUBIC, WHOLE, parsing=masks)
    before, _ = load_block(request, UNET_328)
    for path in (source.paths[4], masks.paths[1]):
        content = Path(path).read_bytes()
        # Another picture of the same size, in the same number of bytes where that is how pictures are stored.
        assert cv2.imwrite(path, picture(9))
        with pytest.raises(StoppedError, match="changed while the run lived") as caught:
            load_block(request, UNET_328)
        assert path in caught.value.reason
        Path(path).write_bytes(content)
    # A part holds what was seen of its own images, and what is back as it was serves again.
    block, _ = load_block(replace(request, source=source.part(2, 6), boxes=boxes(2, 6), parsing=None), UNET_328)
    assert np.array_equal(full_frames(block), full_frames(before)[2:])


SMALL = replace(UNET_328, name="small", crop=24, inner=16, mask=(2, 2, 12, 12))


def write_planes(path: Path, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    planes = np.random.default_rng(4).random((count, 6, 16, 16), np.float32)
    path.write_bytes(planes.astype("<f4").tobytes())
    return planes


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (0, 1), (4, 7), (8, 9)])
def test_planes_are_read_from_their_place(tmp_path: Path, start: int, stop: int) -> None:
    path = tmp_path / "visual_input.bin"
    planes = write_planes(path, 9)
    source = PlaneFile(str(path), 0, 9).part(start, stop)
    block, receipt = load_block(BlockRequest(start, source, (), CUBIC), SMALL)
    assert isinstance(block, PlaneBlock)
    assert (block.first, block.count) == (start, stop - start)
    assert block.planes.dtype == np.float32
    assert np.array_equal(block.planes, planes[start:stop])
    assert receipt.bytes == block.planes.nbytes


def test_nothing_is_made_of_planes_written_after_they_were_seen(tmp_path: Path) -> None:
    path = tmp_path / "visual_input.bin"
    write_planes(path, 3)
    source = PlaneFile(str(path), 0, 3, storage.stamp(str(path)))
    load_block(BlockRequest(1, source.part(1, 3), (), CUBIC), SMALL)
    content = path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(0, (source.stamp or (0, 0))[1] + 1))
    with pytest.raises(StoppedError, match="changed while the run lived"):
        load_block(BlockRequest(1, source.part(1, 3), (), CUBIC), SMALL)


def test_a_plane_file_that_has_become_shorter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "visual_input.bin"
    write_planes(path, 3)
    path.write_bytes(path.read_bytes()[:-1])
    sources: Sequence[PlaneFile] = (PlaneFile(str(path), 0, 3), PlaneFile(str(path), 2, 1), PlaneFile(str(path), 5, 1))
    for source in sources:
        with pytest.raises(InputError, match="shorter") as caught:
            load_block(BlockRequest(source.first, source, (), CUBIC), SMALL)
        assert caught.value.subject == str(path)
    block, _ = load_block(BlockRequest(0, PlaneFile(str(path), 0, 2), (), CUBIC), SMALL)
    assert block.count == 2


def test_a_plane_file_that_is_gone_is_named(tmp_path: Path) -> None:
    source = PlaneFile(str(tmp_path / "visual_input.bin"), 0, 1)
    with pytest.raises(InputError):
        load_block(BlockRequest(0, source, (), CUBIC), SMALL)
