"""Calls of one worker that overlap: the same bytes as in turns, and nothing of one call in another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
from small import SmallClip
from small_worker import CLIP, block_of, clip_of, network_of, request_of

from actors.core.audio_track import AudioTrack
from actors.core.choices import Delivery, ImageFormat
from actors.core.ranges import FrameRange, divide
from actors.core.worker_reports import RangeReport
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.rendering.blocks import Block, load_block
from actors.rendering.compositor import Compositor
from actors.rendering.finishing import RangeFinishing
from actors.rendering.network_stage import NetworkThreads
from actors.rendering.worker_config import ClipConfig

PNG = Delivery(ImageFormat.PNG, 0, video=False)
RANGES = divide(range(3, 33), 6)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*/*")) if path.is_file()}


def rendered(model: Path, clip: ClipConfig, block: Block, calls: int) -> list[RangeReport]:
    """All ranges, so many at once."""
    worker = Compositor(7, network_of(model, batch=2, threads=2 if calls > 1 else 0))
    worker.prepare(clip)
    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(lambda part: worker.render(CLIP, part.start, part.stop, block), RANGES))


def without_times(report: RangeReport) -> list[tuple[object, ...]]:
    return [
        (t.frame, t.background, t.range_id, t.batch_id, t.batch_size, t.seam, t.bytes, t.checksum, t.segment_checksum)
        for t in report.timings
    ]


@pytest.mark.parametrize(
    "delivery",
    [
        PNG,
        Delivery(ImageFormat.JPG, 95, video=True),
        Delivery(ImageFormat.NONE, 0, video=True),
    ],
    ids=["png", "jpg and video", "video"],
)
@pytest.mark.parametrize("colour_match", [False, True])
def test_overlapping_calls_change_no_byte(
    clip: SmallClip, model: Path, tmp_path: Path, delivery: Delivery, colour_match: bool
) -> None:
    """With silence and fading in two ranges, and a frame that fails in another."""
    features = clip.features.copy()
    features[23, 0] = small.POISON
    opacities = np.full(len(features), 255, np.uint8)
    opacities[7:12], opacities[12:14] = 0, 90
    block, _ = load_block(replace(request_of(clip, delivery), keep_originals=True), UNET_328)
    told = {}
    for calls in (1, 3):
        given = clip_of(tmp_path / str(calls), clip, delivery)
        given = replace(given, audio=AudioTrack(features, None, opacities), colour_match=colour_match)
        told[calls] = rendered(model, given, block, calls)
    assert files(tmp_path / "3") == files(tmp_path / "1")
    assert list(map(without_times, told[3])) == list(map(without_times, told[1]))
    assert [report.failures for report in told[3]] == [report.failures for report in told[1]]
    assert [failure.frame for report in told[3] for failure in report.failures] == [23]


def test_an_error_in_one_call_is_its_own(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    alone = clip_of(tmp_path / "alone", clip, PNG)
    block = block_of(clip, PNG)
    rendered(model, alone, block, 1)
    worker = Compositor(7, network_of(model, batch=2, threads=2))
    worker.prepare(clip_of(tmp_path / "shared", clip, PNG))
    # A folder stands where a frame of the second range should go.
    wrong = tmp_path / "shared" / "frames" / "frame_000010.png"
    wrong.mkdir()
    (wrong / "in the way").touch()
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(worker.render, CLIP, part.start, part.stop, block) for part in RANGES]
        failed = answers.pop(1)
        with pytest.raises(OSError, match="frame_000010"):
            failed.result()
        reports = [answer.result() for answer in answers]
    assert [len(report.timings) for report in reports] == [len(part) for part in RANGES[:1] + RANGES[2:]]
    whole, left = files(tmp_path / "alone"), files(tmp_path / "shared")
    theirs = {f"frame_{frame:06d}.png" for part in RANGES[:1] + RANGES[2:] for frame in part}
    assert {name: left[name] for name in theirs} == {name: whole[name] for name in theirs}
    # And the worker goes on as before.
    (wrong / "in the way").unlink()
    wrong.rmdir()
    worker.render(CLIP, RANGES[1].start, RANGES[1].stop, block)
    assert {name: content for name, content in files(tmp_path / "shared").items() if name.startswith("frame")} == {
        name: content for name, content in whole.items() if name.startswith("frame")
    }


def test_nothing_is_written_once_a_call_has_failed(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    worker = Compositor(7, network_of(model, batch=2, threads=3))
    worker.prepare(clip_of(tmp_path, clip, PNG))
    (tmp_path / "frames" / "frame_000004.png").mkdir()
    (tmp_path / "frames" / "frame_000004.png" / "in the way").touch()
    frames = FrameRange(3, 40)
    with pytest.raises(OSError, match="frame_000004"):
        worker.render(CLIP, frames.start, frames.stop, block_of(clip, PNG))
    left = files(tmp_path)
    # What waited is given up: it would not be begun any more, however long one looks.
    assert not any(name.endswith("frame_000039.png") for name in left)
    worker.render(CLIP, 40, 42, block_of(clip, PNG))
    assert set(files(tmp_path)) == {*left, "frame_000040.png", "frame_000041.png"}


def test_what_cannot_be_gathered_or_run_takes_no_buffer_with_it(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    """Backgrounds that are not there, and sound of a shape that no network takes; there are two buffers or fewer."""
    worker = Compositor(7, network_of(model, batch=2, threads=1))
    given = clip_of(tmp_path, clip, PNG)
    worker.prepare(given)
    worker.open_clip(replace(given, id="odd", audio=AudioTrack(clip.features[:, :9].copy(), None)))
    block = block_of(clip, PNG)
    for _ in range(3):
        with pytest.raises(KeyError, match="none of the range's blocks"):
            worker.render(CLIP, 3, 6)
        with pytest.raises(ValueError, match="shape"):
            worker.render("odd", 3, 6, block)
    assert len(worker.render(CLIP, 3, 6, block).timings) == 3


def test_the_network_goes_on_while_an_earlier_call_waits_for_its_files(
    clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    """A frame of the first range is written when the second range is done."""
    written = threading.Event()

    class Held(RangeFinishing):
        def _composite(self, frame: int, *rest: Any) -> Any:  # noqa: ANN401
            assert frame != 3 or written.wait(60)
            return super()._composite(frame, *rest)

    class Worker(Compositor):
        finishing = Held

    block = block_of(clip, PNG)
    worker = Worker(7, network_of(model, batch=2, threads=2))
    worker.prepare(clip_of(tmp_path, clip, PNG))
    with ThreadPoolExecutor(2) as pool:
        earlier = pool.submit(worker.render, CLIP, 3, 19, block)
        assert len(pool.submit(worker.render, CLIP, 19, 25, block).result(60).timings) == 6
        assert not earlier.done()
        written.set()
        assert len(earlier.result(60).timings) == 16


@pytest.mark.parametrize("last", [0, 5])
def test_batches_of_the_earliest_call_go_first(last: int) -> None:
    network = NetworkThreads()
    begin = threading.Event()
    seen: list[int] = []

    def gather(number: int) -> tuple[object, None]:
        begin.wait(60)
        seen.append(number)
        return number, None

    answers = [network.submit(order, lambda number=order: gather(number)) for order in (1, 3, 2, last)]  # type: ignore[misc, arg-type]
    begin.set()
    for answer in answers:
        answer.result(60)
    # The first of them had begun.
    assert seen == [1, *sorted([3, 2, last])]
