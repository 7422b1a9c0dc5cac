"""The drawn presenter is found where she was drawn: moving, tilted, far away, cut off by the frame's edge, gone."""

from dataclasses import replace

import cv2
import face_networks
import numpy as np
import pytest
from face_networks import DemoFrames
from numpy.typing import NDArray

from actors.core.faces import KEY_POINTS, MESH_POINTS, THUMBNAIL
from actors.core.pixels import Image
from actors.faces.finder import MOST, FaceFinder, FrameFaces, find_faces
from actors.faces.weights import FaceWeights, OwnDetector
from jobs.demo import studio
from jobs.demo.face import EYE
from jobs.demo.presenter import pose

# Points of the mesh: the lids of the eye on the left of the picture and of the other, and the lips' inner edges.
EYES_AND_LIPS = ([33, 133, 159, 145], [362, 263, 386, 374], [13, 14])
# The middle of her face, and how wide the detector sees it.
MIDDLE, WIDTH = (640, 330), 275
GREY = (90, 80, 70)

Places = NDArray[np.float64]


def drawn(frame: int) -> Places:
    """Where the presenter has the eye on the left of the picture, the other and the middle of the mouth, ``(3, 2)``."""
    p = pose(frame)
    angle = np.radians(p.tilt)
    turn = p.scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.array([(-EYE[0], EYE[1]), EYE, (0, 0)]) @ turn.T + (p.x, p.y)


def moved(
    frame: Image, scale: float, tilt: float, to: tuple[float, float], size: tuple[int, int]
) -> tuple[Image, Places]:
    """The frame turned by degrees and scaled so that the face's middle comes ``to`` there, and the map of places."""
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=filter_)
    factor = np.array([scaled.shape[1] / frame.shape[1], scaled.shape[0] / frame.shape[0]])
    angle = np.radians(tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array(to) - turn @ (MIDDLE * factor)
    # OpenCV numbers the centres of pixels.
    matrix = np.hstack([turn, (shift + turn @ (0.5, 0.5) - 0.5)[:, None]])
    picture = cv2.warpAffine(scaled, matrix, size, flags=cv2.INTER_LINEAR, borderValue=GREY)
    return np.asarray(picture, np.uint8), np.hstack([turn * factor, shift[:, None]])


def check_found(faces: FrameFaces, expected: list[Places], *, within: float) -> None:
    """One face for each set of places, which lie ``within`` so many widths of the detector's box."""
    assert len(faces) == len(expected)
    order = np.argsort([places[:, 0].mean() for places in expected])
    across = np.argsort(faces.detected.boxes[:, 0])
    for i, places in zip(across, (expected[one] for one in order), strict=True):
        box, points, mesh = faces.detected.boxes[i], faces.detected.points[i], faces.mesh[i]
        width = box[2] - box[0]
        found = np.array([mesh[part].mean(axis=0) for part in EYES_AND_LIPS])
        assert np.abs(found - places).max() / width < within
        # The detector's own points are rougher.
        assert np.abs(points[[0, 1, 3]] - places).max() / width < 0.15
        assert (box[:2] < places.min(axis=0)).all()
        assert (box[2:] > places.max(axis=0)).all()
        assert faces.detected.scores[i] >= 0.5
        assert faces.presence[i] > 0.99


# Among these are a blink (54) and both ends of her movement.
@pytest.mark.parametrize("frame", [0, 31, 54, 76, 124])
def test_she_is_found_where_she_was_drawn(face_finder: FaceFinder, presenter: DemoFrames, frame: int) -> None:
    faces = face_finder.find(presenter.frame(frame))
    check_found(faces, [drawn(frame)], within=0.03)
    assert faces.best == faces.detected.scores[0] > 0.9


@pytest.mark.parametrize("tilt", [-30.0, 20.0])
def test_a_tilted_face_is_found(face_finder: FaceFinder, presenter: DemoFrames, tilt: float) -> None:
    picture, matrix = moved(presenter.frame(0), 1.0, tilt, (600, 400), (1280, 720))
    places = drawn(0) @ matrix[:, :2].T + matrix[:, 2]
    check_found(face_finder.find(picture), [places], within=0.04)


@pytest.mark.parametrize(
    ("width", "size"),
    [
        (60, (1280, 720)),
        (600, (1280, 720)),
        (110, (3840, 2160)),
        (900, (3840, 2160)),
        (80, (1080, 1920)),
        (40, (640, 640)),
    ],
)
def test_large_and_small_faces_are_found(
    face_finder: FaceFinder, presenter: DemoFrames, width: int, size: tuple[int, int]
) -> None:
    to = (size[0] * 0.55, size[1] * 0.52)
    picture, matrix = moved(presenter.frame(40), width / WIDTH, 0.0, to, size)
    places = drawn(40) @ matrix[:, :2].T + matrix[:, 2]
    check_found(face_finder.find(picture), [places], within=0.06)


def test_two_presenters_are_found(face_finder: FaceFinder, presenter: DemoFrames) -> None:
    left, to_left = moved(presenter.frame(0), 0.9, 0.0, (320, 360), (640, 720))
    right, to_right = moved(presenter.frame(60), 0.7, 0.0, (320, 360), (640, 720))
    places = [drawn(frame) @ one[:, :2].T + one[:, 2] for frame, one in ((0, to_left), (60, to_right))]
    places[1][:, 0] += 640
    check_found(face_finder.find(np.hstack([left, right])), places, within=0.04)


def test_a_thorough_look_adds_small_faces_and_leaves_the_clear_one_as_it_is(
    face_finder: FaceFinder, presenter: DemoFrames
) -> None:
    for frame in (0, 31, 76):
        picture = presenter.frame(frame)
        small, _ = moved(presenter.frame(40), 70 / WIDTH, 0.0, (80, 90), (160, 180))
        picture[100:280, 100:260] = small
        quick, thorough = face_finder.find(picture), face_finder.find(picture, thorough=True)
        assert (len(quick), len(thorough)) == (1, 2)
        clear = int(np.argmax(thorough.detected.boxes[:, 2] - thorough.detected.boxes[:, 0]))
        assert np.array_equal(thorough.detected.boxes[clear], quick.detected.boxes[0])
        assert np.array_equal(thorough.mesh[clear], quick.mesh[0])


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.25, 1), (0.75, 0), (1.5, 0)])
@pytest.mark.parametrize("edge", ["left", "right"])
def test_a_face_that_leaves_is_found_until_most_of_it_has_left(
    face_finder: FaceFinder, presenter: DemoFrames, edge: str, share: float, expected: int
) -> None:
    beyond = WIDTH * (0.5 - share)
    to = (beyond if edge == "left" else 1280 - beyond, 360)
    picture, _ = moved(presenter.frame(0), 1.0, 0.0, to, (1280, 720))
    assert len(face_finder.find(picture)) == expected


