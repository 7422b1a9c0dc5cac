"""The worker without Ray: the same files whether stages overlap or not, and errors that end a range cleanly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
import small
from small import SmallClip
from small_worker import CLIP, MARK, block_of, clip_of, network_of, worker_of

from actors.core.choices import Delivery, ImageFormat
from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from actors.core.worker_reports import RangeReport
from actors.rendering.compositor import Compositor
from actors.rendering.finishing import BATCHES_BEHIND

FRAMES = FrameRange(3, 17)
PNG = Delivery(ImageFormat.PNG, 0, video=False)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*/*")) if path.is_file()}


def without_times(report: RangeReport) -> list[tuple[object, ...]]:
    return [
        (t.frame, t.background, t.batch_id, t.batch_size, t.bytes, t.checksum, t.segment_checksum)
        for t in report.timings
    ]


@pytest.fixture(scope="module")
def workers(clip: SmallClip, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Compositor]:
    """Workers that are ready, by their compositing threads; each test opens clips of its own."""
    folder = tmp_path_factory.mktemp("workers")
    return {n: worker_of(folder / str(n), model, clip, PNG, batch=2, threads=n) for n in (0, 1, 3)}


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("image_format", [ImageFormat.PNG, ImageFormat.JPG, ImageFormat.WEBP, ImageFormat.NONE])
def test_overlap_and_preparation_change_no_byte(
    clip: SmallClip, workers: dict[int, Compositor], tmp_path: Path, image_format: ImageFormat, video: bool
) -> None:
    quality = {ImageFormat.JPG: 95, ImageFormat.WEBP: 101}.get(image_format, 0)
    delivery = Delivery(image_format, quality, video)
    # Three batches, the last of them short.
    frames = FrameRange(3, 8)
    blocks = {prepare: block_of(clip, delivery, prepare=prepare) for prepare in (False, True)}

    def rendered(out: Path, threads: int, *, prepare: bool) -> RangeReport:
        workers[threads].open_clip(clip_of(out, clip, delivery, str(out)))
        return workers[threads].render(str(out), frames.start, frames.stop, blocks[prepare])

    told = rendered(tmp_path / "plain", 0, prepare=False)
    assert [timing.frame for timing in told.timings] == list(frames)
    for threads, prepare in ((0, True), (1, False), (3, True)):
        out = tmp_path / f"{threads}-{prepare}"
        report = rendered(out, threads, prepare=prepare)
        assert files(out) == files(tmp_path / "plain")
        assert without_times(report) == without_times(told)


def test_overlapping_frames_equal_the_reference(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    worker = worker_of(tmp_path, model, clip, PNG, batch=2, threads=2)
    # More batches than may be behind, the last of them short.
    frames = FrameRange(0, 2 * (BATCHES_BEHIND + 3) + 1)
    worker.render(CLIP, frames.start, frames.stop, block_of(clip, PNG))
    expected = {i: frame for i, _, frame in reference.render(clip.frames, clip.boxes, clip.features, model)}
    got = small.read_frames(tmp_path)
    assert sorted(got) == list(frames)
    assert all(np.array_equal(got[i], expected[i]) for i in frames)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_poisoned_frame_is_reported_and_its_batch_is_not(
    clip: SmallClip, model: Path, tmp_path: Path, threads: int
) -> None:
    features = clip.features.copy()
    features[9, 0] = small.POISON
    poisoned = replace(clip, features=features)
    delivery = Delivery(ImageFormat.PNG, 0, video=True)
    worker = worker_of(tmp_path, model, poisoned, delivery, batch=4, threads=threads)
    report = worker.render(CLIP, FRAMES.start, FRAMES.stop, block_of(clip, delivery))
    assert [(failure.frame, failure.reason) for failure in report.failures] == [(9, "the model returned NaN")]
    assert [timing.frame for timing in report.timings] == [frame for frame in FRAMES if frame != 9]
    # A segment with a hole in it would shift every later frame.
    assert not list((tmp_path / "segments").iterdir())


@pytest.mark.parametrize("threads", [0, 2])
def test_a_file_that_cannot_be_written_ends_the_range_and_nothing_is_written_after(
    clip: SmallClip, model: Path, tmp_path: Path, threads: int
) -> None:
    worker = worker_of(tmp_path, model, clip, PNG, batch=2, threads=threads)
    # A folder stands where a frame should go.
    (tmp_path / "frames" / "frame_000007.png").mkdir()
    (tmp_path / "frames" / "frame_000007.png" / "in the way").touch()
    with pytest.raises(OSError, match="frame_000007"):
        worker.render(CLIP, FRAMES.start, FRAMES.stop, block_of(clip, PNG))
    left = files(tmp_path)
    assert not any(name.endswith("frame_000016.png") for name in left)
    assert files(tmp_path) == left


def test_without_compositing_only_the_network_runs(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    worker = worker_of(tmp_path, model, clip, None, batch=3)
    report = worker.render(CLIP, FRAMES.start, FRAMES.stop, block_of(clip, None))
    assert len(report.timings) == len(FRAMES)
    assert files(tmp_path) == {}
    assert all(timing.inference_ms > 0 and timing.composite_ms == 0 for timing in report.timings)


def test_a_worker_that_was_not_prepared_says_so(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    raw = Compositor(8, network_of(model))
    raw.open_clip(clip_of(tmp_path, clip, PNG))
    with pytest.raises(RuntimeError, match="before prepare"):
        raw.render(CLIP, FRAMES.start, FRAMES.stop)


def test_clips_of_one_worker_have_nothing_of_each_other(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    """Another's sound, delivery and folder; ranges of both in turns."""
    other = replace(clip, features=clip.features[::-1].copy())
    jpg = Delivery(ImageFormat.JPG, 95, video=True)
    given = {"one": (clip, PNG), "two": (other, jpg)}
    ranges = FrameRange(3, 6), FrameRange(6, 10)
    for name, (shown, delivery) in given.items():
        alone = worker_of(tmp_path / name / "alone", model, shown, delivery, batch=2)
        for frames in ranges:
            alone.render(CLIP, frames.start, frames.stop, block_of(clip, delivery))
    shared = Compositor(7, network_of(model, batch=2))
    first, second = (clip_of(tmp_path / name / "shared", *parts, name) for name, parts in given.items())
    shared.prepare(first)
    with pytest.raises(RuntimeError, match="not opened"):
        shared.render("two", 3, 6, block_of(clip, jpg))
    shared.open_clip(second)
    for frames in ranges:
        for name, (_, delivery) in given.items():
            shared.render(name, frames.start, frames.stop, block_of(clip, delivery))
    for name in given:
        assert files(tmp_path / name / "shared") == files(tmp_path / name / "alone")
    assert len(files(tmp_path / "two" / "shared")) == 7 + len(ranges)


