"""Frames without a face show the background as it is, and fade beside it; every other frame is as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import av
import cv2
import in_process
import numpy as np
import pandas as pd
import pytest
import reference
import reference_blend
import small
from lone import plan_of, rendered, worker_and_block
from reference_blend import Mode
from small import Result, SmallClip

from actors.core.choices import Device
from actors.core.faces import FaceOrigin
from actors.core.pixels import Image
from actors.core.ranges import FrameRange
from actors.core.timings import FrameTiming
from actors.core.yuv import to_yuv420
from actors.network import session
from actors.rendering.blocks import PictureBlock
from jobs.inputs.inputs import Inputs, read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.run.verification import verify_run

Command = Callable[..., Result]

# Backgrounds without a face: one alone, a stretch, and the last ones, where the bounce turns.
GAPS = (3, 8, 9, 10, 18, 19)
PRESENT = [reference.bounce(t, small.BACKGROUNDS) not in GAPS for t in range(small.ROWS)]
SHARES = reference_blend.face_shares(PRESENT, 25)
# Before a gap, in it, where the bounce turns, behind it, and the whole face again; and as little as tells that.
FRAMES = FrameRange(15, 24)
FEW = FrameRange(16, 21)

Files: TypeAlias = dict[str, bytes]


@pytest.fixture(scope="module")
def rects(clip: SmallClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gaps(tmp_path_factory.mktemp("rects") / "rects.json", clip, GAPS)


def write_gaps(path: Path, clip: SmallClip, gaps: tuple[int, ...]) -> Path:
    path.write_text(json.dumps({str(i): {"rect": None if i in gaps else box} for i, box in enumerate(clip.boxes)}))
    return path


def options_of(clip: SmallClip, model: Path, rects: Path, out: Path, **given: object) -> CompositeOptions:
    base = {"clip": str(clip.folder), "model": str(model), "out": str(out), "rects": str(rects)}
    return CompositeOptions.model_validate({**base, **given})


def expected(clip: SmallClip, model: Path, mode: Mode, frames: FrameRange, shares: list[int]) -> dict[int, Image]:
    given = [None if i in GAPS else box for i, box in enumerate(clip.boxes)]
    start, stop = frames.start, frames.stop
    pictures = reference_blend.render(
        clip.frames, given, clip.features, model, mode, start=start, stop=stop, shares=shares
    )
    return {t: picture for t, picture, _ in pictures}


def render(
    options: CompositeOptions, out: Path, *ranges: FrameRange, prepare: bool = True, batch: int = 3, faces: bool = False
) -> list[FrameTiming]:
    """What one worker makes of some ranges."""
    plan = plan_of(options, read_inputs(options), out, batch=batch, prepare=prepare, faces=faces)
    return rendered(plan, ranges)


def files(out: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*/*")) if path.is_file()}


MODES: dict[str, tuple[dict[str, object], Mode]] = {
    "hard": ({}, Mode()),
    "feather": ({"blend": "feather"}, Mode(feather=True)),
    "colours": ({"blend": "feather", "colour_match": True}, Mode(feather=True, colour=True)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_frame_is_that_of_the_reference(
    clip: SmallClip, model: Path, rects: Path, tmp_path: Path, name: str
) -> None:
    given, mode = MODES[name]
    rows = render(options_of(clip, model, rects, tmp_path, **given), tmp_path, FRAMES)
    wanted, got = expected(clip, model, mode, FRAMES, SHARES), small.read_frames(tmp_path)
    assert sorted(got) == list(FRAMES)
    assert [t for t in FRAMES if not np.array_equal(got[t], wanted[t])] == []
    assert {t: row.face for t, row in zip(FRAMES, rows, strict=True)} == {
        t: "given" if PRESENT[t] else "none" for t in FRAMES
    }
    for t, row in zip(FRAMES, rows, strict=True):
        assert (row.inference_ms > 0, row.composite_ms > 0, row.seam > 0, row.seam_at != "") == (PRESENT[t],) * 4
        assert row.bytes > 0


def test_rows_say_how_each_face_came_about(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    """Also where the boxes come from no file of the user's."""
    options = options_of(clip, model, rects, tmp_path, composite=False)
    inputs = read_inputs(options)
    kinds = [FaceOrigin.NONE if i in GAPS else FaceOrigin.DETECTED for i in range(small.BACKGROUNDS)]
    kinds[16] = FaceOrigin.INTERPOLATED
    plan = plan_of(options, replace(inputs, clip=replace(inputs.clip, origins=tuple(kinds))), tmp_path)
    worker, block = worker_and_block(plan)
    rows = worker.render(plan.clip_id, FEW.start, FEW.stop, block).timings
    assert [row.background for row in rows] == [17, 18, 19, 18, 17]
    assert [row.face for row in rows] == ["detected", "none", "none", "none", "detected"]
    later = worker.render(plan.clip_id, 21, 22, block).timings
    assert [(row.background, row.face) for row in later] == [(16, "interpolated")]


