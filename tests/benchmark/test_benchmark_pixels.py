"""The check that every system must pass: right frames pass, and nothing else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import benched
import cv2
import numpy as np
import pytest
import reference
import small
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.choices import Device, Precision
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.benchmark.frame_check import (
    VIDEO_DECIBEL,
    Reference,
    check_frames,
    check_video,
    decibel,
    difference,
    tolerance,
)
from jobs.benchmark.material import LEAST_PERIOD, Material, period_of
from jobs.benchmark.matrix import JPEG_QUALITY, Output

FRAMES = 14
JPEG = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
Images = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Material, small.SmallClip]:
    return benched.material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def right(material: tuple[Material, small.SmallClip], model: Path) -> Images:
    ready, clip = material
    return benched.rendered(clip, np.load(ready.features(FRAMES)), model, FRAMES)


@pytest.fixture(scope="module")
def wanted(
    material: tuple[Material, small.SmallClip], right: Images, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    folder = benched.write_frames(tmp_path_factory.mktemp("reference") / "frames", right, "png")
    return Reference(folder, FRAMES, material[0])


def fault(folder: Path, output: Output, wanted: Reference, allowed: int = 0) -> str:
    return check_frames(folder, output, FRAMES, wanted, allowed).fault


@pytest.mark.parametrize(("output", "settings"), [(Output.PNG, ()), (Output.JPG, JPEG)])
def test_right_frames_pass(
    output: Output, settings: tuple[int, ...], right: Images, wanted: Reference, tmp_path: Path
) -> None:
    folder = benched.write_frames(tmp_path / "out", right, output, *settings)
    verdict = check_frames(folder, output, FRAMES, wanted, 0)
    assert (verdict.checked, verdict.worst, verdict.fault) == (FRAMES, 0, "")


def test_a_restart_interval_changes_no_pixel(right: Images, wanted: Reference, tmp_path: Path) -> None:
    folder = benched.write_frames(tmp_path / "out", right, "jpg", *JPEG, cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
    assert fault(folder, Output.JPG, wanted) == ""


@pytest.mark.parametrize("place", [(0, 0, 0), (-1, -1, 2), (80, 70, 1)])
def test_one_wrong_value_is_caught(place: tuple[int, ...], right: Images, wanted: Reference, tmp_path: Path) -> None:
    altered = right[5].copy()
    altered[place] ^= 1
    folder = benched.write_frames(tmp_path / "out", [*right[:5], altered, *right[6:]], "png")
    assert fault(folder, Output.PNG, wanted) == "frame 5 differs from the reference by 1 levels"
    assert fault(folder, Output.PNG, wanted, allowed=1) == ""


@pytest.mark.parametrize("output", [Output.PNG, Output.JPG])
def test_frames_that_are_late_by_one_are_caught(
    output: Output, right: Images, wanted: Reference, tmp_path: Path
) -> None:
    settings = JPEG if output is Output.JPG else ()
    folder = benched.write_frames(tmp_path / "out", [right[0], *right[:-1]], output, *settings)
    assert fault(folder, output, wanted).startswith("frame 1 differs")


def test_another_quality_is_caught(right: Images, wanted: Reference, tmp_path: Path) -> None:
    folder = benched.write_frames(tmp_path / "out", right, "jpg", cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY - 1)
    assert "differs" in fault(folder, Output.JPG, wanted)


def test_missing_extra_broken_and_oversized_frames_are_caught(right: Images, wanted: Reference, tmp_path: Path) -> None:
    folder = benched.write_frames(tmp_path / "out", right, "png")
    (folder / "frame_000014.png").write_bytes(b"")
    assert fault(folder, Output.PNG, wanted) == "1 files are no frames of it, the first is frame_000014.png"
    (folder / "frame_000014.png").unlink()
    last = folder / "frame_000013.png"
    content = last.read_bytes()
    last.unlink()
    assert fault(folder, Output.PNG, wanted) == "1 of 14 frames are missing, the first is frame_000013.png"
    last.write_bytes(content[:40])
    assert fault(folder, Output.PNG, wanted) == "frame_000013.png cannot be read"
    cv2.imwrite(str(last), np.vstack([right[13], right[13]]))
    assert fault(folder, Output.PNG, wanted) == "frame 13 differs from the reference by 255 levels"
    shutil.rmtree(folder)
    assert "14 of 14 frames are missing" in fault(folder, Output.PNG, wanted)


def test_nothing_may_differ_on_the_cpu_and_little_elsewhere() -> None:
    assert {tolerance(Device.CPU, precision, output) for precision in Precision for output in Output} == {0}
    assert tolerance(Device.CUDA, Precision.FP32, Output.PNG) == 1
    assert tolerance(Device.CUDA, Precision.FP16, Output.PNG) == 2


def test_the_tolerance_of_jpeg_is_what_two_levels_become(right: Images) -> None:
    rng = np.random.default_rng(0)

    def decoded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, JPEG)[1], cv2.IMREAD_COLOR), np.uint8)

    moved = np.clip(right[3] + rng.integers(-2, 3, right[3].shape), 0, 255).astype(np.uint8)
    allowed = tolerance(Device.CUDA, Precision.FP16, Output.JPG)
    assert 2 < difference(decoded(moved), decoded(right[3])) <= allowed
    assert difference(decoded(right[4]), decoded(right[3])) > allowed


def write_video(path: Path, frames: Images) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "12"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
    return path


def test_a_right_video_passes(right: Images, wanted: Reference, tmp_path: Path) -> None:
    verdict = check_video(write_video(tmp_path / "video.mp4", right), FRAMES, wanted)
    assert verdict.fault == ""
    assert verdict.checked == FRAMES
    assert verdict.worst > 0


def test_wrong_videos_are_caught(right: Images, wanted: Reference, tmp_path: Path) -> None:
    short = write_video(tmp_path / "short.mp4", right[:-1])
    assert check_video(short, FRAMES, wanted).fault == "the video has 13 frames instead of 14"
    late = write_video(tmp_path / "late.mp4", [right[0], *right[:-1]])
    assert "frame" in check_video(late, FRAMES, wanted).fault
    blank = write_video(tmp_path / "blank.mp4", [np.zeros_like(frame) for frame in right])
    assert "dB from the reference" in check_video(blank, FRAMES, wanted).fault
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert "cannot be decoded" in check_video(tmp_path / "broken.mp4", FRAMES, wanted).fault
    assert "cannot be decoded" in check_video(tmp_path / "none.mp4", FRAMES, wanted).fault


def test_a_video_that_is_late_by_one_is_caught_however_slowly_it_changes(
    material: tuple[Material, small.SmallClip], tmp_path: Path
) -> None:
    # A soft picture that moves by one column: any frame alone would pass for its neighbour.
    wide = np.asarray(cv2.GaussianBlur(small.picture(0, width=small.WIDTH + FRAMES), (0, 0), 3), np.uint8)
    slow = [np.ascontiguousarray(wide[:, t : t + small.WIDTH]) for t in range(FRAMES)]
    assert decibel(slow[3], slow[4]) > VIDEO_DECIBEL
    folder = benched.write_frames(tmp_path / "frames", slow, "png")
    wanted = Reference(folder, FRAMES, material[0])
    assert check_video(write_video(tmp_path / "right.mp4", slow), FRAMES, wanted).fault == ""
    late = write_video(tmp_path / "late.mp4", [slow[0], *slow[:-1]])
    assert check_video(late, FRAMES, wanted).fault.endswith("of 14 frames of the video look like their neighbours")


@given(st.integers(1, 400))
def test_frames_repeat_with_background_and_sound(frame: int) -> None:
    backgrounds = 5
    rows = np.arange(period_of(backgrounds) * 512, dtype=np.float32).reshape(-1, 512)
    ready = Material("", "", {}, (), (), rows, Path(), 1, 1, UNET_328)
    first = ready.model_frame(frame)
    assert first <= frame
    assert first < ready.distinct
    assert reference.bounce(first, backgrounds) == reference.bounce(frame, backgrounds)
    features = rows[np.arange(frame + 16) % ready.period]
    np.testing.assert_array_equal(reference.audio_window(features, first), reference.audio_window(features, frame))


@given(st.integers(1, 2000))
def test_a_period_is_whole_turns_and_not_short(backgrounds: int) -> None:
    period = period_of(backgrounds)
    assert period >= LEAST_PERIOD
    assert all(
        reference.bounce(t, backgrounds) == reference.bounce(t + period, backgrounds) for t in (0, 1, period // 2)
    )


def test_the_files_of_features_reach_beyond_the_last_frame(material: tuple[Material, small.SmallClip]) -> None:
    ready, clip = material
    features = np.load(ready.features(200))
    assert len(features) >= 200 + 8
    np.testing.assert_array_equal(features[: len(clip.features)], clip.features)
    np.testing.assert_array_equal(features[ready.period :], features[: len(features) - ready.period])


def test_the_others_get_the_very_pixels_of_the_clip(material: tuple[Material, small.SmallClip]) -> None:
    ready, clip = material
    assert len(ready.backgrounds) == small.BACKGROUNDS
    for path, frame in zip(ready.backgrounds, clip.frames, strict=True):
        np.testing.assert_array_equal(cv2.imread(path), frame)
    assert [(r.x0, r.y0, r.x1, r.y1) for r in ready.boxes] == clip.boxes


@given(st.integers(1, 500), st.integers(2, 40), st.integers(1, 200))
def test_samples_are_spread_and_have_a_reference(frames: int, most: int, count: int) -> None:
    ready = Material("", "", {}, (), (), np.zeros((128, 512), np.float32), Path(), 1, 1, UNET_328)
    sample = Reference(Path(), count, ready).sample(frames, most)
    assert len(sample) == len(set(sample)) <= most
    assert list(sample) == sorted(sample)
    assert all(ready.model_frame(frame) < count and frame < frames for frame in sample)
    known = [frame for frame in range(frames) if ready.model_frame(frame) < count]
    assert sample[0] == known[0]
    assert sample[-1] == known[-1]
