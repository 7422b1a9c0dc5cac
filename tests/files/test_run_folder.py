"""The folder of a run: names and patterns of its files, for paths and URIs, as drivers and workers have it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from actors.core.choices import ImageFormat
from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.run_folder import (
    MARK,
    RunFolder,
    fragment_range,
    is_data_file,
    new_driver_mark,
    new_node_mark,
    segment_name,
    segment_range,
)

FRAMES = FrameRange(64, 128)


def test_what_stands_in_a_run() -> None:
    run = RunFolder.at("/run")
    assert str(run.frame(7, ImageFormat.PNG)) == "/run/frames/frame_000007.png"
    assert str(run.frame(1234567, ImageFormat.WEBP)) == "/run/frames/frame_1234567.webp"
    assert str(run.fragment(FRAMES)) == "/run/timings/000000064-000000128.parquet"
    assert (
        str(run.segment(FRAMES)) == f"/run/segments/{segment_name(FRAMES)}" == "/run/segments/000000064-000000128.mp4"
    )
    assert (str(run.video), str(run.record)) == ("/run/video.mp4", "/run/run.json")
    assert {str(path) for path in run.data_folders} == {
        f"/run/{x}" for x in ("frames", "timings", "segments", "features")
    }


def test_names_give_their_ranges_back() -> None:
    assert segment_range("000000064-000000128.mp4") == FRAMES
    assert fragment_range("000000064-000000128.parquet") == FRAMES
    for name in ("64-128.mp4", "000000128-000000064.mp4", "000000064-000000128.parquet", "intro.mp4", ""):
        assert segment_range(name) is None


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_copy_elsewhere_names_the_same_files(tmp_path: Path, prefix: str) -> None:
    """A worker gets the value once, pickled: a few hundred bytes, whatever the file system."""
    sent = pickle.dumps(RunFolder.at(f"{prefix}{tmp_path}"))
    assert len(sent) < 600
    run: RunFolder = pickle.loads(sent)  # noqa: S301 - our own
    assert run == RunFolder.at(f"{prefix}{tmp_path}")
    run.make_folders(frames=True, segments=False)
    storage.write_atomic(run.frame(0, ImageFormat.PNG), b"pixels")
    assert (tmp_path / "frames" / "frame_000000.png").read_bytes() == b"pixels"
    (entry,) = storage.children(run.frames)
    assert is_data_file(entry)
    assert run.frames / entry.name == run.frame(0, ImageFormat.PNG)
    storage.remove_file(run.frames / entry.name)
    assert not storage.is_file(run.frame(0, ImageFormat.PNG))


def test_what_a_user_puts_there_is_no_data_file_of_the_run(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    ours = {"frame_000000.png", "000000064-000000128.mp4", ".frame_000000.png.77-0123abcd.partial"}
    for name in {*ours, "best-take.psd", "frame_1.png", "frame_000000.png.bak"}:
        (frames / name).touch()
    (frames / "frame_000001.png").mkdir()
    entries = storage.children(RunFolder.at(tmp_path).frames)
    assert {entry.name for entry in entries if is_data_file(entry)} == ours


def test_marks_are_known_by_their_names() -> None:
    assert all(MARK.fullmatch(mark) for mark in (new_driver_mark(), new_node_mark()))
    assert not MARK.fullmatch(".driver-mine")
