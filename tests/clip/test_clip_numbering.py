import re
from random import Random

import pytest
from clip_inputs import PATIENT
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import InputError
from actors.files.storage import Entry
from jobs.clip.numbering import in_order, number_of


def entries(*names: str) -> list[Entry]:
    return [Entry(f"clip/{name}", is_folder=False, size=1) for name in names]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("7.png", 7),
        ("0007.jpg", 7),
        ("clip2_frame_12.png", 12),
        ("take3-5b.webp", 5),
        ("cover.png", None),
        ("a.1.png", 1),
    ],
)
def test_the_last_number_of_the_stem_counts(name: str, number: int | None) -> None:
    assert number_of(name) == number


@PATIENT
@given(st.integers(0, 200), st.integers(1, 120), st.integers(0, 6), st.randoms())
def test_any_numbering_without_gaps_is_put_in_order(start: int, count: int, digits: int, chance: Random) -> None:
    names = [f"frame2_{number:0{digits}d}.png" for number in range(start, start + count)]
    shuffled = entries(*names)
    chance.shuffle(shuffled)
    assert [entry.name for entry in in_order(shuffled, "clip")] == names


@PATIENT
@given(st.sets(st.integers(0, 400), min_size=1))
def test_gaps_are_refused_and_the_first_of_them_named(numbers: set[int]) -> None:
    missing = sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)
    shuffled = entries(*(f"{number}.png" for number in numbers))
    if not missing:
        assert len(in_order(shuffled, "clip")) == len(numbers)
        return
    with pytest.raises(InputError) as caught:
        in_order(shuffled, "clip")
    named = re.search(r"frames missing: ([0-9, ]+[0-9])", caught.value.problem)
    assert named is not None
    assert [int(number) for number in named[1].split(", ")] == missing[:5]
    assert caught.value.subject == "clip"


def test_two_files_of_one_frame_are_refused() -> None:
    with pytest.raises(InputError, match=r"^clip: 1\.jpg and 1\.png have the same number; keep one"):
        in_order(entries("0.jpg", "1.jpg", "1.png"), "clip")


def test_a_file_without_a_number_is_named() -> None:
    with pytest.raises(InputError, match=r"^clip/cover\.png: no number in its name; move it out of clip"):
        in_order(entries("0.jpg", "cover.png"), "clip")