def test_smoothed_boxes_end_at_a_gap(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    """The warps round like OpenCV and not like the reference."""
    render(options_of(clip, model, rects, tmp_path, smooth_crops=True), tmp_path, FEW)
    wanted, got = expected(clip, model, Mode(smooth=True), FEW, SHARES), small.read_frames(tmp_path)
    assert sorted(got) == list(FEW)
    assert max(np.abs(got[t].astype(int) - wanted[t]).max() for t in FEW) <= 3
    assert all(np.array_equal(got[t], wanted[t]) for t in FEW if not PRESENT[t])


def test_silence_and_a_missing_face_each_hide_the_mouth(
    clip: SmallClip, model: Path, rects: Path, tmp_path: Path
) -> None:
    """The less that either of them shows is shown."""
    silence = np.array([255, 128, 0, 64, 191] * (small.ROWS // 5), np.uint8)
    options = options_of(clip, model, rects, tmp_path)
    inputs = replace(read_inputs(options), silence=silence)
    worker, block = worker_and_block(plan_of(options, inputs, tmp_path, batch=2))
    assert inputs.opacities is not None
    shares = [min(pair) for pair in zip(SHARES, silence.tolist(), strict=True)]
    assert inputs.opacities.tolist() == shares
    clip_id = plan_of(options, inputs, tmp_path).clip_id
    worker.render(clip_id, FRAMES.start, FRAMES.stop, block)
    wanted, got = expected(clip, model, Mode(), FRAMES, shares), small.read_frames(tmp_path)
    assert [t for t in FRAMES if not np.array_equal(got[t], wanted[t])] == []


@pytest.mark.parametrize("image_format", ["png", "jpg", "webp"])
def test_a_file_is_the_same_however_it_is_made(
    clip: SmallClip, model: Path, rects: Path, tmp_path: Path, image_format: str
) -> None:
    """Spliced or encoded whole, in whatever ranges and batches; a jpg is OpenCV's own of the untouched background."""
    jpg = {"video": True, "quality": 90} if image_format == "jpg" else {}
    options = options_of(clip, model, rects, tmp_path, format=image_format, **jpg)
    halves = FrameRange(16, 18), FrameRange(18, 21)
    render(options, tmp_path / "spliced", *halves)
    render(options, tmp_path / "whole", *halves, prepare=False, batch=1)
    made = files(tmp_path / "spliced")
    assert made == files(tmp_path / "whole")
    if image_format == "jpg":
        settings = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, small.WIDTH // 16]
        wanted = expected(clip, model, Mode(), FEW, SHARES)
        for t in FEW:
            assert made[f"frame_{t:06d}.jpg"] == cv2.imencode(".jpg", wanted[t], settings)[1].tobytes()


def test_the_video_shows_the_background(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    options = options_of(clip, model, rects, tmp_path, format="none", video=True)
    for name, prepare in (("prepared", True), ("anew", False)):
        plan = plan_of(options, read_inputs(options), tmp_path / name, prepare=prepare)
        _, block = worker_and_block(plan)
        assert isinstance(block, PictureBlock)
        assert block.canvases is not None
        assert block.canvases.video is not None
        for gap in GAPS:
            picture = block.canvases.video.picture(gap, None, block.boxes[gap])
            assert np.array_equal(picture, to_yuv420(clip.frames[gap]))
        assert [block.canvases.targets[gap] for gap in GAPS] == [None] * len(GAPS)
        assert not block.crops[list(GAPS)].any()
        assert block.crops[0].any()
    rows = render(options, tmp_path / "run", FRAMES)
    (segment,) = (tmp_path / "run" / "segments").iterdir()
    assert {row.segment for row in rows} == {segment.name}
    with av.open(str(segment)) as video:
        shown = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in video.decode(video=0)]
    wanted = list(expected(clip, model, Mode(), FRAMES, SHARES).values())
    away = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown, wanted, strict=True)]
    shifted = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown[1:], wanted, strict=False)]
    assert max(away) < min(shifted)


