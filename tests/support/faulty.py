"""Workers that fail on demand, and others that are in their way.

What to do is told by files, so that a test decides and a worker obeys. A file ``exit-12`` in the folder ``faults``
beside the run makes the worker end its process when it comes to frame 12; it takes the file away first, so that this
happens once. ``poison-12`` stays, and kills every worker that comes there; ``poison-prepare`` before it is ready.
``wait-12`` stays too: the worker goes on once somebody takes the file away; so does ``wait-prepare``, before the worker
is ready. Who obeyed what stands in ``obeyed``. Of a clip of a batch the files are in a folder of its id, in the folder
``faults`` beside the batch.

Run as a program, this module is the command line with such workers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray._private.utils import get_used_memory

from actors.core.worker_reports import WorkerReport
from actors.rendering.compositor import Compositor
from actors.rendering.finishing import RangeFinishing
from actors.rendering.worker_config import ClipConfig
from jobs.batch.clip_steps import ReadClip, Rendered, Start
from jobs.batch.desk import Desk
from jobs.run.opening import Opening

KINDS = ("exit", "poison", "segfault", "hang", "wait", "limit", "allocate")

# Less than any frame of these tests takes as a PNG.
FILE_LIMIT = 20_000

# How much a worker takes at a time on its way to a shortage of memory, and how long it stays short at the most.
STEP = 64 << 20
SHORT_SECONDS = 20.0


class FaultyFinishing(RangeFinishing):
    """Frames come by here one by one."""

    def _composite(self, frame: int, *rest: Any) -> Any:  # noqa: ANN401
        faults = faults_of(self._clip)
        for kind in KINDS:
            order = faults / f"{kind}-{frame}"
            try:
                said = order.read_text()
            except FileNotFoundError:
                continue
            if kind not in {"poison", "wait"}:
                order.unlink()
            with (next(up for up in faults.parents if up.name != "faults") / "obeyed").open("a") as obeyed:
                obeyed.write(f"{kind} {frame} {os.getpid()}\n")
            obey(kind, order, said)
        return super()._composite(frame, *rest)


class FaultyDesk(Desk):
    """A `Desk` in whose way a full disk is: by the order ``full`` of a clip that is to begin."""

    def begin(self, clip: ReadClip, start: Start) -> Opening | Rendered:
        if (faults_of(clip) / "full").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(clip.folder))
        return super().begin(clip, start)


class FaultyCompositor(Compositor):
    """A `Compositor` that obeys the files."""

    finishing = FaultyFinishing

    def prepare(self, clip: ClipConfig) -> WorkerReport:
        while (faults_of(clip) / "wait-prepare").exists():
            time.sleep(0.02)
        if (faults_of(clip) / "poison-prepare").exists():
            os._exit(3)
        return super().prepare(clip)


def faults_of(clip: ClipConfig | ReadClip) -> Path:
    """The folder of a clip's orders."""
    run = Path(str(clip.folder))
    of_batch = run.parent.parent / "faults" / run.name
    return of_batch if of_batch.is_dir() else run.parent / "faults"


def obey(kind: str, order: Path, said: str) -> None:
    match kind:
        case "exit" | "poison":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            threading.Event().wait()
        case "wait":
            while order.exists():
                time.sleep(0.02)
        case "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
        case "allocate":
            used, most = map(int, said.split())
            run_short(used, most)


def used_memory() -> int:
    """Bytes in use as Ray's monitor counts them: of the machine, or of the container that it runs in."""
    return int(get_used_memory())  # type: ignore[no-untyped-call]


def run_short(used: int, most: int) -> None:
    """Takes memory until the machine uses more than ``used`` bytes, ``most`` at the most, and keeps it for a while."""
    held: list[np.ndarray] = []
    end = time.monotonic() + SHORT_SECONDS
    while time.monotonic() < end:
        if used_memory() < used and len(held) * STEP < most:
            held.append(np.ones(STEP, np.uint8))
        else:
            time.sleep(0.05)


class Filler:
    """Fills the object store of its node, as another job might."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def fill(self) -> str:
        """Puts large objects, then small ones, until not even these have room; gives the name of the last refusal."""
        refusal = "none"
        for size in (4 << 20, 1 << 19, 1 << 17):
            try:
                for _ in range(1000):
                    self._held.append(ray.put(np.ones(size, np.uint8)))
            except ray.exceptions.RayError as error:
                refusal = type(error).__name__
        return refusal


def main() -> None:
    """``python -m jobs`` with these workers."""
    import faulty

    import jobs.__main__
    import jobs.run.engine

    # By its import name: a class of the main module would be sent to the workers as code.
    vars(jobs.run.engine)["Compositor"] = faulty.FaultyCompositor
    jobs.__main__.main()


if __name__ == "__main__":
    main()
