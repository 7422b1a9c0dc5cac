"""One measurement: what a system was told to do, what it answered, and what its frames turned out to be."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.benchmark.frame_check import FrameVerdict
from jobs.benchmark.matrix import Cell
from jobs.benchmark.memory import Memory
from jobs.benchmark.settings import Setting


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a system is told to do."""

    cell: Cell
    frames: int  # output frames, from 0
    setting: Setting  # of ours the precision alone, unless it says otherwise
    seconds: float | None = None  # how long the bare network runs, whatever frames says; none for all others


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system says it did; no figures where there is a fault."""

    frames: int = 0  # output frames that were rendered
    steady_s: float = 0.0  # first frame begun to last file closed
    prepare_s: float = 0.0  # processor time for these frames spent before that, over all processes
    cold: dict[str, float] = field(default_factory=dict)  # parts of the start-up in seconds, of ours alone
    cache_bytes: int = 0  # backgrounds in the object store, of ours alone
    faces: bool = False  # whether ours ran the network's face encoder once per background
    memory: Memory | None = None  # what its processes held, where the system tells
    fault: str = ""  # why there is no answer


@dataclass(frozen=True, slots=True)
class Measurement:
    """A system's run."""

    task: Assignment
    answer: Answer
    verdict: FrameVerdict
    cores: int  # of the machine
    repeat: int = 0  # from 0

    @property
    def fault(self) -> str:
        """Why it does not count, or empty."""
        return self.answer.fault or self.verdict.fault

    @property
    def fps(self) -> float | None:
        """Frames per second, preparation charged as if it had been spread over all cores; none if it is at fault."""
        charged = self.answer.steady_s + self.answer.prepare_s / self.cores
        return None if self.fault else self.answer.frames / charged

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        own = {"repeat": self.repeat, "fps": self.fps, "fault": self.fault}
        checked = {"frames_checked": self.verdict.checked, "worst_level": self.verdict.worst}
        return asdict(self.task.cell) | asdict(self.task.setting) | asdict(self.answer) | checked | own
