import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from clip_inputs import (
    DRAWN,
    HEIGHT,
    WIDTH,
    read,
    refused,
    squares,
    write_features,
    write_images,
    write_landmarks,
    write_rects,
    write_video,
)

from actors.core.clip import FaceBox, ImageFrames, VideoFrames
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip import rate_warning, read_clip

COUNT = 12
RECT = FaceBox(3, 4, 33, 34)


def package(folder: Path) -> Path:
    write_video(folder / "full_body_video.mp4", COUNT)
    write_rects(folder / "cache" / "crop_rectangles.json", squares(COUNT), table=True)
    return folder


def dataset(folder: Path) -> Path:
    """As users have it: images count from one, landmarks from zero."""
    write_images(folder / "full_body_img", COUNT, start=1, pattern="{}.jpg")
    write_landmarks(folder / "landmarks", squares(COUNT))
    return folder


def with_audio(folder: Path) -> Path:
    write_features(folder / "aud_ave.npy", COUNT)
    (folder / "aud.wav").write_bytes(b"RIFF")
    return folder


def test_a_package_is_recognised(tmp_path: Path) -> None:
    folder = with_audio(package(tmp_path / "anna.v2"))
    clip = read(folder)
    assert (clip.id, clip.path, clip.form) == ("anna.v2", str(folder), "package")
    assert isinstance(clip.frames, VideoFrames)
    assert clip.frames.path == str(folder / "full_body_video.mp4")
    assert (clip.frames.width, clip.frames.height, clip.frames.fps) == (WIDTH, HEIGHT, Fraction(25))
    assert clip.boxes == tuple(squares(COUNT))
    assert clip.backgrounds == COUNT
    assert (clip.features, clip.sound) == (str(folder / "aud_ave.npy"), str(folder / "aud.wav"))
    assert (clip.planes, clip.windows, clip.window_count, clip.warnings) == (None, None, 0, ())
    assert clip.found == (
        "full_body_video.mp4: 12 background frames, 64x48, 25 fps",
        "cache/crop_rectangles.json: 12 face boxes, 20 px wide",
        "aud_ave.npy: the clip's own audio features",
        "aud.wav: the clip's own recording",
    )


def test_audio_is_optional(tmp_path: Path) -> None:
    clip = read(package(tmp_path))
    assert (clip.features, clip.sound) == (None, None)


def test_a_package_may_have_the_list_form_or_landmarks(tmp_path: Path) -> None:
    write_video(tmp_path / "list" / "full_body_video.mp4", COUNT)
    write_rects(tmp_path / "list" / "crop_rects.json", squares(COUNT))
    write_video(tmp_path / "marks" / "full_body_video.mp4", COUNT)
    write_landmarks(tmp_path / "marks" / "landmarks", squares(COUNT), start=5)
    whole = read(package(tmp_path / "whole"))
    for name in ("list", "marks"):
        clip = read(tmp_path / name)
        assert (clip.form, clip.boxes) == ("package", whole.boxes)


def test_a_dataset_pairs_images_and_landmarks_by_position(tmp_path: Path) -> None:
    clip = read(with_audio(dataset(tmp_path)))
    assert clip.form == "dataset"
    assert isinstance(clip.frames, ImageFrames)
    assert [Path(path).name for path in clip.frames.paths] == [f"{i}.jpg" for i in range(1, COUNT + 1)]
    assert clip.boxes == tuple(squares(COUNT))
    assert clip.found[:2] == (
        "full_body_img/: 12 background images, 64x48",
        "landmarks/: 12 landmark files, 20 px wide",
    )


def test_images_beat_video_and_rects_beat_landmarks(tmp_path: Path) -> None:
    folder = dataset(package(tmp_path))
    write_video(folder / "anna.mp4", 3)
    write_video(folder / "crops_328_video.mp4", 3)
    write_images(folder, 2)
    write_rects(folder / "crop_rects.json", squares(3))
    clip = read(folder)
    assert clip.form == "dataset"
    assert isinstance(clip.frames, ImageFrames)
    assert clip.found == (
        "full_body_img/: 12 background images, 64x48",
        "full_body_video.mp4: passed over, full_body_img/ comes first",
        "images in the folder itself: passed over, full_body_img/ comes first",
        "anna.mp4: passed over, full_body_img/ comes first",
        "crops_328_video.mp4: passed over, crop and mask are recomputed from full frames",
        "cache/crop_rectangles.json: 12 face boxes, 20 px wide",
        "crop_rects.json: passed over, cache/crop_rectangles.json comes first",
        "landmarks/: passed over, cache/crop_rectangles.json comes first",
    )


