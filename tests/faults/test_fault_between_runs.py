"""What happens to a run's files between two runs is found, named and mended."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import small
from stage import ONE_WORKER, ROWS, Stage

import jobs.run.decide
from jobs.run.record import Attempt
from jobs.run.verification import verify_run

# Nobody answers there, so a command that ends well has asked nobody.
NOWHERE = "127.0.0.1:1"


def test_frames_damaged_between_runs(stage: Stage) -> None:
    assert stage.render(*ONE_WORKER, "--frames", ":40").code == 0
    before = stage.done()
    content = bytearray(stage.frame(3).read_bytes())
    content[len(content) // 2] ^= 1
    stage.frame(3).write_bytes(content)
    stage.frame(17).write_bytes(stage.frame(17).read_bytes()[:-9])
    stage.frame(31).unlink()
    stage.frame(40).write_bytes(b"someone else's")
    kept = {path: at for path, at in before.items() if path not in map(stage.frame, (3, 17, 31))}
    verified = small.command("verify", stage.run)
    assert verified.code == 1
    for part in ("frame 3: ", "has changed", "frame 17: ", "bytes instead of", "frame 31: ", "is missing", "extra: "):
        assert part in verified.output
    # A wider range goes on from what is intact, and takes the stranger's place.
    result = stage.render(*ONE_WORKER)
    assert result.code == 0, result.output
    assert f"37 of {ROWS} done, rendering {ROWS - 37}" in result.output
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    stage.check_whole()


def test_what_ends_before_it_renders_leaves_the_record(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stage.render(*ONE_WORKER, "--frames", ":4").code == 0
    before = stage.record

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as now:
        now.setattr(jobs.run.decide, "plan_preparation", interrupted)
        assert stage.render(*ONE_WORKER, "--frames", ":8").code == 130
    assert stage.record == before
    assert stage.render(*ONE_WORKER, "--frames", ":8").code == 0
    stage.check_whole(range(8))


def test_a_video_is_mended_from_its_segments(stage: Stage) -> None:
    flags = (*ONE_WORKER, "--frames", ":60", "--format", "none", "--video")
    assert stage.render(*flags).code == 0
    video = stage.run / "video.mp4"
    whole = pictures(video)
    first, *others = sorted((stage.run / "segments").iterdir())
    kept = {path: path.stat().st_mtime_ns for path in others}
    first.write_bytes(first.read_bytes()[:1000])
    video.write_bytes(video.read_bytes()[:5000])
    damaged = " ".join(verify_run(str(stage.run)).damaged)
    assert "video.mp4 has changed" in damaged
    assert first.name in damaged
    result = stage.render(*flags)
    assert result.code == 0, result.output
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert verify_run(str(stage.run)).whole
    mended = pictures(video)
    assert len(mended) == len(whole) == 60
    # The mended stretch is cut into other segments, so it is the same pictures, but not the same bits: each is nearer
    # to its own frame than to that frame's neighbour.
    for i in range(59):
        assert np.abs(mended[i].astype(int) - whole[i]).mean() < np.abs(mended[i].astype(int) - whole[i + 1]).mean() / 2
    # With its segments whole a video is joined, or joined with another sound, without any worker; and then left alone.
    before = stage.record
    other = small.write_tone(stage.folder / "other.wav", ROWS / 25, rate=8000)
    video.unlink()
    for more, same in (((), False), ((), True), (("--audio", other), False), (("--audio", other), True)):
        at = video.stat().st_mtime_ns if video.exists() else 0
        result = stage.render(*flags, *more, at=NOWHERE)
        assert result.code == 0, result.output
        assert "60 of 60 done, nothing is left to render" in result.output
        assert (video.stat().st_mtime_ns == at) == same
        assert verify_run(str(stage.run)).whole
    attempt = Attempt.model_fields
    assert {name: stage.record[name] for name in attempt} == {name: before[name] for name in attempt}


def pictures(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_other_pixels_are_refused_and_named(stage: Stage) -> None:
    assert stage.render(*ONE_WORKER, "--frames", ":8").code == 0
    before = small.contents(stage.run)
    # Before anybody is asked: nothing answers there.
    result = stage.render("--frames", ":8", "--interpolation", "linear", "--loop", "wrap", at=NOWHERE)
    assert result.code == 2
    assert "error: --loop wrap, --interpolation linear: the run in" in result.output
    assert "was begun with --loop bounce, --interpolation cubic; " in result.output
    assert small.contents(stage.run) == before
    assert stage.render(*ONE_WORKER, "--frames", ":8", "--interpolation", "linear", "--restart").code == 0
    assert small.contents(stage.run).keys() == before.keys()
    assert small.contents(stage.run) != before


def test_verify_of_a_run_that_wrote_nothing(stage: Stage) -> None:
    assert stage.render(*ONE_WORKER, "--frames", ":5", "--no-composite").code == 0
    verified = small.command("verify", stage.run)
    assert verified.code == 0
    assert "nothing on disk to compare" in verified.output
    assert "5 of 5 frames are intact" in verified.output
