"""Boxes for Wav2Lip kinds have the detector's style, are padded, cut off at the frame and averaged as upstream does."""

import numpy as np
import pytest
from examples import examples
from face_paths import Box, face_path_of
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from jobs.faces.kind_boxes import DETECTOR_STYLE, Pads, detector_style_boxes

WIDTH, HEIGHT = SIZE = (640, 360)
NO_PADS = Pads(0, 0, 0, 0)


def random_extents(seed: int, frames: int) -> tuple[list[Box | None], list[int]]:
    """Faces anywhere, also beyond the frame's edges, some frames without one, and a change of track."""
    rng = np.random.default_rng(seed)
    extents: list[Box | None] = []
    for _ in range(frames):
        x, y = rng.uniform(-150, WIDTH + 50), rng.uniform(-150, HEIGHT + 50)
        extents.append((x, y, x + rng.uniform(20, 200), y + rng.uniform(20, 250)) if rng.uniform() < 0.85 else None)
    other = int(rng.integers(0, frames + 1))
    return extents, [1 if frame < other else 2 for frame in range(frames)]


def slow_boxes(extents: list[Box | None], tracks: list[int], pads: Pads, *, averaged: bool) -> list[FaceBox | None]:
    """Frame by frame, edge by edge."""
    padded: list[list[float] | None] = []
    for extent in extents:
        if extent is None:
            padded.append(None)
            continue
        x0, y0, x1, y1 = (float(np.float32(edge)) for edge in extent)
        left, top, right, bottom = DETECTOR_STYLE
        box = [x0 + left * (x1 - x0), y0 + top * (y1 - y0), x1 + right * (x1 - x0), y1 + bottom * (y1 - y0)]
        unit = (box[3] - box[1]) / 200
        box = [
            max(min(box[0] - pads.left * unit, WIDTH), 0),
            max(min(box[1] - pads.top * unit, HEIGHT), 0),
            max(min(box[2] + pads.right * unit, WIDTH), 0),
            max(min(box[3] + pads.bottom * unit, HEIGHT), 0),
        ]
        padded.append(box if round(box[0]) < round(box[2]) and round(box[1]) < round(box[3]) else None)
    made: list[FaceBox | None] = []
    for frame, box_here in enumerate(padded):
        if box_here is None:
            made.append(None)
            continue
        first = last = frame
        while first > 0 and padded[first - 1] is not None and tracks[first - 1] == tracks[frame]:
            first -= 1
        while last + 1 < len(padded) and padded[last + 1] is not None and tracks[last + 1] == tracks[frame]:
            last += 1
        start = max(first, min(frame, last - 4)) if averaged else frame
        stop = min(start + 4, last) if averaged else frame
        window = [box for box in padded[start : stop + 1] if box is not None]
        made.append(FaceBox(*(round(sum(edges) / len(window)) for edges in zip(*window, strict=True))))
    return made


@settings(max_examples=examples(40))
@given(st.integers(0, 2**32), st.integers(1, 20), st.builds(Pads, *[st.integers(0, 60)] * 4), st.booleans())
def test_boxes_are_those_of_the_slow_reference(seed: int, frames: int, pads: Pads, averaged: bool) -> None:
    extents, tracks = random_extents(seed, frames)
    made = detector_style_boxes(face_path_of(extents, tracks), SIZE, pads, averaged=averaged)
    for box, slow in zip(made, slow_boxes(extents, tracks, pads, averaged=averaged), strict=True):
        assert (box is None) == (slow is None)
        if box is not None and slow is not None:
            assert box.inside(*SIZE)
            # Sums in another order may fall on the other side of a half.
            assert max(abs(getattr(box, edge) - getattr(slow, edge)) for edge in ("x0", "y0", "x1", "y1")) <= 1


def test_a_steady_face_gets_one_box_and_pads_of_its_own_size() -> None:
    low = face_path_of([(100, 100, 200, 196 + 96 / 24)] * 6)
    (box,) = set(detector_style_boxes(low, SIZE, NO_PADS))
    assert box == FaceBox(103, 96, 197, 200)
    (padded,) = set(detector_style_boxes(low, SIZE, Pads(20, 10, 40, 30)))
    # The box is 104 px high, so a pad of 10 px at 200 px is 5.2 px.
    assert padded == FaceBox(round(103 - 20.8), round(96 - 10.4), round(197 + 15.6), round(200 + 5.2))


def test_the_mean_is_over_the_frame_and_the_four_after_it_and_at_the_end_over_the_last_five() -> None:
    path = face_path_of([(10 * f, 100, 10 * f + 100, 200) for f in range(8)])
    plain, mean = (
        [box.x0 for box in detector_style_boxes(path, SIZE, NO_PADS, averaged=averaged) if box]
        for averaged in (False, True)
    )
    assert plain == [3 + 10 * f for f in range(8)]
    assert mean == [23, 33, 43, 53, 53, 53, 53, 53]


def test_means_stop_where_the_face_is_away_and_where_another_track_begins() -> None:
    here: Box = (100, 100, 200, 200)
    there: Box = (300, 100, 400, 200)
    path = face_path_of([here, here, None, there, there, here, here], [1, 1, 1, 1, 1, 2, 2])
    edges = [box and box.x0 for box in detector_style_boxes(path, SIZE, NO_PADS)]
    assert edges == [103, 103, None, 303, 303, 103, 103]


def test_the_detectors_own_boxes_are_taken_as_they_are() -> None:
    path = face_path_of([(0, 0, 10, 10)] * 3, boxes=[(50, 60, 150, 200)] * 3)
    assert set(detector_style_boxes(path, SIZE, NO_PADS, own_boxes=True)) == {FaceBox(50, 60, 150, 200)}


def test_a_face_outside_of_the_frame_is_none() -> None:
    path = face_path_of([(100, 100, 200, 200), (-300, 100, -200, 200), (600, 400, 700, 500)])
    assert [box is None for box in detector_style_boxes(path, SIZE, NO_PADS)] == [False, True, True]


def test_footage_without_a_face() -> None:
    assert detector_style_boxes(face_path_of([None, None]), SIZE, Pads()) == (None, None)
    assert detector_style_boxes(face_path_of([]), SIZE, Pads()) == ()


def test_pads_are_read_and_default_to_upstreams() -> None:
    assert Pads.of("1,2,3,200") == Pads(1, 2, 3, 200)
    assert Pads() == Pads.of("0,10,0,0")


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,-4", "1,2,3,4.5", "1,2,3,201", "1, 2,3,4"])
def test_pads_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Pads.of(text)
    assert str(caught.value).startswith(f"--pads: {text} cannot be read; give TOP,BOTTOM,LEFT,RIGHT as four")