def test_a_clip_that_this_node_does_not_see_is_not_opened(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    worker = worker_of(tmp_path / "one", model, clip, PNG)
    elsewhere = clip_of(tmp_path / "two", clip, PNG, "two")
    (tmp_path / "two" / MARK).unlink()
    with pytest.raises(InputError, match="does not see the same"):
        worker.open_clip(elsewhere)
    with pytest.raises(RuntimeError, match="not opened"):
        worker.render("two", 3, 6, block_of(clip, PNG))


def test_a_clip_is_opened_once(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    worker = worker_of(tmp_path / "one", model, clip, PNG)
    with pytest.raises(RuntimeError, match="is open already"):
        worker.open_clip(clip_of(tmp_path / "two", clip, PNG))


def test_of_a_block_for_the_network_alone_no_frame_is_made(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    worker = worker_of(tmp_path, model, clip, PNG)
    with pytest.raises(RuntimeError, match="without what a frame is made with"):
        worker.render(CLIP, FRAMES.start, FRAMES.stop, block_of(clip, None))
    assert files(tmp_path) == {}


def test_a_spliced_block_holds_no_full_frames(clip: SmallClip) -> None:
    block = block_of(clip, PNG)
    assert block.canvases is not None
    assert isinstance(block.canvases.files, tuple)
    assert len(block.canvases.files) == small.BACKGROUNDS
    assert block.canvases.video is None
    with_video = block_of(clip, Delivery(ImageFormat.PNG, 0, video=True)).canvases
    assert with_video is not None
    assert isinstance(with_video.files, tuple)
    assert with_video.video is not None
    assert with_video.video.yuv is not None
    assert with_video.video.yuv.shape == (small.BACKGROUNDS, small.HEIGHT * 3 // 2, small.WIDTH)
