"""`batch` from the command line to the folders of its clips, on a real cluster of two nodes."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import batches
import cv2
import in_process
import numpy as np
import pytest
import small
from disturbance import Disturbance, before_loads
from encoders import write_encoder
from small import Result, SmallClip

import jobs.batch.batch_run
import jobs.batch.open_ahead
import jobs.batch.read_ahead
from actors.core.ranges import ClipBlock
from actors.files import storage
from jobs.batch.batch_clip import BatchClip
from jobs.batch.read_ahead import ReadAhead
from jobs.run.folder_lock import lock_folder
from jobs.scheduling.job_spec import JobSpec

Command = Callable[..., Result]

FLAGS = ("--device", "cpu", "--format", "jpg")


@pytest.fixture(scope="module")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> SmallClip:
    """Another clip than `clip`."""
    written = small.write_dataset(tmp_path_factory.mktemp("other") / "runner")
    for i in range(small.BACKGROUNDS):
        cv2.imwrite(str(written.folder / "full_body_img" / f"{i + 1}.png"), small.picture(i + 50), small.READ_FAST)
    return written


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Features of four recordings."""
    folder = tmp_path_factory.mktemp("features")
    return [batches.write_features(folder / f"voice{i}.npy", 14, i) for i in range(4)]


class Loads(Disturbance):
    """Counts how often each block is loaded."""

    def __init__(self) -> None:
        self.counts: Counter[ClipBlock] = Counter()

    def change(self, job: JobSpec) -> JobSpec:
        return before_loads(job, lambda block: self.counts.update([block]))


def test_each_row_is_an_ordinary_run(
    clip: SmallClip,
    other_clip: SmallClip,
    features: list[Path],
    model: Path,
    tmp_path: Path,
    on_cluster: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        *({"id": f"walker{i}", "clip": clip.folder, "features": path} for i, path in enumerate(features)),
        {"id": "runner", "clip": other_clip.folder, "frames": "3:17"},
        {"id": "soft", "clip": clip.folder, "features": features[0], "blend": "feather", "format": "png"},
    ]
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    loads = Loads()
    with monkeypatch.context() as counting:
        loads.install(counting)
        result = on_cluster("batch", manifest, "--model", model, "--out", out, *FLAGS)
    assert result.code == 0, result.output
    assert [(row["id"], row["state"], row["frames"]) for row in batches.table_of(out)] == [
        (row["id"], "done", 14) for row in rows
    ]
    # A set for the walkers, one for the runner, and one for what is blended otherwise.
    assert set(loads.counts.values()) == {1}
    assert len({block.clip for block in loads.counts}) == 3
    assert (out / "report.html").is_file()
    assert batches.strays(out) == []
    for row in rows:
        run, alone = out / str(row["id"]), tmp_path / "alone" / str(row["id"])
        own = [item for name, value in row.items() if name not in {"id", "clip"} for item in (f"--{name}", value)]
        command = ("composite", row["clip"], "--model", model, *FLAGS, *own)
        assert in_process.command("verify", run).code == 0
        left = on_cluster(*command, "--out", run)
        assert "14 of 14 done" in left.output, left.output
        if row["id"] in {"walker3", "runner", "soft"}:
            assert on_cluster(*command, "--out", alone).code == 0
            assert small.contents(run) == small.contents(alone)
    assert in_process.command("report", out / "walker0").code == 0


def bad_rows(folder: Path, features: list[Path]) -> list[dict[str, object]]:
    """Seven rows, of which "good" and "fine" are good."""
    np.save(folder / "short.npy", small.feature_rows(6)[:, :500])
    np.save(folder / "nothing.npy", np.where(np.arange(6)[:, None] == 4, np.float32("nan"), small.feature_rows(6)))
    poison = small.feature_rows(6)
    poison[2, 0] = small.POISON
    np.save(folder / "poison.npy", poison)
    return [
        {"id": "missing", "clip": folder / "avatar"},
        {"id": "shape", "features": folder / "short.npy"},
        {"id": "good", "features": features[0]},
        {"id": "nan", "features": folder / "nothing.npy"},
        {"id": "poison", "features": folder / "poison.npy", "format": "png"},
        {"id": "together", "features": features[0], "face": "largest", "face-at": "3,4"},
        {"id": "fine", "features": features[1]},
    ]


