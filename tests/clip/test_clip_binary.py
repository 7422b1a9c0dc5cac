import json
import shutil
from functools import partial
from pathlib import Path

import clip_inputs
import numpy as np
import pytest
from clip_inputs import (
    DRAWN,
    PATIENT,
    SMALL,
    given_or_refused,
    squares,
    write_binary,
    write_features,
    write_images,
    write_landmarks,
    write_metadata,
    write_rects,
    write_video,
)
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clip import FaceBox, ImageFrames, PlaneFile
from actors.core.errors import InputError
from jobs.clip import read_windows

COUNT = 5

read = partial(clip_inputs.read, kind=SMALL)
refused = partial(clip_inputs.refused, kind=SMALL)


def test_an_export_alone_gives_planes_and_windows(tmp_path: Path) -> None:
    windows = write_binary(tmp_path, COUNT)
    (tmp_path / "landmarks.json").write_text("{}")
    write_features(tmp_path / "aud_ave.npy", COUNT)
    clip = read(tmp_path)
    assert (clip.form, clip.frames, clip.boxes, clip.features) == ("binary", None, None, None)
    assert clip.planes == PlaneFile(str(tmp_path / "visual_input.bin"), 0, COUNT)
    assert (clip.backgrounds, clip.window_count) == (COUNT, COUNT)
    assert clip.windows == str(tmp_path / "audio_input.bin")
    assert np.array_equal(read_windows(clip.windows, COUNT, SMALL), windows)
    assert clip.found == (
        "visual_input.bin: 5 frames of ready-made planes",
        "audio_input.bin: 5 audio windows, paired by index",
        "metadata.json: BGR, starting at frame 0 of the original clip",
        "landmarks.json: passed over, it holds the bounding box of the landmarks, which is not the crop",
        "aud_ave.npy: passed over, the export's own windows are the audio",
    )
    assert clip.warnings == ()


def test_full_frames_and_rects_take_the_place_of_the_planes(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT)
    paths = write_images(tmp_path / "full_body_img", COUNT)
    write_rects(tmp_path / "crop_rects.json", squares(COUNT))
    clip = read(tmp_path)
    assert (clip.form, clip.planes) == ("binary", None)
    assert clip.frames == ImageFrames(tuple(map(str, paths)), 64, 48, DRAWN)
    assert clip.boxes == tuple(squares(COUNT))
    assert clip.window_count == COUNT
    assert clip.found[-1] == "full_body_img/: frame i pairs with window i; visual_input.bin is not needed"


@pytest.mark.parametrize("start", [0, 3, 7])
@pytest.mark.parametrize("rects_for", ["all", "windows"])
def test_more_full_frames_are_cut_to_the_exported_stretch(tmp_path: Path, start: int, rects_for: str) -> None:
    write_binary(tmp_path, COUNT, start=start)
    paths = write_images(tmp_path / "full_body_img", 12)
    stretch = squares(12)[start : start + COUNT]
    write_rects(tmp_path / "crop_rects.json", squares(12) if rects_for == "all" else stretch)
    clip = read(tmp_path)
    assert isinstance(clip.frames, ImageFrames)
    assert clip.frames.paths == tuple(map(str, paths[start : start + COUNT]))
    assert clip.boxes == tuple(stretch)
    assert f"full_body_img/: frame {start} + i pairs with window i; visual_input.bin is not needed" in clip.found


def test_frames_without_a_face_are_those_of_the_stretch(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT, start=3)
    write_images(tmp_path / "full_body_img", 12)
    boxes = [None if i in {1, 4, 5} else box for i, box in enumerate(squares(12))]
    entries = [None if box is None else [box.x0, box.y0, box.x1, box.y1] for box in boxes]
    (tmp_path / "crop_rects.json").write_text(json.dumps(entries))
    clip = read(tmp_path)
    assert clip.boxes == tuple(boxes[3:8])
    assert clip.origins == ("given", "none", "none", "given", "given")
    assert list(clip.faces) == [0, 3, 4]
    (tmp_path / "crop_rects.json").write_text(json.dumps(entries[:3] + [None] * 5 + entries[8:]))
    assert "none of 5 frames has a face" in refused(tmp_path).problem


def test_as_many_frames_as_windows_pair_as_they_are_whatever_the_start(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT, start=100)
    write_video(tmp_path / "full_body_video.mp4", COUNT)
    write_landmarks(tmp_path / "landmarks", squares(COUNT))
    clip = read(tmp_path)
    assert (clip.planes, clip.boxes) == (None, tuple(squares(COUNT)))


def test_the_flags_serve_with_full_frames(tmp_path: Path) -> None:
    write_binary(tmp_path / "clip", COUNT, start=2)
    write_images(tmp_path / "clip" / "full_body_img", 12)
    box = FaceBox(1, 2, 31, 32)
    assert read(tmp_path / "clip", box=box).boxes == (box,) * COUNT
    given_rects = write_rects(tmp_path / "r.json", squares(12))
    assert read(tmp_path / "clip", boxes=given_rects).boxes == tuple(squares(12)[2:7])


def test_full_frames_without_rects_are_passed_over(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT)
    write_images(tmp_path / "full_body_img", COUNT)
    clip = read(tmp_path)
    assert clip.frames is None
    assert "full frames: passed over, nothing says where the face is on them; give --rects or --rect" in clip.found


def test_rects_without_full_frames_give_a_warning(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT)
    clip = read(tmp_path, box=FaceBox(0, 0, 9, 9))
    assert clip.planes is not None
    assert clip.warnings == (
        f"{tmp_path}: has no full frames for the face boxes given; only --no-composite can render it",
    )