def test_masks_stay_with_their_own_frames(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    masks = [np.zeros_like(frame) for frame in clip.frames]
    (tmp_path / "parsing").mkdir()
    for i, (mask, (x0, y0, *_)) in enumerate(zip(masks, clip.boxes, strict=True)):
        mask[y0 + 20 + i : y0 + 30 + i, x0 + 20 : x0 + 60] = 255
        cv2.imwrite(str(tmp_path / "parsing" / f"{i}.png"), mask)
    render(options_of(clip, model, rects, tmp_path, parsing=str(tmp_path / "parsing")), tmp_path, FEW)
    wanted, got = expected(clip, model, Mode(parsing=tuple(masks)), FEW, SHARES), small.read_frames(tmp_path)
    assert [t for t in FEW if not np.array_equal(got[t], wanted[t])] == []


def test_the_network_sees_no_background_without_a_face(
    clip: SmallClip, model: Path, rects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_of(clip, model, rects, tmp_path, composite=False)
    plan = plan_of(options, read_inputs(options), tmp_path, batch=3)
    worker, block = worker_and_block(plan)
    seen: list[bool] = []
    run = session.Session.run

    def run_seeing(self: session.Session, image: Image, *given: Any) -> object:  # noqa: ANN401
        seen.extend(bool(one.any()) for one in image)
        return run(self, image, *given)

    monkeypatch.setattr(session.Session, "run", run_seeing)
    rows = worker.render(plan.clip_id, FRAMES.start, FRAMES.stop, block).timings
    assert seen == [True] * sum(PRESENT[FRAMES.start : FRAMES.stop])
    assert [row.face for row in rows] == ["given" if PRESENT[t] else "none" for t in FRAMES]
    assert [row.inference_ms > 0 for row in rows] == PRESENT[FRAMES.start : FRAMES.stop]


def test_the_face_encoder_sees_no_background_without_a_face(
    clip: SmallClip, rects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small.write_face_model(tmp_path / "face.onnx")
    seen: list[bool] = []
    run = session.FaceEncoder.run

    def run_seeing(self: session.FaceEncoder, image: Image) -> object:
        seen.extend(bool(one.any()) for one in image)
        return run(self, image)

    monkeypatch.setattr(session.FaceEncoder, "run", run_seeing)
    ahead = render(options_of(clip, network, rects, tmp_path / "a"), tmp_path / "a", FRAMES, batch=1, faces=True)
    assert seen == [True] * (small.BACKGROUNDS - len(GAPS))
    plain = render(options_of(clip, network, rects, tmp_path / "b"), tmp_path / "b", FRAMES, batch=1)
    assert [row.checksum for row in ahead] == [row.checksum for row in plain]


def planned(inputs: Inputs, options: CompositeOptions, out: Path, most: int) -> list[int]:
    return [frame for frame, _ in plan_of(options, inputs, out).samples(most)]


def test_samples_have_a_face(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    options = options_of(clip, model, rects, tmp_path)
    inputs = read_inputs(options)
    assert planned(inputs, options, tmp_path, 100) == [t for t in range(small.ROWS) if PRESENT[t]]
    assert len(planned(inputs, options, tmp_path, 4)) == 4
    gap = options.model_copy(update={"frames": "7:10"})
    assert PRESENT[7:10] == [False] * 3
    assert planned(read_inputs(gap), gap, tmp_path, 4) == []


def test_a_clip_with_a_face_on_every_frame_costs_nothing_new(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    inputs = read_inputs(options_of(clip, model, small.write_rects(tmp_path / "r.json", clip.boxes), tmp_path))
    assert (inputs.opacities, inputs.presence, inputs.clip.origins) == (None, None, None)


def test_presence_follows_the_pairing(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    def presence(**given: object) -> list[int]:
        found = read_inputs(options_of(clip, model, rects, tmp_path, **given)).opacities
        assert found is not None
        return [int(share) for share in found]

    assert presence() == presence(frames="9:12") == SHARES
    for loop in ("mirror", "wrap"):
        shown = [reference.background_index(loop, t, small.BACKGROUNDS) not in GAPS for t in range(small.ROWS)]
        assert presence(loop=loop) == reference_blend.face_shares(shown, 25)
    # Behind the last background nothing is shown, so nothing fades toward it.
    once = [i not in GAPS for i in range(small.BACKGROUNDS)] + [True] * (small.ROWS - small.BACKGROUNDS)
    assert presence(loop="once", frames=":20") == reference_blend.face_shares(once, 25)


def test_boxes_are_part_of_the_runs_identity(clip: SmallClip, model: Path, rects: Path, tmp_path: Path) -> None:
    def identity(path: Path) -> dict[str, object]:
        options = options_of(clip, model, path, tmp_path)
        return read_inputs(options).identity(options, Device.CPU)

    whole = identity(small.write_rects(tmp_path / "whole.json", clip.boxes))
    gaps, others = identity(rects), identity(write_gaps(tmp_path / "others.json", clip, (3,)))
    assert len({str(one["rects"]) for one in (whole, gaps, others)}) == 3
    assert [name for name in whole if not whole[name] == gaps[name] == others[name]] == ["rects"]


def test_a_clip_without_any_face_is_refused(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    nobody = write_gaps(tmp_path / "nobody.json", clip, tuple(range(small.BACKGROUNDS)))
    result = in_process.command(
        "composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--rects", nobody
    )
    assert result.code == 2
    assert f"nobody.json: none of {small.BACKGROUNDS} frames has a face" in result.output
    assert not (tmp_path / "run").exists()
    inspected = in_process.command("inspect", clip.folder, "--rects", nobody)
    assert inspected.code == 2
    assert "none of 20 frames has a face" in inspected.output


def test_inspect_counts_frames_without_a_face(clip: SmallClip, model: Path, rects: Path) -> None:
    """It tries the network on frames with a face, and on nothing else."""
    result = in_process.command("inspect", clip.folder, "--rects", rects, "--model", model, "--batch", 5)
    assert result.code == 0, result.output
    assert "14 face boxes, 90 to 96 px wide, 6 frames without a face" in result.output
    assert "face boxes: 14, 90 to 96 px, 6 frames without a face" in result.output
    assert "no problems found" in result.output


def test_a_run_counts_them_and_a_range_of_nothing_else_renders(
    clip: SmallClip, model: Path, rects: Path, tmp_path: Path, on_cluster: Command
) -> None:
    base = ("composite", clip.folder, "--model", model, "--rects", rects, "--device", "cpu")
    run, gap = tmp_path / "run", tmp_path / "gap"
    result = on_cluster(*base, "--out", run, "--workers", 2, "--batch", 4, "--format", "jpg", "--video")
    assert result.code == 0, result.output
    missing, fading = PRESENT.count(False), sum(0 < share < 255 for share in SHARES)
    assert f"no face: {missing} of {small.ROWS} frames show the background alone, {fading} fade" in result.output
    assert re.search(rf"faces +{missing} without a face\b", result.output)
    table = pd.read_parquet(run / "timings").sort_values("frame")
    assert list(table["face"]) == ["given" if there else "none" for there in PRESENT]
    assert [ms > 0 for ms in table["inference_ms"]] == PRESENT
    record = json.loads((run / "run.json").read_text())
    assert record["faces"] == {"none": missing, "interpolated": 0}
    assert record["attempts"][-1]["faces"] == record["faces"]
    assert verify_run(str(run)).whole
    assert in_process.command("report", run).code == 0
    assert f"{missing} without a face" in (run / "report.html").read_text()
    # Half precision is compared on frames with a face; here there are none, and nothing to compare.
    for precision in ("fp32", "fp16"):
        flags = ("--frames", "7:10", "--precision", precision, "--batch", 2, "--restart")
        result = on_cluster(*base, "--out", gap, *flags)
        assert result.code == 0, result.output
        assert "no face: 3 of 3 frames show the background alone, 0 fade" in result.output
        for t, frame in small.read_frames(gap).items():
            assert np.array_equal(frame, clip.frames[reference.bounce(t, small.BACKGROUNDS)])
