"""Whether an answer depends on its batch: on the other samples in it, or on its own place there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T")

# A batch: which sample stands at each place; ``None`` stands for noise.
Arrangement: TypeAlias = tuple[int | None, ...]


def arrangements(samples: int, size: int) -> Iterator[Arrangement]:
    """Batches of ``size`` in which each sample stands at different places among different others.

    Forwards, backwards, and the first one behind nothing but noise.
    """
    for order in (range(samples), range(samples - 1, -1, -1)):
        for start in range(0, samples, size):
            yield tuple(order[(start + place) % samples] for place in range(size))
    yield (*(None,) * (size - 1), 0)


def depends_on_batch(
    run: Callable[[Arrangement], Sequence[T]],
    alone: Sequence[T],
    size: int,
    *,
    same: Callable[[T, T], bool],
    near: Callable[[T, T], bool],
) -> bool:
    """Whether an answer in batches of ``size`` differs from that to the sample alone.

    Args:
        run: the answers of a batch.
        alone: the answer to each sample alone, at least one.
        size: of the batches.
        same: whether two answers to a sample in batches are equal.
        near: whether an answer in a batch is that of the sample alone.
    """
    first: dict[int, T] = {}
    for rows in arrangements(len(alone), size):
        for row, answer in zip(rows, run(rows), strict=True):
            if row is not None and not (same(answer, first.setdefault(row, answer)) and near(answer, alone[row])):
                return True
    return False
