"""Many small files keep their order, whether they are read one by one or side by side."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.clip.parallel_reads import PROBES, read_many


@given(st.lists(st.integers(), max_size=40))
def test_order_is_kept(items: list[int]) -> None:
    assert read_many(lambda item: item + 1, items) == [item + 1 for item in items]


def test_what_waits_is_read_side_by_side() -> None:
    """The first few wait alone; of the others two must be there at once before either is done."""
    met = threading.Barrier(2, timeout=60)
    pause = threading.Event()

    def read(item: int) -> int:
        if item < PROBES:
            pause.wait(0.01)
        else:
            met.wait()
        return item

    assert read_many(read, range(PROBES + 2)) == list(range(PROBES + 2))


@pytest.mark.parametrize("waits", [False, True])
def test_the_first_error_in_order_is_raised(waits: bool) -> None:
    pause = threading.Event()

    def read(item: int) -> int:
        if waits and item < PROBES:
            pause.wait(0.01)
        if item in {PROBES + 1, PROBES + 3}:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match=str(PROBES + 1)):
        read_many(read, range(20))
