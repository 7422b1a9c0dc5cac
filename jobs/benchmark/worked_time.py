"""When workers rendered which clip, by the runs' tables of timings: how long it took, the gaps between clips.

A worker on a CPU does one batch of frames after the other, and all stages of a batch in turn. So a batch lasts from
its beginning for as long as the stages of all of its frames together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from actors.core.timings import STAGES, from_parquet


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a worker process gave to one batch of frames of a clip.

    Attributes:
        clip: the clip.
        process: node and process id.
        start: Unix time in seconds.
        end: the same.
        frames: how many.
    """

    clip: str
    process: tuple[str, int]
    start: float
    end: float
    frames: int


def read_spans(clip: str, run: Path) -> list[Span]:
    """The spans of a run's folder.

    Raises:
        OSError: a fragment of its table cannot be read.
        ValueError: a fragment is damaged.
    """
    found = []
    for path in sorted((run / "timings").glob("*.parquet")):
        table = from_parquet(path.read_bytes())
        if table is None:
            raise ValueError(f"{path.name} is no fragment of a table of timings")
        found += spans(clip, table)
    return found


def spans(clip: str, table: pa.Table) -> list[Span]:
    """The spans of a table of timings, by their start."""
    names = ("node", "pid", "range_id", "batch_id", "started_at", *STAGES)
    batches: defaultdict[tuple[str, int, str, int], list[tuple[float, float]]] = defaultdict(list)
    for node, pid, range_id, batch, start, *stages in zip(*(table[name].to_pylist() for name in names), strict=True):
        batches[node, pid, range_id, batch].append((start, sum(stages) / 1e3))
    found = []
    for (node, pid, _, _), frames in batches.items():
        start = min(start for start, _ in frames)
        found.append(Span(clip, (node, pid), start, start + sum(spent for _, spent in frames), len(frames)))
    return sorted(found, key=lambda span: span.start)


def rendering_seconds(spans: Iterable[Span]) -> float:
    """From the first frame's start to the last frame's end, over all workers; at least one span."""
    some = list(spans)
    return max(span.end for span in some) - min(span.start for span in some)


def gaps_ms(spans: Iterable[Span]) -> list[float]:
    """Milliseconds between two clips as each worker process sees it, a batch's end to the start of another clip's.

    Every change of a process from one clip to another counts. 0 where the next had begun before the last one ended, as
    where ranges overlap.
    """
    by_process: defaultdict[tuple[str, int], list[Span]] = defaultdict(list)
    for span in spans:
        by_process[span.process].append(span)
    found = []
    for some in by_process.values():
        for before, after in pairwise(sorted(some, key=lambda span: span.start)):
            if before.clip != after.clip:
                found.append(max(0.0, after.start - before.end) * 1e3)
    return found
