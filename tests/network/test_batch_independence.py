"""Batches by which it is seen whether an answer depends on the others in its batch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from actors.network.batch_independence import Arrangement, arrangements, depends_on_batch

VALUES = (3, 1, 4, 2)
STRANGER = 9


@pytest.mark.parametrize("size", [2, 3, 4, 5, 32])
@pytest.mark.parametrize("samples", [1, 2, 4])
def test_every_sample_stands_at_several_places_with_several_mates(samples: int, size: int) -> None:
    batches = list(arrangements(samples, size))
    assert {len(rows) for rows in batches} == {size}
    for sample in range(samples):
        seen = [(place, rows) for rows in batches for place, row in enumerate(rows) if row == sample]
        assert len({place for place, _ in seen}) > 1
        assert len({tuple(sorted(map(str, rows))) for _, rows in seen}) > (sample == 0)
    # Clips may have a single frame, or frames that are all alike.
    assert any(None in rows for rows in batches)


def depends(run: Callable[[Sequence[int]], list[int]], size: int = 4, samples: int = 4) -> bool:
    """Whether it is seen that a function of a batch depends on it."""

    def of_rows(rows: Arrangement) -> list[int]:
        return run([STRANGER if row is None else VALUES[row] for row in rows])

    alone = [run([value])[0] for value in VALUES[:samples]]
    return depends_on_batch(of_rows, alone, size, same=operator.eq, near=operator.eq)


@pytest.mark.parametrize("size", [2, 3, 4, 32])
@pytest.mark.parametrize("samples", [1, 2, 4])
def test_what_depends_on_mates_or_places_is_seen(samples: int, size: int) -> None:
    assert not depends(lambda batch: [value * 2 for value in batch], size, samples)
    assert depends(lambda batch: [value + max(batch) for value in batch], size, samples)
    assert depends(lambda batch: [value + place for place, value in enumerate(batch)], size, samples)
    assert depends(lambda batch: [value + len(batch) for value in batch], size, samples)
    assert depends(lambda batch: [value + batch[place - 1] - value for place, value in enumerate(batch)], size, samples)


@pytest.mark.parametrize("size", [2, 4, 32])
def test_what_depends_on_rare_mates_is_seen(size: int) -> None:
    assert depends(lambda batch: [value + min(batch) for value in batch], size)


def test_rounding_against_single_answers_may_be_allowed_and_mates_still_may_not() -> None:
    def near(one: float, other: float) -> bool:
        return abs(one - other) < 0.5

    def run(rows: Arrangement, by_mates: float) -> list[float]:
        return [0.25 + (0.0 if row is None else VALUES[row]) + by_mates * (rows[0] or 0) for row in rows]

    alone = [float(value) for value in VALUES]
    for by_mates in (0.0, 0.01):
        found = depends_on_batch(partial(run, by_mates=by_mates), alone, 4, same=operator.eq, near=near)
        assert found == (by_mates > 0)
