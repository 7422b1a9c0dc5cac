"""The face that was chosen is dubbed in every shot, and nobody else is while it is away."""

import pytest
from found_faces import Face, seen_faces, steady, together

from actors.core.choices import FaceRule
from actors.core.errors import InputError
from jobs.faces.choice import ChosenShot, FaceChoice, FacePoint, choose_faces, chosen_rows, face_choice
from jobs.faces.tracks import link_tracks

FRAMES = 40
SIZE = (640, 360)

# Small at the left, large in the middle, medium at the right, and for two frames somebody further left.
LEFT = steady(range(FRAMES), 60, side=40)
MIDDLE = steady(range(FRAMES), 200, side=90)
RIGHT = steady(range(FRAMES), 400, side=60)
PASSER_BY = steady(range(8, 10), 0, side=40)
PANEL = together(LEFT, MIDDLE, RIGHT, PASSER_BY)


def dubbed(faces: list[Face], choice: FaceChoice, cuts: tuple[int, ...] = ()) -> list[float | None]:
    """The left edge of the face on every frame."""
    found = seen_faces(faces, FRAMES)
    tracks = link_tracks(found, cuts)
    rows, numbers = chosen_rows(found, tracks, choose_faces(found, cuts, tracks, choice, SIZE))
    assert ((rows >= 0) == (numbers > 0)).all()
    assert all(row in tracks[number - 1].rows for row, number in zip(rows, numbers, strict=True) if number)
    return [float(found.boxes[row, 0]) if row >= 0 else None for row in rows]


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (FaceRule.LARGEST, 200),
        (FaceRule.LEFT, 60),
        (FaceRule.RIGHT, 400),
        (1, 200),
        (2, 400),
        (3, 60),
        (FacePoint(410, 130), 400),
        (FacePoint(61, 101, 39), 60),
    ],
)
def test_each_way_to_choose_takes_its_face_on_all_frames(choice: FaceChoice, left: float) -> None:
    assert dubbed(PANEL, choice) == [left] * FRAMES


@pytest.mark.parametrize(
    ("choice", "other"), [(FaceRule.LARGEST, 500), (FaceRule.LEFT, 500), (FaceRule.RIGHT, 10), (1, 500)]
)
def test_nobody_else_is_dubbed_while_the_face_is_away(choice: FaceChoice, other: int) -> None:
    stays, goes = steady(range(FRAMES), other, side=60), steady([*range(15), *range(30, 40)], 200, side=90)
    assert dubbed(together(stays, goes), choice) == [200] * 15 + [None] * 15 + [200] * 10


def test_the_face_may_come_back_anywhere_but_only_at_about_its_size() -> None:
    goes, elsewhere, tiny = (
        steady(range(15), 200),
        steady(range(25, 40), 300, side=80),
        steady(range(17, 22), 0, side=20),
    )
    assert dubbed(together(goes, tiny, elsewhere), FaceRule.LARGEST) == [200] * 15 + [None] * 10 + [300] * 15
    # Whoever is named by number is that track alone.
    assert dubbed(together(goes, tiny, elsewhere), 2) == [200] * 15 + [None] * 25


def test_after_a_cut_the_rule_decides_again_and_where_a_face_was_named_the_largest_is_taken() -> None:
    first = together(steady(range(20), 60, side=40), steady(range(20), 300, side=60))
    second = together(steady(range(20, 40), 100, side=90), steady(range(20, 40), 500, side=50))
    faces = first + second
    assert dubbed(faces, FaceRule.RIGHT, (20,)) == [300] * 20 + [500] * 20
    assert dubbed(faces, FaceRule.LARGEST, (20,)) == [300] * 20 + [100] * 20
    assert dubbed(faces, 4, (20,)) == [60] * 20 + [100] * 20
    found = seen_faces(faces, FRAMES)
    tracks = link_tracks(found, (20, 30))
    assert choose_faces(found, (20, 30), tracks, FacePoint(70, 110), SIZE) == (
        ChosenShot(0, 20, named=True, tracks=(4,)),
        ChosenShot(20, 30, named=False, tracks=(1,)),
        ChosenShot(30, 40, named=False, tracks=(2,)),
    )