def test_an_empty_image_folder_does_not_beat_the_video(tmp_path: Path) -> None:
    (package(tmp_path) / "full_body_img").mkdir()
    assert read(tmp_path).form == "package"


@pytest.mark.parametrize("build", [package, dataset])
def test_the_flags_beat_everything_in_the_folder(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    folder = build(tmp_path / "clip")
    other = [replace(box, y0=box.y0 + 1, y1=box.y1 + 1) for box in squares(COUNT)]
    by_file = read(folder, boxes=write_rects(tmp_path / "other.json", other))
    assert by_file.boxes == tuple(other)
    assert any("passed over, --rects comes first" in line for line in by_file.found)
    by_rect = read(folder, box=RECT)
    assert by_rect.boxes == (RECT,) * COUNT
    assert any("passed over, --rect comes first" in line for line in by_rect.found)


def test_both_flags_together_are_refused(tmp_path: Path) -> None:
    error = refused(package(tmp_path), boxes=tmp_path / "r.json", box=RECT)
    assert str(error) == "--rect: given together with --rects; give one of the two"


def test_a_lone_video_needs_a_flag_and_takes_nothing_from_its_folder(tmp_path: Path) -> None:
    folder = with_audio(package(tmp_path))
    video = folder / "full_body_video.mp4"
    error = refused(video)
    assert error.subject == str(video)
    assert "--rects R.json or --rect X,Y,W,H" in error.fix
    clip = read(video, box=RECT)
    assert (clip.id, clip.form, clip.boxes) == ("full_body_video", "frames", (RECT,) * COUNT)
    assert (clip.features, clip.sound) == (None, None)


def test_a_folder_of_images_is_a_clip_with_rects(tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    paths = write_images(folder, COUNT, pattern="shot2_{:04d}.webp")
    assert "--rects" in refused(folder).fix
    clip = read(folder, boxes=write_rects(tmp_path / "r.json", squares(COUNT)))
    assert (clip.id, clip.form, clip.boxes) == ("shots", "frames", tuple(squares(COUNT)))
    assert clip.frames == ImageFrames(tuple(map(str, paths)), WIDTH, HEIGHT, replace(DRAWN, stored="WEBP RGB"))


def test_a_folder_with_one_video_is_a_clip_and_with_two_is_not(tmp_path: Path) -> None:
    write_video(tmp_path / "take.mov", COUNT)
    assert read(tmp_path, box=RECT).form == "frames"
    write_video(tmp_path / "other.mkv", COUNT)
    error = refused(tmp_path, box=RECT)
    assert str(error) == f"{tmp_path}: holds 2 videos; name one of them instead of the folder"


def test_a_video_at_another_rate_is_known_as_one(tmp_path: Path) -> None:
    video = read(write_video(tmp_path / "a.mp4", COUNT, fps=30), box=RECT).frames
    said = rate_warning(video, UNET_328)
    assert said is not None
    assert said.startswith("a.mp4: 30 fps; frames are made at 25 fps and each pairs by index")
    assert said.endswith("moves at 0.83 times its speed; --retime pairs by time")
    assert rate_warning(read(write_video(tmp_path / "b.mp4", COUNT, fps=25), box=RECT).frames, UNET_328) is None
    assert rate_warning(None, UNET_328) is None


def test_a_clip_is_found_from_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "clip")
    monkeypatch.chdir(tmp_path / "clip")
    clip = read(Path())
    assert (clip.id, clip.path) == ("clip", ".")
    assert isinstance(clip.frames, VideoFrames)
    assert clip.frames.path == str(tmp_path / "clip" / "full_body_video.mp4")


def test_a_clip_may_be_named_by_a_uri(tmp_path: Path) -> None:
    package(tmp_path / "clip")
    uri = f"file://{tmp_path}/clip/"
    clip = read_clip(uri, boxes=None, box=None, kind=UNET_328)
    assert (clip.id, clip.path, clip.backgrounds) == ("clip", uri, COUNT)


def test_no_such_clip(tmp_path: Path) -> None:
    error = refused(tmp_path / "none")
    assert str(error) == f"{tmp_path / 'none'}: there is no such clip; name a clip folder or a video file"


def test_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    assert str(refused(tmp_path)).startswith(f"{tmp_path}: holds no full frames; put full_body_img/ or")


def test_missing_frames_are_named(tmp_path: Path) -> None:
    folder = dataset(tmp_path)
    for number in (3, 4, 9):
        (folder / "full_body_img" / f"{number}.jpg").unlink()
    error = refused(folder)
    assert str(error).startswith(f"{folder / 'full_body_img'}: frames missing: 3, 4, 9 (there are 1 to 12)")


@pytest.mark.parametrize("fewer", [1, 11])
def test_landmarks_that_disagree_in_number_are_refused_with_both_counts(tmp_path: Path, fewer: int) -> None:
    folder = dataset(tmp_path)
    for index in range(COUNT - fewer, COUNT):
        (folder / "landmarks" / f"{index}.lms").unlink()
    error = refused(folder)
    assert error.subject == str(folder / "landmarks")
    assert error.problem == f"{COUNT - fewer} face boxes, but full_body_img/ has 12 frames"
    assert "pair by position" in error.fix


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
def test_rects_that_disagree_in_number_are_refused_with_both_counts(tmp_path: Path, count: int) -> None:
    folder = package(tmp_path)
    path = write_rects(folder / "cache" / "crop_rectangles.json", squares(count))
    error = refused(folder)
    assert error.subject == str(path)
    assert error.problem == f"{count} face boxes, but full_body_video.mp4 has 12 frames"


def test_a_rect_outside_its_frame_is_named(tmp_path: Path) -> None:
    boxes = squares(COUNT)
    boxes[7] = FaceBox(50, 6, 70, 26)
    path = write_rects(tmp_path / "r.json", boxes)
    error = refused(package(tmp_path / "clip"), boxes=path)
    assert error.subject == str(path)
    assert error.problem == "the box of frame 7, x 50 to 70, y 6 to 26, reaches outside the 64x48 frame"


def test_a_square_from_landmarks_outside_its_frame_names_the_landmark_file(tmp_path: Path) -> None:
    boxes = squares(COUNT)
    boxes[7] = FaceBox(20, 30, 40, 50)
    folder = dataset(tmp_path)
    write_landmarks(folder / "landmarks", boxes)
    error = refused(folder)
    assert error.subject == str(folder / "landmarks" / "7.lms")
    assert "reaches outside the 64x48 frame" in error.problem


def test_a_flag_outside_the_frame_is_named(tmp_path: Path) -> None:
    error = refused(package(tmp_path), box=FaceBox(0, 0, 65, 20))
    assert error.subject == "--rect"
    assert "64x48" in error.problem


def test_oblong_rects_give_one_warning(tmp_path: Path) -> None:
    clip = read(package(tmp_path), box=FaceBox(0, 0, 20, 30))
    assert clip.warnings == ("--rect: the rectangle is not square (20x30); the face is stretched to one",)


def info(**full_frames: object) -> str:
    return json.dumps({"videos": {"full_body_img": full_frames}, "onnx": {"file": "../../etc/passwd"}})


def test_package_info_that_agrees_says_nothing(tmp_path: Path) -> None:
    (package(tmp_path) / "package_info.json").write_text(info(frame_count=COUNT, fps=25))
    assert read(tmp_path).warnings == ()


def test_package_info_that_disagrees_gives_warnings(tmp_path: Path) -> None:
    (package(tmp_path) / "package_info.json").write_text(info(frame_count=523, fps=30))
    assert read(tmp_path).warnings == (
        "package_info.json: says 523 frames, but there are 12; it may belong to another clip",
        "package_info.json: says 30 fps, but the video has 25",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"videos": 5}',
        '{"videos": {"full_body_img": {"frame_count": "many"}}}',
        '{"videos": {"full_body_img": {"fps": NaN}}}',
        info(fps=-1),
        info(frame_count=True),
    ],
)
def test_a_malformed_package_info_is_refused(tmp_path: Path, text: str) -> None:
    path = package(tmp_path) / "package_info.json"
    path.write_text(text)
    error = refused(tmp_path)
    assert error.subject == str(path)
    assert "remove the file" in error.fix or "again" in error.fix


def test_a_truncated_video_is_named(tmp_path: Path) -> None:
    video = package(tmp_path) / "full_body_video.mp4"
    video.write_bytes(video.read_bytes()[:-100])
    error = refused(tmp_path)
    assert (error.subject, error.problem) == (str(video), "truncated: the last 100 bytes are missing")


def test_a_bad_image_is_named(tmp_path: Path) -> None:
    bad = dataset(tmp_path) / "full_body_img" / "5.jpg"
    bad.write_bytes(b"half written")
    assert str(refused(tmp_path)).startswith(f"{bad}: not a readable image")
