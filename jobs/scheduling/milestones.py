"""When the steps of a clip's rendering were reached, and by which workers."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.core.worker_reports import WorkerReport


@dataclass(slots=True)
class Milestones:
    """When things happened, on `time.perf_counter`, and who took part.

    Attributes:
        loaded_bytes: size of the blocks that were loaded on its behalf.
        load_seconds: time spent in loading tasks, summed over tasks.
        prepare_seconds: processor time in which they prepared encodings and ran the face encoder.
        first_dispatch: the first range was given out.
        last_file: the latest range's files stood under their names, and the driver knew.
        rendered: ids of the ranges that were rendered, in the order of their ends.
        workers: every worker of its network that was ready while it was open, in the order in which they became so.
        place_seconds: how long the first of them waited for its place on the cluster, and for its process.
    """

    loaded_bytes: int = 0
    load_seconds: float = 0.0
    prepare_seconds: float = 0.0
    first_dispatch: float | None = None
    last_file: float | None = None
    rendered: list[str] = field(default_factory=list)
    workers: list[WorkerReport] = field(default_factory=list)
    place_seconds: float = 0.0