def test_a_shot_without_a_face_has_none() -> None:
    found = seen_faces(steady(range(10), 0), FRAMES)
    tracks = link_tracks(found, (10,))
    shots = choose_faces(found, (10,), tracks, FaceRule.LEFT, SIZE)
    assert shots == (ChosenShot(0, 10, named=False, tracks=(1,)), ChosenShot(10, 40, named=False, tracks=()))


def test_of_boxes_that_hold_the_point_the_one_centred_nearest_counts() -> None:
    inner, outer = steady(range(FRAMES), 100, y=100, side=50), steady(range(FRAMES), 60, y=60, side=200)
    assert dubbed(together(inner, outer), FacePoint(120, 120)) == [100] * FRAMES
    assert dubbed(together(inner, outer), FacePoint(149, 149)) == [60] * FRAMES


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (5, "--face: there is no face 5: the faces are numbered 1 to 4; see contact_sheet.jpg for the numbers"),
        (FacePoint(640, 0), "--face-at: 640,0 lies outside of the 640x360 frame; name a place inside"),
        (FacePoint(0, 360), "--face-at: 0,360 lies outside of the 640x360 frame; name a place inside"),
        (FacePoint(0, 0, 40), "--face-at: there is no frame 40; name one of the frames 0 to 39"),
        (
            FacePoint(0, 0),
            "--face-at: no face is at 0,0 on frame 0; faces there are at 80,120, 245,145, 430,130",
        ),
        (
            FacePoint(5, 130, 39),
            "--face-at: no face is at 5,130 on frame 39; there is one on frame 9: give --face-at 5,130,9",
        ),
    ],
)
def test_a_face_that_is_not_there_is_said_with_those_that_are(choice: FaceChoice, message: str) -> None:
    found = seen_faces(PANEL, FRAMES)
    with pytest.raises(InputError) as caught:
        choose_faces(found, (), link_tracks(found, ()), choice, SIZE)
    assert str(caught.value) == message


def test_footage_without_faces_says_so() -> None:
    found = seen_faces([], FRAMES)
    with pytest.raises(InputError, match="there is no face 1: no face was found"):
        choose_faces(found, (), (), 1, SIZE)
    with pytest.raises(InputError, match="that frame has no face; name another one"):
        choose_faces(found, (), (), FacePoint(0, 0), SIZE)
    assert dubbed([], FaceRule.LARGEST) == [None] * FRAMES


@pytest.mark.parametrize(
    ("face", "face_at", "choice"),
    [
        (None, None, FaceRule.LARGEST),
        ("left", None, FaceRule.LEFT),
        ("12", None, 12),
        (None, "3,4", FacePoint(3, 4)),
        (None, "3,4,5", FacePoint(3, 4, 5)),
    ],
)
def test_flags_are_read(face: str | None, face_at: str | None, choice: FaceChoice) -> None:
    assert face_choice(face, face_at) == choice


@pytest.mark.parametrize(
    ("face", "face_at", "message"),
    [
        ("1", "2,3", "--face-at: given together with --face"),
        ("0", None, "--face: 0 is no face"),
        ("-1", None, "--face: -1 is no face"),
        ("middle", None, "--face: middle is no face"),
        ("", None, "--face:  is no face"),
        ("²", None, "--face: ² is no face"),
        (None, "3", "--face-at: 3 is no place"),
        (None, "3,4,5,6", "--face-at: 3,4,5,6 is no place"),
        (None, "3,-4", "--face-at: 3,-4 is no place"),
        (None, "3, 4", "--face-at: 3, 4 is no place"),
    ],
)
def test_flags_that_name_no_face_are_refused(face: str | None, face_at: str | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        face_choice(face, face_at)
    assert str(caught.value).startswith(message)
