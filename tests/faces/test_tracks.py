"""Tracks hold one face each, through movement, crossing and absence, as the slow reference links them."""

import numpy as np
import pytest
import reference_tracks
from examples import examples
from found_faces import Face, seen_faces, steady, together
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.faces.tracks import box_overlap, link_tracks, size_likeness

FRAMES = 40


def scene(seed: int) -> tuple[list[Face], list[int]]:
    """Faces that drift at random, grow, jump, go and come back, with up to two cuts."""
    rng = np.random.default_rng(seed)
    faces: list[Face] = []
    for _ in range(rng.integers(1, 5)):
        x, y, side = rng.uniform(0, 150), rng.uniform(0, 40), rng.uniform(20, 60)
        right, down = rng.normal(0, 4, 2)
        shown, leaves, returns = True, rng.choice([0.05, 0.3]), rng.choice([0.1, 0.5])
        for frame in range(FRAMES):
            shown = rng.uniform() >= leaves if shown else rng.uniform() < returns
            x, y, side = x + right + rng.normal(0, 1), y + down / 4 + rng.normal(0, 1), side * rng.normal(1, 0.03)
            if rng.uniform() < 0.03:
                x = rng.uniform(0, 150)
            box = np.array([x, y, x + side, y + side * 1.1], np.float32).tolist()
            if shown:
                faces.append((frame, (box[0], box[1], box[2], box[3])))
    cuts = sorted({int(cut) for cut in rng.integers(1, FRAMES, rng.integers(0, 3))})
    return together(faces), cuts


@settings(max_examples=examples(30))
@given(st.integers(0, 2**32))
def test_faces_are_linked_as_the_reference_links_them(seed: int) -> None:
    faces, cuts = scene(seed)
    linked = link_tracks(seen_faces(faces, FRAMES), cuts)
    assert [track.rows.tolist() for track in linked] == reference_tracks.tracks([*faces], cuts, FRAMES)


@settings(max_examples=examples(30))
@given(st.integers(0, 2**32))
def test_tracks_share_the_faces_out_and_end_at_cuts(seed: int) -> None:
    faces, cuts = scene(seed)
    linked = link_tracks(seen_faces(faces, FRAMES), cuts)
    assert [track.number for track in linked] == list(range(1, len(linked) + 1))
    assert sorted(row for track in linked for row in track.rows.tolist()) == list(range(len(faces)))
    for track in linked:
        frames = [faces[row][0] for row in track.rows]
        assert frames == sorted(set(frames))
        assert (track.first, track.last) == (frames[0], frames[-1])
        assert {sum(cut <= frame for cut in cuts) for frame in frames} == {track.shot}
    assert [track.area for track in linked] == sorted((track.area for track in linked), reverse=True)


def rows_of(faces: list[Face], *wanted: list[Face]) -> list[list[int]]:
    return [[row for row, face in enumerate(faces) if face in group] for group in wanted]


def linked(faces: list[Face], cuts: tuple[int, ...] = ()) -> list[list[int]]:
    return [track.rows.tolist() for track in link_tracks(seen_faces(faces, FRAMES), cuts)]


def test_faces_that_cross_keep_their_tracks() -> None:
    one = steady(range(FRAMES), 0, step=8, side=70)
    # Where both are in one place the detector sees a single face.
    other = steady([f for f in range(FRAMES) if not 17 <= f <= 20], 300, step=-8)
    faces = together(one, other)
    assert linked(faces) == rows_of(faces, one, other)


def test_a_face_comes_back_to_its_track_where_it_was_however_long_it_was_away() -> None:
    faces = steady([*range(5), *range(35, 40)], 50)
    assert linked(faces) == [list(range(10))]


def test_a_face_that_comes_back_elsewhere_or_at_another_size_begins_a_track() -> None:
    assert len(linked(together(steady(range(5), 50), steady(range(20, 30), 120)))) == 2
    assert len(linked(together(steady(range(5), 50), steady(range(5, 30), 50, side=110)))) == 2


def test_the_face_that_stayed_goes_before_one_that_was_there_long_ago() -> None:
    gone, stays = steady(range(5), 100), steady(range(20), 170, side=64)
    moved = steady(range(20, 30), 130, side=64)
    faces = together(gone, stays, moved)
    assert linked(faces) == rows_of(faces, stays + moved, gone)


def test_a_cut_ends_the_track_of_a_face_that_stands_still() -> None:
    assert linked(steady(range(10), 50), (4,)) == [[4, 5, 6, 7, 8, 9], [0, 1, 2, 3]]


def test_numbers_go_by_pixels_over_time() -> None:
    small_and_long, large_and_short = steady(range(40), 0, side=30), steady(range(30, 35), 200, side=120)
    faces = together(small_and_long, large_and_short)
    assert linked(faces) == rows_of(faces, large_and_short, small_and_long)


def test_no_face_is_no_track() -> None:
    assert link_tracks(seen_faces([], 5), (2,)) == ()


@pytest.mark.parametrize(
    ("other", "overlap", "size"),
    [((0, 0, 10, 10), 1, 1), ((5, 0, 15, 10), 1 / 3, 1), ((0, 0, 10, 5), 0.5, 0.5), ((10, 0, 20, 10), 0, 1)],
)
def test_overlap_and_likeness_of_size(other: tuple[float, float, float, float], overlap: float, size: float) -> None:
    assert box_overlap((0, 0, 10, 10), other) == pytest.approx(overlap)
    assert size_likeness((0, 0, 10, 10), other) == pytest.approx(size)


def test_boxes_without_area_are_like_nothing() -> None:
    assert box_overlap((3, 3, 3, 3), (3, 3, 3, 3)) == 0
    assert size_likeness((3, 3, 3, 3), (3, 3, 3, 3)) == 0
