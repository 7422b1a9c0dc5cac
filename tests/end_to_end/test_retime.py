"""Pairing by time: a video at another frame rate moves as fast as it did, and everything says so."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import in_process
import numpy as np
import pandas as pd
import pytest
import reference
import small
from small import Result, SmallClip

COUNT, ROWS = 25, 30


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second at 50 fps, without loss, so that every decoder sees the same."""
    path = tmp_path_factory.mktemp("video") / "quick.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(50))
        stream.width, stream.height, stream.pix_fmt = small.WIDTH, small.HEIGHT, "bgr0"
        for i in range(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small.picture(i), format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("flags")
    np.save(folder / "rows.npy", small.feature_rows(ROWS))
    boxes = small.write_rects(folder / "rects.json", [small.square(i) for i in range(COUNT)])
    return ["--features", folder / "rows.npy", "--rects", boxes]


@pytest.mark.parametrize("loop", ["bounce", "wrap"])
def test_frames_are_drawn_on_what_is_on_show_at_their_time(
    loop: str,
    video: Path,
    flags: list[object],
    model: Path,
    tmp_path: Path,
    on_cluster: Callable[..., Result],
) -> None:
    run = tmp_path / "run"
    base = ("composite", video, "--model", model, "--out", run, "--device", "cpu", *flags, "--loop", loop)
    result = on_cluster(*base, "--retime")
    assert result.code == 0, result.output
    assert "times its speed" not in result.output
    # Of 50 frames a second every other one is on show at 25.
    shown = range(0, COUNT, 2)
    frames, boxes = [small.picture(i) for i in shown], [small.square(i) for i in shown]
    wanted = list(reference.render(frames, boxes, small.feature_rows(ROWS), model, loop=loop))
    got = small.read_frames(run)
    assert [t for t, _, frame in wanted if np.array_equal(got[t], frame)] == list(range(ROWS))
    table = pd.read_parquet(run / "timings").sort_values("frame")
    assert list(table["background"]) == [shown[place] for _, place, _ in wanted]
    # By index it is another run.
    refused = on_cluster(*base)
    assert refused.code == 2
    assert "no --retime: the run in" in refused.output
    assert "so the background moves at 0.50 times its speed; --retime pairs by time" in refused.output


def test_inspect_says_what_becomes_of_the_rate(video: Path, flags: list[object]) -> None:
    result = in_process.command("inspect", video, *flags)
    assert result.code == 0, result.output
    assert "warning: quick.mkv: 50 fps" in result.output
    assert "--retime pairs by time" in result.output


def test_once_ends_when_the_video_does(video: Path, flags: list[object], model: Path, tmp_path: Path) -> None:
    base = ("composite", video, "--model", model, "--out", tmp_path / "run", *flags, "--loop", "once", "--retime")
    assert "use --frames 0:13" in in_process.command(*base).output


def test_images_have_no_times_to_pair_by(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    result = in_process.command("composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--retime")
    assert result.code == 2
    assert "nothing tells when its frames are shown; leave --retime out" in result.output
    assert not (tmp_path / "run").exists()
