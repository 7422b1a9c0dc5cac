"""One measurement: what was run and what it gave."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.benchmark.frame_check import FrameVerdict
from jobs.benchmark.matrix import Cell, Output, Regime, System
from jobs.benchmark.memory import Memory
from jobs.benchmark.settings import Setting


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a system is told to do.

    Attributes:
        cell: system, regime and format.
        frames: output frames, from 0.
        setting: workers, threads, batch and precision.
        chosen: whether ours is told workers and batch too, instead of deciding for itself.
        seconds: how long the bare network runs, whatever ``frames`` says; ``None`` for all others.
    """

    cell: Cell
    frames: int
    setting: Setting
    chosen: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system says it did.

    Attributes:
        frames: output frames that were rendered.
        steady_s: first frame begun to last file closed, seconds.
        prepare_s: processor time for these frames spent before that time, over all processes.
        setup_s: start of the program to the first frame begun, seconds.
        wall_s: start of the program to its end, seconds.
        cold: parts of the start-up in seconds, of ours alone.
        cache_bytes: backgrounds in the object store, of ours alone.
        faces: whether it ran the network's face encoder once per background, of ours alone.
        layout: workers, threads and batch that it chose, of ours alone.
        memory: what its processes held, where the system tells.
        fault: why there is no answer, or empty; then all figures are 0.
    """

    frames: int = 0
    steady_s: float = 0.0
    prepare_s: float = 0.0
    setup_s: float = 0.0
    wall_s: float = 0.0
    cold: dict[str, float] = field(default_factory=dict)
    cache_bytes: int = 0
    faces: bool = False
    layout: tuple[int, int, int] | None = None
    memory: Memory | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A system's run in one repeat; times in seconds, memory in bytes.

    Attributes:
        regime: which network.
        format: what was written.
        system: who ran.
        repeat: from 0.
        order: place within the repeat, from 0.
        frames: output frames.
        workers: processes or threads it was given; of ours, what it chose.
        threads: of each session.
        batch: frames per inference.
        precision: of the network.
        steady_s: first frame begun to last file closed.
        prepare_s: processor time for these frames spent before that, over all processes.
        fps_steady: frames / steady_s.
        fps: the figure that counts, frames / (steady_s + prepare_s / cores); ``None`` if it failed or is wrong.
        setup_s: program start to first frame begun.
        wall_s: program start to end.
        frames_checked: frames compared with the reference.
        worst_level: largest difference from it, 0..255.
        pss: largest sum of proportional set sizes, 0 where unknown.
        shared: shared memory in it.
        private: largest private memory of one process.
        worker_private: the same among ours' renderers.
        cache_bytes: backgrounds in the object store.
        faces: whether the network's face encoder ran once per background, ahead, instead of once per frame.
        fault: why it does not count, or empty.
        cold: parts of the start-up.
    """

    regime: Regime
    format: Output
    system: System
    repeat: int
    order: int
    frames: int
    workers: int
    threads: int
    batch: int
    precision: str
    steady_s: float
    prepare_s: float
    fps_steady: float
    fps: float | None
    setup_s: float
    wall_s: float
    frames_checked: int
    worst_level: int
    pss: int
    shared: int
    private: int
    worker_private: int
    cache_bytes: int
    faces: bool
    fault: str
    cold: dict[str, float]

    @property
    def cell(self) -> Cell:
        """What was measured."""
        return Cell(self.regime, self.format, self.system)


def counted_fps(frames: int, steady_s: float, prepare_s: float, cores: int) -> float:
    """Frames per second with the preparation charged as if it had been spread over all cores.

    Args:
        frames: output frames.
        steady_s: first frame begun to last file closed, seconds.
        prepare_s: processor time of preparation, summed over processes.
        cores: of the machine.
    """
    return frames / (steady_s + prepare_s / cores)


def make_trial(
    assignment: Assignment, answer: Answer, verdict: FrameVerdict, *, repeat: int, order: int, cores: int
) -> Measurement:
    """Joins what was asked, what was answered and what the frames turned out to be."""
    cell, setting, frames = assignment.cell, assignment.setting, answer.frames or assignment.frames
    fault = answer.fault or verdict.fault
    steady = answer.steady_s
    workers, threads, batch = answer.layout or (setting.workers, setting.threads, setting.batch)
    memory = answer.memory or Memory(0, 0, 0, 0, (), 0)
    return Measurement(
        regime=cell.regime,
        format=cell.output,
        system=cell.system,
        repeat=repeat,
        order=order,
        frames=frames,
        workers=workers,
        threads=threads,
        batch=batch,
        precision=setting.precision.value,
        steady_s=steady,
        prepare_s=answer.prepare_s,
        fps_steady=frames / steady if steady else 0.0,
        fps=None if fault else counted_fps(frames, steady, answer.prepare_s, cores),
        setup_s=answer.setup_s,
        wall_s=answer.wall_s,
        frames_checked=verdict.checked,
        worst_level=verdict.worst,
        pss=memory.pss,
        shared=memory.shared,
        private=memory.private,
        worker_private=memory.worker,
        cache_bytes=answer.cache_bytes,
        faces=answer.faces,
        fault=fault,
        cold=answer.cold,
    )
