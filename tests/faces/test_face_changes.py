"""Comings, goings and changes of size, against what a reader of the frames would write down."""

from __future__ import annotations

from found_faces import Face, followed, steady, together
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import InputError
from jobs.faces.dubbing import DubbedFace
from jobs.faces.face_changes import face_changes

FRAMES = 30


def written_down(dubbed: DubbedFace) -> list[tuple[int, str, int]]:
    """Frame by frame: who was there before, who is there now, and how large since when."""
    lines = []
    before, since = 0, 0.0
    others = [track for track in dubbed.tracks if track.number not in dubbed.path.tracks.tolist()]
    for frame in range(len(dubbed.path)):
        now = int(dubbed.path.tracks[frame])
        top, bottom = dubbed.path.extents[frame, 1].item(), dubbed.path.extents[frame, 3].item()
        here = [(other.number, "goes") for other in others if other.last + 1 == frame]
        here += [(other.number, "comes") for other in others if other.first == frame]
        if now != before:
            here += [(before, "goes")] * (before > 0) + [(now, "comes")] * (now > 0)
            since = bottom - top
        elif now and bottom - top > 1.25 * since:
            here.append((now, "grows"))
            since = bottom - top
        elif now and since > 1.25 * (bottom - top):
            here.append((now, "shrinks"))
            since = bottom - top
        before = now
        words = ["goes", "comes", "grows", "shrinks"]
        lines += [(frame, word, face) for face, word in sorted(here, key=lambda each: (words.index(each[1]), each[0]))]
    return lines


@given(
    there=st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES),
    sides=st.lists(st.sampled_from([40, 44, 52, 66]), min_size=FRAMES, max_size=FRAMES),
    others=st.sets(st.integers(0, FRAMES - 1)),
    cuts=st.sets(st.sampled_from([6, 13, 20]), max_size=2),
)
def test_changes_are_those_that_a_reader_would_write_down(
    there: list[bool], sides: list[int], others: set[int], cuts: set[int]
) -> None:
    faces: list[Face] = [(i, (100, 60, 100 + sides[i], 60 + sides[i])) for i in range(FRAMES) if there[i]]
    try:
        dubbed = followed(together(faces, steady(sorted(others), 10, 60, 20)), FRAMES, cuts=sorted(cuts))
    except InputError:
        assert not any(there)
        assert not others
        return
    changes = face_changes(dubbed)
    assert [(each.frame, each.change.value, each.face) for each in changes] == written_down(dubbed)
    assert all(each.dubbed == (each.face in dubbed.numbers) for each in changes)


def test_a_face_that_grows_slowly_has_grown_at_some_frame() -> None:
    faces: list[Face] = [(i, (100, 50, 100 + 40 + 2 * i, 90 + 2 * i)) for i in range(FRAMES)]
    grown = [each for each in face_changes(followed(faces, FRAMES)) if each.heights]
    assert [(each.frame, each.heights) for each in grown] == [(6, (40, 52)), (13, (52, 66)), (22, (66, 84))]