def test_a_recording_is_used_only_where_it_starts_with_the_export(tmp_path: Path) -> None:
    for start, sound in ((0, True), (3, False)):
        folder = tmp_path / str(start)
        write_binary(folder, COUNT, start=start)
        (folder / "aud.wav").write_bytes(b"RIFF")
        assert (read(folder).sound is not None) is sound


def test_too_few_full_frames_are_refused_with_the_counts(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT, start=4)
    write_images(tmp_path / "full_body_img", 8)
    error = refused(tmp_path, box=FaceBox(0, 0, 9, 9))
    assert error.problem == "full_body_img/ has 8 frames, but 5 windows from frame 4 on need 9"


def test_rects_for_another_number_of_frames_are_refused(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT)
    write_images(tmp_path / "full_body_img", 12)
    write_rects(tmp_path / "crop_rects.json", squares(9))
    assert refused(tmp_path).problem == "9 face boxes, but full_body_img/ has 12 frames"


@pytest.mark.parametrize("name", ["visual_input.bin", "audio_input.bin"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_binary(tmp_path, COUNT)
    (tmp_path / name).unlink()
    assert str(refused(tmp_path)).startswith(f"{tmp_path / name}: missing; the binary export is")


@pytest.mark.parametrize("name", ["visual_input.bin", "audio_input.bin"])
@pytest.mark.parametrize("size", [0, 1, -1, -4])
def test_a_file_of_no_whole_number_of_frames_is_refused(tmp_path: Path, name: str, size: int) -> None:
    write_binary(tmp_path, COUNT)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:size])
    error = refused(tmp_path)
    assert error.subject == str(tmp_path / name)
    assert "are not a whole number of" in error.problem or "is empty" in error.problem


def test_files_of_different_counts_are_refused(tmp_path: Path) -> None:
    write_binary(tmp_path / "long", COUNT + 1)
    write_binary(tmp_path / "short", COUNT)
    shutil.copy(tmp_path / "long" / "audio_input.bin", tmp_path / "short")
    assert refused(tmp_path / "short").problem == "5 frames, but audio_input.bin has 6"


def test_an_export_without_metadata_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT)
    (tmp_path / "metadata.json").unlink()
    error = refused(tmp_path)
    assert error.subject == str(tmp_path / "metadata.json")
    assert "missing" in error.problem
    assert "export it again" in error.fix


@pytest.mark.parametrize("entries", [{}, {"format": "RGB"}, {"format": None, "num_frames": COUNT}, {"format": "bgr"}])
def test_the_older_export_is_refused_by_its_metadata(tmp_path: Path, entries: dict[str, object]) -> None:
    write_binary(tmp_path, COUNT)
    write_metadata(tmp_path, **entries)
    error = refused(tmp_path)
    assert "the older exporter wrote RGB planes in [-1, 1]" in error.problem
    assert "export it again" in error.fix


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf])
@pytest.mark.parametrize("frame", [0, COUNT - 1])
def test_the_older_export_is_refused_by_its_values(tmp_path: Path, value: float, frame: int) -> None:
    write_binary(tmp_path, COUNT)
    path = tmp_path / "visual_input.bin"
    planes = np.fromfile(path, "<f4").reshape(COUNT, *SMALL.planes)
    planes[frame, 4, 3, 2] = value
    planes.tofile(path)
    error = refused(tmp_path)
    assert error.subject == str(path)
    assert f"frame {frame}" in error.problem
    assert "export it again" in error.fix


@pytest.mark.parametrize(
    "claim",
    [{"num_frames": 6}, {"visual_shape": [5, 6, 320, 320]}, {"audio_shape": [5, 16, 32, 32]}, {"dtype": "float16"}],
)
def test_metadata_that_disagrees_with_the_files_is_refused(tmp_path: Path, claim: dict[str, object]) -> None:
    write_binary(tmp_path, COUNT)
    write_metadata(tmp_path, format="BGR", **claim)
    error = refused(tmp_path)
    assert error.subject == str(tmp_path / "metadata.json")
    assert f"{next(iter(claim))} " in error.problem


def test_metadata_that_agrees_is_accepted(tmp_path: Path) -> None:
    write_binary(tmp_path, COUNT)
    write_metadata(
        tmp_path, format="BGR", visual_shape=[COUNT, *SMALL.planes], audio_shape=[COUNT, *SMALL.audio], note="any"
    )
    assert read(tmp_path).backgrounds == COUNT


JSON_VALUE = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=4)
)
FIELDS = ["num_frames", "start_frame", "visual_shape", "audio_shape", "dtype", "format"]


@PATIENT
@given(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUE) | JSON_VALUE, st.booleans())
def test_any_metadata_gives_a_clip_or_an_input_error(tmp_path: Path, value: object, named: bool) -> None:
    if not (tmp_path / "audio_input.bin").exists():
        write_binary(tmp_path, 2)
    entries = {**value, "format": "BGR"} if named and isinstance(value, dict) else value
    (tmp_path / "metadata.json").write_text(json.dumps(entries))
    clip = given_or_refused(lambda: read(tmp_path), tmp_path / "metadata.json")
    assert clip is None or clip.backgrounds == 2


def test_windows_that_are_not_finite_or_not_as_many_are_refused(tmp_path: Path) -> None:
    windows = write_binary(tmp_path, COUNT)
    path = tmp_path / "audio_input.bin"
    with pytest.raises(InputError, match="5 audio windows, not 6"):
        read_windows(str(path), COUNT + 1, SMALL)
    windows[3, 0, 1, 2] = np.nan
    windows.tofile(path)
    with pytest.raises(InputError, match="window 3 holds values that are not finite"):
        read_windows(str(path), COUNT, SMALL)
