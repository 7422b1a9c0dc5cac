"""`composite` from the command line to the frames on disk, on a real cluster of two nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import in_process
import numpy as np
import onnx
import pandas as pd
import pytest
import reference
import small
from small import Result, SmallClip

from actors.files.run_folder import RunFolder
from jobs.run.failures import LEAST_FAILURES
from jobs.run.figures import RecordPart
from jobs.run.record_file import find_run

Command = Callable[..., Result]


def expected(clip: SmallClip, model: Path, **how: object) -> dict[int, np.ndarray]:
    rendered = reference.render(clip.frames, clip.boxes, clip.features, model, **how)  # type: ignore[arg-type]
    return {index: frame for index, _, frame in rendered}


def same(got: dict[int, np.ndarray], wanted: dict[int, np.ndarray]) -> bool:
    return list(got) == list(wanted) and all(np.array_equal(got[i], wanted[i]) for i in wanted)


def undeclared(part: object) -> list[str]:
    """The keys of a record that its model does not declare."""
    if isinstance(part, tuple):
        return [name for one in part for name in undeclared(one)]
    if not isinstance(part, RecordPart):
        return []
    inner = [name for value in vars(part).values() for name in undeclared(value)]
    return [*(part.model_extra or {}), *inner]


def test_frames_equal_the_reference(clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    result = on_cluster("composite", clip.folder, "--model", model, "--out", run, "--device", "cpu")
    assert result.code == 0, result.output
    assert same(small.read_frames(run), expected(clip, model))

    table = pd.read_parquet(run / "timings").sort_values("frame")
    assert list(table["frame"]) == list(range(small.ROWS))
    assert list(table["background"]) == [reference.bounce(t, small.BACKGROUNDS) for t in range(small.ROWS)]
    sizes = {path.name: path.stat().st_size for path in (run / "frames").iterdir()}
    assert [sizes[f"frame_{i:06d}.png"] for i in table["frame"]] == list(table["bytes"])
    assert (table[["gather_ms", "inference_ms", "composite_ms", "encode_ms", "write_ms"]] > 0).all().all()
    assert table["node"].str.fullmatch("[0-9a-f]{56}").all()

    record = json.loads((run / "run.json").read_text())
    assert undeclared(find_run(RunFolder.at(run))) == []
    assert record["status"] == "complete"
    assert record["totals"]["rendered"] == small.ROWS
    assert record["totals"]["fps_steady"] > record["totals"]["fps_total"] > 0
    assert {"ray", "numpy"} <= record["versions"].keys()
    assert "fps_steady" in result.output
    assert not [path for path in run.rglob("*") if path.name.startswith(".")]


def test_workers_batch_and_ranges_do_not_change_a_byte(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--interpolation", "linear"]
    one, other = tmp_path / "one", tmp_path / "other"
    assert on_cluster(*base, "--out", one, "--workers", 1, "--batch", 1, "--frames", "3:31").code == 0
    assert on_cluster(*base, "--out", other, "--workers", 2, "--batch", 5, "--frames", "3:31").code == 0
    assert small.contents(one) == small.contents(other)
    wanted = expected(clip, model, interpolation="linear", start=3, stop=31)
    assert same(small.read_frames(one), wanted)
    batches = pd.read_parquet(other / "timings")["batch_size"]
    assert batches.max() == 5
    assert batches.min() < 5


@pytest.mark.parametrize("loop", ["mirror", "wrap"])
def test_loops(loop: str, clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu", "--frames", "15:45"]
    assert on_cluster(*base, "--loop", loop, "--workers", 1).code == 0
    assert same(small.read_frames(run), expected(clip, model, loop=loop, start=15))


def test_once_past_the_end_is_refused(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = in_process.command("composite", clip.folder, "--model", model, "--out", run, "--loop", "once")
    assert (result.code, run.exists()) == (2, False)
    assert "--frames 0:20" in result.output


def test_jpg_with_video_and_sound(clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu", "--frames", "5:42"]
    result = on_cluster(*base, "--format", "jpg", "--quality", 90, "--video")
    assert result.code == 0, result.output
    wanted = expected(clip, model, start=5, stop=42)
    for index, frame in wanted.items():
        # 12 MCUs are one row of these frames.
        settings = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, small.WIDTH // 16]
        content = cv2.imencode(".jpg", frame, settings)[1].tobytes()
        assert (run / "frames" / f"frame_{index:06d}.jpg").read_bytes() == content
    with av.open(str(run / "video.mp4")) as video:
        picture, sound = video.streams.video[0], video.streams.audio[0]
        assert (picture.codec_context.name, picture.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert picture.average_rate == 25
        assert sound.codec_context.name == "aac"
        lengths = [float(track.duration * track.time_base) for track in (picture, sound)]  # type: ignore[operator]
        assert lengths == [37 / 25, pytest.approx(37 / 25, abs=1 / 48000)]
        shown = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    assert len(shown) == 37
    # The texture is noise, which H.264 softens; a wrong order or shift would be several times as far away.
    distances = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown, wanted.values(), strict=True)]
    shifted = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown[1:], wanted.values(), strict=False)]
    assert max(distances) < min(shifted) / 2


def test_webp_is_lossless(clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu"]
    assert on_cluster(*base, "--frames", ":4", "--format", "webp", "--workers", 1).code == 0
    assert same(small.read_frames(run, "webp"), expected(clip, model, stop=4))


def test_inference_only(clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu"]
    assert on_cluster(*base, "--no-composite", "--workers", 1).code == 0
    table = pd.read_parquet(run / "timings")
    assert sorted(table["frame"]) == list(range(small.ROWS))
    assert (table["bytes"] == 0).all()
    assert not (run / "frames").exists()


def test_frames_that_fail_are_named_and_all_others_delivered(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    features = clip.features.copy()
    features[[4, 30], 0] = small.POISON
    np.save(tmp_path / "features.npy", features)
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu", "--batch", 4, "--video"]
    result = on_cluster(*base, "--features", tmp_path / "features.npy")
    assert result.code == 1, result.output
    assert result.output.count("failed: ") == 1
    assert "2 frames (4, 30) failed: the model returned NaN" in result.output
    assert sorted(small.read_frames(run)) == [i for i in range(small.ROWS) if i not in {4, 30}]
    assert [f["frame"] for f in json.loads((run / "run.json").read_text())["failures"]] == [4, 30]
    assert not (run / "video.mp4").exists()


def test_a_network_whose_answers_cannot_be_shown_is_told_at_once(
    clip: SmallClip, tmp_path: Path, on_cluster: Command
) -> None:
    """Every frame fails in the same way: the run ends before it has tried them all, and says what the answers are."""
    proto = onnx.load(str(small.write_model(tmp_path / "tanh.onnx")))
    next(node for node in proto.graph.node if node.op_type == "Sigmoid").op_type = "Tanh"
    onnx.save(proto, str(tmp_path / "tanh.onnx"))
    np.save(tmp_path / "features.npy", np.zeros_like(clip.features))
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", tmp_path / "tanh.onnx", "--out", run, "--device", "cpu"]
    result = on_cluster(*base, "--features", tmp_path / "features.npy", "--workers", 1)
    assert result.code == 3, result.output
    assert re.search(r"stopped: none of \d+ frames that were tried can be shown: .*outside of \[0, 1\]", result.output)
    assert "answers lie in [-1, 1], as after tanh" in result.output
    assert result.output.count("failed: ") == 1
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "stopped"
    assert len(record["failures"]) >= LEAST_FAILURES
    assert list((run / "frames").iterdir()) == []


def test_a_fixed_batch_is_rewritten_and_says_so(clip: SmallClip, tmp_path: Path, on_cluster: Command) -> None:
    fixed = small.write_model(tmp_path / "fixed.onnx", batch=1)
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", fixed, "--out", run, "--device", "cpu", "--frames", ":6"]
    result = on_cluster(*base, "--batch", 4, "--workers", 1)
    assert result.code == 0, result.output
    assert "fixed to batch 1: it is rewritten for 4" in result.output
    assert set(pd.read_parquet(run / "timings")["batch_size"]) == {2, 4}
    assert same(small.read_frames(run), expected(clip, fixed, stop=6))


def test_a_session_without_cuda_is_an_error(clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    """The cluster's books have a GPU that the machine does not: the session must notice, not run on the CPU."""
    run = tmp_path / "run"
    result = on_cluster("composite", clip.folder, "--model", model, "--out", run, "--device", "cuda")
    assert result.code == 2
    assert "a CUDA session was asked for" in result.output
    assert "Traceback" not in result.output
    assert not run.exists()


def test_waiting_for_gpus_that_do_not_come(clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cuda", "--workers", 2]
    result = on_cluster(*base, "--gpus-per-worker", 2, "--wait", 6)
    assert result.code == 2
    assert "0 of 2 workers ready" in result.output
    assert "no worker became ready within 6 s" in result.output
    assert not run.exists()


def test_another_cluster_address_is_an_error(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run]
    result = in_process.command(*base, "--address", "127.0.0.1:1")
    assert result.code == 2
    assert "--address 127.0.0.1:1: nothing answers there" in result.output
    assert not run.exists()
