"""Footage without face boxes is rendered: faces are found once, frames without one stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import in_process
import numpy as np
import pyarrow.parquet as pq
import pytest
import small
from batches import states_of, write_features, write_manifest
from presenter_footage import SIZE, beside_herself, presenter_frames, write_footage
from small import Result

from actors.core.ranges import FrameRange
from jobs.demo.presenter import landmarks

Command = Callable[..., Result]

# She is there, away for too long to be interpolated, and back.
PLACES = (*range(10), *[None] * 8, *range(10, 20))


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("footage") / "talk.mp4", presenter_frames(PLACES))


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other frames of hers, with the landmarks that they were drawn with."""
    folder = tmp_path_factory.mktemp("avatar")
    (folder / "full_body_img").mkdir()
    (folder / "landmarks").mkdir()
    for i, place in enumerate(range(20, 60)):
        cv2.imwrite(str(folder / "full_body_img" / f"{i}.png"), presenter_frames([place])[0])
        points = landmarks(place) * SIZE[0] // 1280
        (folder / "landmarks" / f"{i}.lms").write_text("".join(f"{x} {y}\n" for x, y in points))
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "aud_ave.npy"
    np.save(path, small.feature_rows(len(PLACES)))
    return path


def decoded(video: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(video))
    frames: list[np.ndarray] = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(frame)