def mend(folder: Path, clip: SmallClip, rows: list[dict[str, object]]) -> None:
    """Mends all but the poison frame."""
    shutil.copytree(clip.folder, folder / "avatar")
    for name in ("short.npy", "nothing.npy"):
        np.save(folder / name, small.feature_rows(6))
    rows[5] = {"id": "together", "features": rows[2]["features"]}


# What is said of a bad row.
SAID = {
    "missing": "avatar: ",
    "shape": "short.npy: ",
    "nan": "nothing.npy: ",
    "poison": "frame 2",
    "together": "row 6: ",
}


def test_bad_rows_fail_alone_and_are_tried_again(
    clip: SmallClip, features: list[Path], model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    """One batch from its first command to its last: what is done stays, what failed is mended, what is new joins."""
    rows = bad_rows(tmp_path, features)
    manifest, out = tmp_path / "clips.jsonl", tmp_path / "batch"
    command = ("batch", manifest, "--clip", clip.folder, "--model", model, "--out", out, *FLAGS, "--frames", "0:6")
    batches.write_manifest(manifest, rows)
    first = on_cluster(*command)
    assert first.code == 1, first.output
    table = {row["id"]: row for row in batches.table_of(out)}
    assert {name for name, row in table.items() if row["state"] == "done" and not row["error"]} == {"good", "fine"}
    assert {name for name, row in table.items() if row["state"] == "failed" and row["error"]} == SAID.keys()
    assert "Traceback" not in first.output
    for name, said in SAID.items():
        assert said in table[name]["error"]
        assert f"failed: {name}: " in first.output
    # What never began left nothing.
    assert {run.name for run in out.iterdir() if run.is_dir()} == {"good", "fine", "poison"}
    assert sorted(small.read_frames(out / "poison")) == [0, 1, 3, 4, 5]
    assert batches.strays(out) == []

    mend(tmp_path, clip, rows)
    # What is done is not even looked at.
    gone = out / "good" / "frames" / "frame_000003.jpg"
    kept = gone.read_bytes()
    gone.unlink()
    done = table["good"]
    rows[6]["blend"] = "feather"
    rows.insert(0, {"id": "new", "features": features[2]})
    batches.write_manifest(manifest, rows)
    second = on_cluster(*command)
    assert second.code == 1, second.output
    assert "1 are done" in second.output
    assert not gone.exists()
    table = {row["id"]: row for row in batches.table_of(out)}
    assert list(table) == [row["id"] for row in rows]
    assert table["good"] == done
    assert {name for name, row in table.items() if row["state"] == "failed"} == {"poison", "fine"}
    assert "--blend" in table["fine"]["error"]
    assert sorted(small.read_frames(out / "fine", "jpg")) == list(range(6))

    rows[5].pop("features")
    batches.write_manifest(manifest, rows)
    third = on_cluster(*command, "--verify", "--restart", "fine", "--restart", "poison")
    assert third.code == 0, third.output
    assert gone.read_bytes() == kept
    assert batches.states_of(out) == {str(row["id"]): "done" for row in rows}
    figures = {row["id"]: row["fps"] > 0 and row["seconds"] > 0 for row in batches.table_of(out)}
    assert all(figures.values()), figures
    for name in batches.states_of(out):
        assert in_process.command("verify", out / name).code == 0
    fourth = on_cluster(*command)
    assert fourth.code == 0, fourth.output


def test_recordings_of_one_clip_are_heard_by_one_encoder(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    encoder = write_encoder(tmp_path / "ear.onnx")
    voices = [small.write_tone(tmp_path / f"voice{i}.wav", 0.3 + 0.04 * i, rate=22_050) for i in range(3)]
    given = ("--model", model, "--encoder", encoder, *FLAGS, "--video")
    out, alone = tmp_path / "batch", tmp_path / "alone"
    result = on_cluster("batch", *voices, "--clip", clip.folder, *given, "--out", out)
    assert result.code == 0, result.output
    assert batches.states_of(out) == dict.fromkeys(("voice0", "voice1", "voice2"), "done")
    assert on_cluster("composite", clip.folder, *given, "--audio", voices[2], "--out", alone).code == 0
    assert small.contents(out / "voice2") == small.contents(alone)
    kept = sorted(out.glob("*/features/*"))
    assert [path.parts[-3] for path in kept] == ["voice0", "voice1", "voice2"]
    for i, voice in enumerate(voices):
        with av.open(str(out / f"voice{i}" / "video.mp4")) as video:
            assert len(list(video.decode(video=0))) == len(small.contents(out / f"voice{i}"))
            assert len(video.streams.audio) == 1
        assert voice.exists()


def test_rows_come_by_standard_input(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths count from the working directory there."""
    rows = f'{{"clip": "{clip.folder.name}", "frames": "0:3"}}\n{{"clip": "none"}}\n'
    out = tmp_path / "batch"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(rows.encode())))
    monkeypatch.chdir(clip.folder.parent)
    result = on_cluster("batch", "-", "--model", model, "--out", out, *FLAGS)
    assert result.code == 1, result.output
    assert batches.states_of(out) == {clip.folder.name: "done", "none": "failed"}


def test_what_the_cluster_has_not_leaves_nothing(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    """The books of the cluster have a GPU; that it is none is known when a worker has been started."""
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", [{"clip": clip.folder}]), tmp_path / "batch"
    refused = on_cluster("batch", manifest, "--model", model, "--out", out, "--device", "cuda", "--wait", 60)
    assert refused.code == 2, refused.output
    assert "--device cuda" in refused.output
    assert not out.exists()


def test_many_rows_are_read_a_window_at_a_time_and_rendered_by_priority(
    clip: SmallClip,
    features: list[Path],
    model: Path,
    tmp_path: Path,
    on_cluster: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs.batch.read_ahead, "READ_FIRST", 4)
    monkeypatch.setattr(jobs.batch.read_ahead, "READ_AHEAD", 2)
    monkeypatch.setattr(jobs.batch.open_ahead, "AHEAD_FRAMES", 1)
    monkeypatch.setattr(jobs.batch.open_ahead, "LEAST_OPEN", 1)
    monkeypatch.setattr(jobs.batch.batch_run, "MOST_BEGINNING", 1)
    rows = [{"id": str(i), "features": features[i % 4], "priority": i % 3} for i in range(9)]
    rows[4]["features"] = tmp_path / "none.npy"
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    most: list[int] = []
    taken = ReadAhead.take

    def take(self: ReadAhead) -> BatchClip:
        most.append(self.waiting)
        return taken(self)

    monkeypatch.setattr(ReadAhead, "take", take)
    command = ("batch", manifest, "--clip", clip.folder, "--model", model, "--out", out, *FLAGS, "--frames", "0:3")
    result = on_cluster(*command, "--workers", 1)
    assert result.code == 1, result.output
    assert batches.states_of(out) == {str(i): "failed" if i == 4 else "done" for i in range(9)}
    assert max(most) <= 2
    begun = sorted((row["started"], int(row["id"])) for row in batches.table_of(out) if row["state"] == "done")
    assert [row for _, row in begun] == [2, 5, 8, 1, 7, 0, 3, 6]


def test_a_clip_whose_folder_is_anothers_fails_alone_and_half_precision_is_compared(
    clip: SmallClip, features: list[Path], model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    rows: list[dict[str, object]] = [{"id": name, "features": features[0], "precision": "fp16"} for name in "ab"]
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    given = ("--model", model, *FLAGS, "--frames", "0:4")
    command = ("batch", manifest, "--clip", clip.folder, *given, "--out", out)
    first = on_cluster(*command)
    assert first.code == 0, first.output
    alone = tmp_path / "alone"
    own = ("--features", features[0], "--precision", "fp16", "--out", alone)
    assert on_cluster("composite", clip.folder, *given, *own).code == 0
    compared = [json.loads((run / "run.json").read_text())["precision"] for run in (alone, out / "a", out / "b")]
    assert compared[0]
    assert [each["worst"] for each in compared] == [compared[0]["worst"]] * 3
    assert small.contents(out / "a") == small.contents(out / "b") == small.contents(alone)

    names = ("busy", "mine", "new")
    rows += [{"id": name, "features": features[1]} for name in names]
    batches.write_manifest(manifest, rows)
    (out / "mine").mkdir()
    (out / "mine" / "letter.txt").write_text("mine")
    with lock_folder(storage.locate(str(out / "busy"))):
        second = on_cluster(*command)
    assert second.code == 1, second.output
    errors = {row["id"]: row["error"] for row in batches.table_of(out)}
    assert {name: bool(error) for name, error in errors.items()} == {
        "a": False,
        "b": False,
        "busy": True,
        "mine": True,
        "new": False,
    }
    assert "another run is writing there" in errors["busy"]
    assert "holds no run of mouthpiece" in errors["mine"]
    assert [path.name for path in (out / "mine").iterdir()] == ["letter.txt"]


def test_a_manifest_whose_rows_are_all_wrong_leaves_nothing(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    rows = [{"id": "one", "clip": tmp_path / "none"}, {"id": "two", "clip": clip.folder, "features": tmp_path / "no"}]
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    refused = on_cluster("batch", manifest, "--model", model, "--out", out, *FLAGS)
    assert refused.code == 2, refused.output
    assert "none of 2 clips can be rendered; one: " in refused.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a", "clipp": "b"}], "row 1: clipp: there is no such column"),
        ([{"id": "a", "workers": 2}], "row 1: workers: belongs to the command"),
        ([{"id": "a"}, {"id": "A"}], "row 2: id: A is the id of row 1 as well, or differs in case alone"),
        ([], "has no rows"),
    ],
)
def test_a_wrong_manifest_is_refused_before_ray_is_asked(
    rows: list[dict[str, object]], said: str, tmp_path: Path
) -> None:
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    refused = in_process.command("batch", manifest, "--out", out, "--address", "127.0.0.1:1")
    assert refused.code == 2, refused.output
    assert said in refused.output
    assert not out.exists()


def test_another_command_works_in_the_folder(tmp_path: Path, clip: SmallClip, model: Path) -> None:
    manifest = batches.write_manifest(tmp_path / "clips.jsonl", [{"id": "a", "clip": clip.folder}])
    out = tmp_path / "batch"
    with lock_folder(storage.locate(str(out))):
        refused = in_process.command("batch", manifest, "--model", model, "--out", out, "--address", "127.0.0.1:1")
    assert refused.code == 2, refused.output
    assert "another run is writing there" in refused.output


def test_a_folder_of_something_else_is_refused(tmp_path: Path, clip: SmallClip, model: Path) -> None:
    manifest = batches.write_manifest(tmp_path / "clips.jsonl", [{"id": "a", "clip": clip.folder}])
    out = tmp_path / "mine"
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    refused = in_process.command("batch", manifest, "--model", model, "--out", out, "--address", "127.0.0.1:1")
    assert refused.code == 2, refused.output
    assert [path.name for path in out.iterdir()] == ["letter.txt"]


def test_a_batch_is_given_up_when_clips_fail_and_goes_on_without_that(
    clip: SmallClip, features: list[Path], model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    rows: list[dict[str, object]] = [{"id": str(i), "features": path} for i, path in enumerate(features)]
    rows[1]["features"] = rows[2]["features"] = tmp_path / "none.npy"
    manifest, out = batches.write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    command = ("batch", manifest, "--clip", clip.folder, "--model", model, "--out", out, *FLAGS, "--frames", "0:4")
    for flags, most in ((("--on-error", "stop"), 0), (("--max-failed", 1), 1)):
        stopped = on_cluster(*command, *flags)
        assert stopped.code == 3, stopped.output
        assert f"{most} may" in stopped.output
        assert "run the same command again" in stopped.output
        assert "done" not in batches.states_of(out).values()
    result = on_cluster(*command)
    assert result.code == 1, result.output
    assert list(batches.states_of(out).values()) == ["done", "failed", "failed", "done"]
    # What is no longer asked for stays in the table, and is no failure.
    batches.write_manifest(manifest, [rows[3], {"id": "4", "features": features[1]}])
    rest = on_cluster(*command)
    assert rest.code == 0, rest.output
    assert [row["id"] for row in batches.table_of(out)] == ["3", "4", "0", "1", "2"]
    refused = on_cluster(*command, "--restart", "1")
    assert refused.code == 2
    assert "--restart 1: the manifest has no clip of that id" in refused.output
