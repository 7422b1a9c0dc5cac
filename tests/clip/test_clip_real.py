from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actors.core.clip import VideoFrames
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip import rate_warning, read_clip, read_features
from jobs.clip.face_boxes_json import read_boxes
from jobs.clip.landmarks import face_square

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real inputs are not on this machine")


def test_the_real_clip_is_read() -> None:
    clip = read_clip(str(DATA / "clip_s18"), boxes=None, box=None, kind=UNET_328)
    assert (clip.id, clip.form, clip.backgrounds) == ("clip_s18", "package", 282)
    assert isinstance(clip.frames, VideoFrames)
    assert (clip.frames.width, clip.frames.height, clip.frames.fps) == (1280, 720, Fraction(30))
    assert clip.boxes is not None
    assert {box and (box.width, box.height) for box in clip.boxes} == {(222, 222)}
    assert clip.warnings == ()
    assert "30 fps; frames are made at 25 fps and each pairs by index" in (rate_warning(clip.frames, UNET_328) or "")


def test_both_rect_forms_and_the_landmarks_of_the_real_avatar_agree() -> None:
    folder = DATA / "avatar_numbers"
    boxes = read_boxes(str(folder / "crop_rectangles.json"))
    assert len(boxes) == 523
    assert boxes == read_boxes(str(folder / "crop_rects.json"))
    widths = [box.width for box in boxes if box is not None]
    assert (len(widths), min(widths), max(widths)) == (523, 173, 189)
    for index in (0, 1, 100):
        path = folder / f"{index}.lms"
        assert face_square(path.read_bytes(), str(path)) == boxes[index]
    for box, points in zip(boxes, np.load(folder / "landmarks_523x110x2.npy"), strict=True):
        text = "".join(f"{x} {y}\n" for x, y in points)
        assert face_square(text.encode(), "landmarks") == box


def test_the_real_features_are_read() -> None:
    features = read_features(str(DATA / "avatar_numbers" / "aud_ave.npy"), UNET_328)
    assert features.shape == (522, 512)
    assert np.array_equal(features[0], features[1])
    assert np.array_equal(features[-1], features[-2])