def test_frames_without_a_face_have_none(face_finder: FaceFinder) -> None:
    random = np.random.default_rng(7)
    noise = random.integers(0, 256, (90, 160, 3)).astype(np.uint8)
    frames = [
        np.zeros((720, 1280, 3), np.uint8),
        np.clip(studio.background(), 0, 255).astype(np.uint8),
        cv2.resize(noise, (1280, 720), interpolation=cv2.INTER_CUBIC).astype(np.uint8),
        noise[:1, :1],
        noise[:3],
        noise[:, :2],
    ]
    found = find_faces(face_finder, frames, 10)
    assert found.frame.size == 0
    assert found.mesh.shape == (0, len(MESH_POINTS), 2)
    assert found.extents.shape == (0, 4)
    assert (found.best < 1).all()
    assert found.stop == 16


def test_a_crowd_is_cut_to_the_best(face_finder: FaceFinder, presenter: DemoFrames) -> None:
    one, _ = moved(presenter.frame(0), 0.35, 0.0, (100, 100), (200, 200))
    faces = face_finder.find(np.tile(one, (3, 4, 1)))
    assert len(faces) == MOST
    assert (np.diff(faces.detected.scores) <= 0).all()


def test_what_is_found_does_not_depend_on_the_frames_beside(
    face_finder: FaceFinder, face_weights: FaceWeights, presenter: DemoFrames
) -> None:
    black = np.zeros((720, 1280, 3), np.uint8)
    frames = [presenter.frame(0), moved(presenter.frame(8), 0.3, 0.0, (300, 300), (1280, 720))[0], black]
    there = find_faces(face_finder, iter(frames), 5)
    back = find_faces(FaceFinder(face_weights), iter(frames[::-1]), 5)
    assert there.frame.tolist() == [5, 6]
    assert back.frame.tolist() == [6, 7]
    for name in ("boxes", "scores", "points", "presence", "extents", "mesh"):
        assert np.array_equal(getattr(there, name), getattr(back, name)[::-1]), name
    for name in ("best", "thumbnails"):
        assert np.array_equal(getattr(there, name), getattr(back, name)[::-1]), name


def test_what_is_kept_of_a_face(face_finder: FaceFinder, presenter: DemoFrames) -> None:
    frame = presenter.frame(0)
    faces, kept = face_finder.find(frame), find_faces(face_finder, [frame], 0)
    assert np.array_equal(kept.mesh[0], faces.mesh[0][list(MESH_POINTS)])
    assert kept.extents[0].tolist() == [*faces.mesh[0].min(axis=0), *faces.mesh[0].max(axis=0)]
    assert kept.boxes.dtype == kept.extents.dtype == kept.mesh.dtype == kept.best.dtype == np.float32
    assert kept.points.shape == (1, KEY_POINTS, 2)
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).reshape(THUMBNAIL[0], 80, THUMBNAIL[1], 80)
    # The mean of a picture that was shrunk before is rounded twice.
    assert np.abs(kept.thumbnails[0] - grey.mean(axis=(1, 3))).max() <= 2


def test_an_own_detector_takes_the_place_of_both(face_weights: FaceWeights, presenter: DemoFrames) -> None:
    own = OwnDetector("own.onnx", face_networks.bright_cell_detector())
    # It sees a face of 48 x 64 pixels around every bright cell; in the dark there are two, one without a face.
    frame, matrix = moved(presenter.frame(0) // 2, 56 / WIDTH, 0.0, (168, 168), (640, 360))
    frame[160:176, 160:176] = frame[320:336, 480:496] = 200
    faces = FaceFinder(replace(face_weights, detector=own)).find(frame)
    assert faces.detected.boxes.tolist() == [[144, 132, 192, 196]]
    assert faces.detected.scores[0] == pytest.approx(200 / 255, abs=1e-5)
    assert np.isnan(faces.detected.points[0, 4:]).all()
    mouth = faces.mesh[0][[13, 14]].mean(axis=0)
    assert np.abs(mouth - (matrix[:, :2] @ drawn(0)[2] + matrix[:, 2])).max() < 56 * 0.1
