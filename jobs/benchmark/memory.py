"""Memory of a process and all of its descendants while they run, as Linux shares it out (PSS)."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import psutil

ROLLUP = "smaps_rollup"
# What Ray calls the processes of ours that render.
RENDERER = "ray::Compositor"
# Looking is work too, and it is charged to the machine that is being measured: at most this share of one core. A dozen
# processes take 40 ms, so that seconds pass between two looks.
SHARE = 0.02
LEAST_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen of a process, or of a process tree, in bytes."""

    pss: int = 0  # largest sum over all processes at one moment, each with its share of what it shares with others
    shared: int = 0  # the shared memory in it (Ray's object store lies there)
    processes: int = 0  # how many they were
    private: int = 0  # largest memory that one process alone held at any moment
    worker: int = 0  # of one of ours' renderers; looked at more often: a short run may end between two looks

    def with_moment(self, seen: Collection[Memory]) -> Memory:
        """The largest of this and of all processes at one more moment."""
        pss, shared = sum(process.pss for process in seen), sum(process.shared for process in seen)
        return replace(
            replace(self, pss=pss, shared=shared, processes=len(seen)) if pss > self.pss else self,
            private=max([self.private, *(process.private for process in seen)]),
            worker=max([self.worker, *(process.worker for process in seen)]),
        )


def supported() -> bool:
    """Whether the system tells proportional set sizes."""
    return Path("/proc/self", ROLLUP).exists()


def parse_rollup(text: str, *, renders: bool) -> Memory:
    """One process from its ``smaps_rollup``, whose numbers are KiB."""
    sizes = dict.fromkeys(("Pss", "Private_Clean", "Private_Dirty", "Pss_Shmem"), 0)
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0]) << 10
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return Memory(sizes["Pss"], sizes["Pss_Shmem"], 1, private, private if renders else 0)


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that it has started, itself first; empty if it is gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def look(root: psutil.Process) -> dict[int, Memory]:
    """A process and its descendants now, by process id; those that end meanwhile are left out."""
    found = {}
    for process in family(root):
        try:
            text = Path("/proc", str(process.pid), ROLLUP).read_text(encoding="ascii")
            renders = "".join(process.cmdline()[:1]).startswith(RENDERER)
        except (OSError, psutil.Error):
            continue
        found[process.pid] = parse_rollup(text, renders=renders)
    return found


def anonymous(pid: int) -> int:
    """Bytes of a process that no file stands behind, 0 once it is gone.

    Nearly all that it alone holds, and the kernel keeps count of it, where `look` has it walk through every page.
    """
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return memory.rss - memory.shared


class Sampler:
    """Looks at a process tree again and again from a thread of its own while a ``with`` block runs.

    ``memory`` is what was seen so far, ``None`` where the system cannot tell or the process was gone at once.
    """

    def __init__(self, pid: int) -> None:
        self.memory: Memory | None = None
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        if not supported() or not psutil.pid_exists(self._pid):
            return
        root, seen = psutil.Process(self._pid), Memory()
        while True:
            began = time.thread_time()
            processes = look(root)
            if processes:
                seen = self.memory = seen.with_moment(processes.values())
            until = time.monotonic() + max(LEAST_PAUSE, (time.thread_time() - began) / SHARE)
            while (left := until - time.monotonic()) > 0:
                if self._end.wait(min(left, LEAST_PAUSE)):
                    return
                for pid in (pid for pid, process in processes.items() if process.worker):
                    seen = self.memory = replace(seen, worker=max(seen.worker, anonymous(pid)))