def test_a_square_network_needs_a_clip_to_be_like(
    footage: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    out = tmp_path / "run"
    refused = on_cluster("composite", footage, "--model", model, "--features", features, "--out", out)
    assert refused.code == 2
    assert "give --like AVATAR" in refused.output
    assert not out.exists()


def test_faces_are_found_and_frames_without_one_pass_through(
    footage: Path, avatar: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    out = tmp_path / "run"
    command = ("composite", footage, "--model", model, "--features", features, "--out", out, "--like", avatar)
    result = on_cluster(*command, "--device", "cpu")
    assert result.code == 0, result.output
    assert "they are found now" in result.output
    rows = pq.read_table(out / "timings").sort_by("frame").to_pylist()
    shown = [row["background"] for row in rows]
    assert {None, 9} <= {PLACES[background] for background in shown}
    assert [row["face"] == "none" for row in rows] == [PLACES[background] is None for background in shown]
    frames, backgrounds = small.read_frames(out), decoded(footage)
    same = [np.array_equal(frames[i], backgrounds[background]) for i, background in enumerate(shown)]
    assert same == [PLACES[background] is None for background in shown]

    # What was found is used again, and so is what was prepared elsewhere.
    stamps = {path: path.stat().st_mtime_ns for path in (out / "faces" / "detections").iterdir()}
    (out / "frames" / "frame_000003.png").unlink()
    again = on_cluster(*command, "--device", "cpu")
    assert again.code == 0, again.output
    assert "rendering 1" in again.output
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    other = tmp_path / "other"
    prepared = on_cluster(
        *("composite", footage, "--model", model, "--features", features, "--out", other, "--device", "cpu"),
        *("--like", avatar, "--faces", out / "faces"),
    )
    assert prepared.code == 0, prepared.output
    assert small.contents(other) == small.contents(out)


def test_a_run_that_was_killed_while_faces_were_searched_goes_on(
    avatar: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    footage, out = write_footage(tmp_path / "talk.mp4", presenter_frames(range(50))), tmp_path / "run"
    assert on_cluster("prepare", footage, "--out", out / "faces").code == 0
    # What such a run leaves: no record of its own, and not all of the faces.
    first, *rest = sorted((out / "faces" / "detections").iterdir())
    first.unlink()
    stamps = {path: path.stat().st_mtime_ns for path in rest}
    assert stamps
    result = on_cluster(
        *("composite", footage, "--model", model, "--features", features, "--out", out, "--like", avatar),
        *("--device", "cpu", "--frames", "0:2"),
    )
    assert result.code == 0, result.output
    assert f"frames searched, {FrameRange.parse(first.stem).stop} to go" in result.output
    assert {path: path.stat().st_mtime_ns for path in rest} == stamps


def test_a_prepared_copy_is_a_clip(
    footage: Path, avatar: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    clip, out = tmp_path / "clip", tmp_path / "run"
    assert on_cluster("prepare", footage, "--out", clip, "--copy").code == 0
    result = on_cluster(
        *("composite", clip, "--model", model, "--features", features, "--out", out, "--like", avatar),
        *("--device", "cpu", "--frames", "0:12"),
    )
    assert result.code == 0, result.output
    assert not (out / "faces" / "detections").exists()
    assert len(small.read_frames(out)) == 12


def test_what_was_prepared_is_dubbed_unless_the_command_says_otherwise(
    avatar: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    footage = write_footage(tmp_path / "two.mp4", [*map(beside_herself, presenter_frames(range(36)))])
    faces = tmp_path / "faces"
    assert on_cluster("prepare", footage, "--out", faces, "--face", "2").code == 0
    command = ("composite", footage, "--model", model, "--features", features, "--faces", faces, "--like", avatar)
    kept = on_cluster(*command, "--frames", "0:1", "--out", tmp_path / "kept")
    assert "36 of 36 frames show face 2" in kept.output
    other = on_cluster(*command, "--frames", "0:1", "--out", tmp_path / "other", "--face", "1")
    assert "36 of 36 frames show face 1" in other.output
    assert "have been found already" in on_cluster(*command, "--out", tmp_path / "no", "--detector", "y.onnx").output

    # A command that is refused changes nothing of the run's own faces, whether face or footage is another.
    out = tmp_path / "own"
    own = ("--model", model, "--features", features, "--like", avatar, "--frames", "0:1", "--out", out)
    assert on_cluster("composite", footage, *own).code == 0
    before = {path: path.read_bytes() for path in (out / "faces").rglob("*") if path.is_file()}
    third = write_footage(tmp_path / "third.mp4", presenter_frames(range(8)))
    refused = [on_cluster("composite", footage, *own, "--face", "2"), on_cluster("composite", third, *own)]
    assert [result.code for result in refused] == [2, 2]
    assert {path: path.read_bytes() for path in (out / "faces").rglob("*") if path.is_file()} == before


def test_faces_are_searched_once_for_all_clips_of_a_batch(
    avatar: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    footage = write_footage(tmp_path / "two.mp4", [*map(beside_herself, presenter_frames(range(36)))])
    other = tmp_path / "other"
    shutil.copytree(avatar, other)
    rows: list[dict[str, object]] = [
        {"id": "one", "face": "1"},
        {"id": "two", "face": "2"},
        {"id": "again", "face": "1", "features": write_features(tmp_path / "again.npy", 6, 3)},
        {"id": "like", "face": "2", "like": other},
        {"id": "none", "face": "3"},
    ]
    manifest, out = write_manifest(tmp_path / "clips.jsonl", rows), tmp_path / "batch"
    given = ("--model", model, "--features", features, "--like", avatar, "--device", "cpu", "--frames", "0:6")
    command = ("batch", manifest, "--clip", footage, *given, "--out", out)
    result = on_cluster(*command)
    assert result.code == 1, result.output
    assert states_of(out) == {"one": "done", "two": "done", "again": "done", "like": "done", "none": "failed"}
    alone = tmp_path / "alone"
    composed = on_cluster("composite", footage, *given, "--face", "2", "--out", alone)
    assert composed.code == 0, composed.output
    assert small.contents(out / "two") == small.contents(out / "like") == small.contents(alone)
    assert small.contents(out / "one") != small.contents(alone)
    # Once for each clip that the boxes are to be like, and not again.
    found = {path: path.stat().st_mtime_ns for path in (out / "faces").rglob("*.parquet")}
    assert len({path.relative_to(out).parts[1] for path in found}) == 2
    write_manifest(manifest, [*rows[:4], {"id": "more", "face": "2"}])
    more = on_cluster(*command)
    assert more.code == 0, more.output
    assert "4 are done" in more.output
    assert small.contents(out / "more") == small.contents(alone)
    assert {path: path.stat().st_mtime_ns for path in (out / "faces").rglob("*.parquet")} == found


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--face", "center", "must be largest, left, right, or a number of the contact sheet"),
        ("--face-at", "3;4", "must be X,Y or X,Y,FRAME"),
        ("--pads", "1,2", "must be TOP,BOTTOM,LEFT,RIGHT"),
    ],
)
def test_a_flag_says_what_it_takes(tmp_path: Path, flag: str, value: str, words: str) -> None:
    refused = in_process.command("composite", "v.mp4", "--model", "m.onnx", "--out", tmp_path / "run", flag, value)
    assert refused.code == 2
    assert words in refused.output


def test_flags_about_faces_are_refused_where_boxes_are_given(
    clip: small.SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    refused = on_cluster("composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--face", "left")
    assert refused.code == 2
    assert "--face: is for footage without face boxes" in refused.output


def test_faces_of_other_footage_are_refused(
    footage: Path, avatar: Path, features: Path, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    other = write_footage(tmp_path / "other.mp4", presenter_frames(range(8)))
    assert on_cluster("prepare", other, "--out", tmp_path / "clip").code == 0
    refused = on_cluster(
        *("composite", footage, "--model", model, "--features", features, "--out", tmp_path / "run"),
        *("--like", avatar, "--faces", tmp_path / "clip"),
    )
    assert refused.code == 2
    assert "holds the faces of other footage (other.mp4, 8 frames)" in refused.output
