"""Memory of a process and all of its descendants while they run, as Linux shares it out (PSS)."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

ROLLUP = "smaps_rollup"
# Looking is work too, and it is charged to the machine that is being measured: at most this share of one core. A dozen
# processes take 40 ms, so that seconds pass between two looks.
SHARE = 0.02
LEAST_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """One process at one moment, in bytes.

    Attributes:
        role: what it is, without paths or arguments.
        pss: its memory, with its proportional share of what it shares with others.
        private: what it alone holds.
        shared: its proportional share of shared memory (Ray's object store lies there).
    """

    role: str
    pss: int
    private: int
    shared: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen of a process tree.

    Attributes:
        pss: largest sum over all processes at one moment, bytes.
        shared: the shared memory in it.
        private: largest private memory of one process at any moment.
        worker: the same among processes whose role is a renderer's (``ray::Compositor``), 0 if there was none. Looked
            at more often than the rest: a short run may end between two looks.
        processes: all processes at the moment of the largest sum, largest first.
        samples: moments looked at.
    """

    pss: int
    shared: int
    private: int
    worker: int
    processes: tuple[ProcessMemory, ...]
    samples: int


WORKER_ROLE = "ray::Compositor"


def supported() -> bool:
    """Whether the system tells proportional set sizes."""
    return Path("/proc/self", ROLLUP).exists()


def parse_rollup(text: str, role: str) -> ProcessMemory:
    """One process from its ``smaps_rollup``, whose numbers are KiB."""
    fields = dict.fromkeys(("Pss", "Private_Clean", "Private_Dirty", "Pss_Shmem"), 0)
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in fields:
            fields[name] = int(rest.split()[0]) << 10
    private = fields["Private_Clean"] + fields["Private_Dirty"]
    return ProcessMemory(role, fields["Pss"], private, fields["Pss_Shmem"])


def role_of(command: list[str]) -> str:
    """What a process is, from its command line: ``ray::Compositor``, ``raylet``, ``single.py``, ``jobs``."""
    if not command or not command[0]:
        return "unknown"
    if command[0].startswith("ray::"):
        return command[0].partition(".")[0].partition("(")[0].split()[0]
    name = Path(command[0]).name
    if not name.startswith("python"):
        return name
    arguments = [argument for argument in command[1:] if argument != "-u"]
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        return arguments[1]
    if arguments and not arguments[0].startswith("-"):
        return Path(arguments[0]).name
    return name


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that it has started, itself first; empty if it is gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def look(root: psutil.Process) -> dict[int, ProcessMemory]:
    """A process and its descendants now, by process id, largest first; those that end meanwhile are left out."""
    found = {}
    for process in family(root):
        try:
            text = Path("/proc", str(process.pid), ROLLUP).read_text(encoding="ascii")
            found[process.pid] = parse_rollup(text, role_of(process.cmdline()))
        except (OSError, psutil.Error):
            continue
    return dict(sorted(found.items(), key=lambda item: item[1].pss, reverse=True))


def anonymous(pid: int) -> int:
    """Bytes of a process that no file stands behind, 0 once it is gone.

    Nearly all that it alone holds, and the kernel keeps count of it, where `look` has it walk through every page.
    """
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return memory.rss - memory.shared


class Peak:
    """The largest of what was seen so far."""

    def __init__(self) -> None:
        self._memory = Memory(0, 0, 0, 0, (), 0)

    def add(self, processes: tuple[ProcessMemory, ...]) -> None:
        """Takes one more moment into account."""
        before = self._memory
        pss = sum(process.pss for process in processes)
        top = pss > before.pss
        private = [process.private for process in processes]
        workers = [process.private for process in processes if process.role == WORKER_ROLE]
        self._memory = Memory(
            pss=pss if top else before.pss,
            shared=sum(process.shared for process in processes) if top else before.shared,
            private=max([before.private, *private]),
            worker=max([before.worker, *workers]),
            processes=processes if top else before.processes,
            samples=before.samples + 1,
        )

    def add_worker(self, private: int) -> None:
        """Takes one more look at a renderer alone into account."""
        self._memory = replace(self._memory, worker=max(self._memory.worker, private))

    def seen(self) -> Memory | None:
        """The result, or ``None`` where nothing was seen."""
        return self._memory if self._memory.samples else None


class Sampler:
    """Looks at a process tree again and again from a thread of its own while a ``with`` block runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = Peak()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Self:
        if supported():
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            root = psutil.Process(self._pid)
        except psutil.Error:
            return
        while True:
            began = time.thread_time()
            processes = look(root)
            if processes:
                self._peak.add(tuple(processes.values()))
            renderers = [pid for pid, memory in processes.items() if memory.role == WORKER_ROLE]
            until = time.monotonic() + max(LEAST_PAUSE, (time.thread_time() - began) / SHARE)
            while (left := until - time.monotonic()) > 0:
                if self._end.wait(min(left, LEAST_PAUSE)):
                    return
                for pid in renderers:
                    self._peak.add_worker(anonymous(pid))

    @property
    def memory(self) -> Memory | None:
        """What was seen; ``None`` where the system cannot tell or the process was gone at once."""
        return self._peak.seen()
