"""The process in which one reader is fed mutated inputs, under limits: whatever breaks it breaks this process alone.

Run as ``python fuzz_worker.py READER FIRST STOP FOLDER``; prints a report as one line of JSON.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from actors.core.errors import InputError

# Address space, of which the imported libraries take 0.8 GiB and the readers' threads reserve more.
ADDRESS_SPACE = 3 << 30
# What the peak of resident memory may grow by over a whole batch; the largest input has some 100 KB.
GROWTH = 256 << 20
# Processor seconds that one input may take. The kernel ends the process after that, wherever it is.
EACH_CPU = 2.0
# Waiting costs no processor time. Generous, because the machine may be busy.
EACH_WALL = 60.0
LONGEST_MESSAGE = 600
_TOLD = 40


def main(name: str, first: int, stop: int, folder: Path) -> None:
    from fuzz_readers import READERS

    reader = READERS[name](folder)
    # The undamaged seeds first: they load what is loaded lazily, and prove that the reader reads.
    for seed in range(reader.seeds):
        reader.write_seed(seed)
        reader.read()
    _limit()
    before = _peak()
    outcomes: Counter[str] = Counter()
    problems: list[dict[str, object]] = []
    with (folder.parent / "at").open("wb", buffering=0) as at:
        for index in range(first, stop):
            os.pwrite(at.fileno(), f"{index:8}".encode(), 0)
            reader.write(Random(f"{name} {index}"))
            _set_timers(EACH_CPU, EACH_WALL)
            problem = _attempt(reader, outcomes)
            _set_timers(0, 0)
            if problem:
                problems.append({"index": index, "problem": problem})
    growth = _peak() - before
    if growth > GROWTH:
        problems.append({"index": -1, "problem": f"memory: the peak grew by {growth >> 20} MiB"})
    report = {"outcomes": outcomes, "problems": problems[:_TOLD], "growth": growth, "cpu": sum(os.times()[:2])}
    sys.stdout.write(json.dumps(report) + "\n")


def _attempt(reader: Reader, outcomes: Counter[str]) -> str | None:
    """Reads what has been written; what is wrong with the way it went, or ``None``."""
    try:
        reader.read()
    except InputError as error:
        outcomes["refused"] += 1
        return _fault(error, reader.subjects)
    except Exception as error:
        outcomes["broken"] += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {str(error)[:200]} ({Path(last.filename).name}:{last.lineno})"
        return f"memory: {text}" if isinstance(error, MemoryError) else f"exception: {text}"
    outcomes["accepted"] += 1
    return None


def _fault(error: InputError, subjects: frozenset[str]) -> str | None:
    """What is wrong with a refusal, or ``None``."""
    message = str(error)
    cause = error.__cause__
    shown = repr(message[:300])
    if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM or "bad_alloc" in message:
        return f"memory: {shown}"
    if error.subject not in subjects:
        return f"subject: {shown}"
    if not message.isprintable():
        return f"unprintable: {shown}"
    if len(message) > LONGEST_MESSAGE:
        return f"long: {len(message)} characters, {shown}"
    return None


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _set_timers(cpu: float, wall: float) -> None:
    """Without a handler, either signal ends the process, even inside native code."""
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, wall)


def _peak() -> int:
    """The peak of resident memory in bytes; ``ru_maxrss`` would include the parent's before ``exec``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
