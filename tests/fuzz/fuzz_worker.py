"""The process in which one reader is fed mutated inputs, under limits: whatever breaks it breaks this process alone.

`main` is called in a process of its own; it prints a report as one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from fuzz_base import Reader
from fuzz_readers import make_reader

from actors.core.errors import InputError

# Address space, of which the imported libraries take 0.8 GiB.
ADDRESS_SPACE = 3 << 30
# What the peaks of resident memory and of address space may grow by over a whole batch; inputs have up to 100 KB.
# An allocation counts as address space even where it is never touched, and so do the arenas of the readers' threads.
RESIDENT, RESERVED = 256 << 20, 512 << 20
# Processor seconds that one input may take. The kernel ends the process after that, wherever it is.
EACH_CPU = 2.0
# Waiting costs no processor time. Generous, because the machine may be busy.
EACH_WALL = 60.0
LONGEST_MESSAGE = 600


def main(name: str, first: int, stop: int, folder: Path) -> None:
    reader = make_reader(name, folder)
    # The undamaged seeds first: they load what is loaded lazily, and prove that the reader reads.
    for seed in range(reader.seeds):
        reader.write_seed(seed)
        reader.read()
    _limit()
    resident, reserved = _peak("VmHWM"), _peak("VmPeak")
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
    grown = (_peak("VmHWM") - resident, _peak("VmPeak") - reserved)
    if grown[0] > RESIDENT or grown[1] > RESERVED:
        problems.append({"index": -1, "problem": f"memory: peaks grew by {grown[0] >> 20} and {grown[1] >> 20} MiB"})
    report = {"outcomes": outcomes, "problems": problems, "grown": grown, "cpu": sum(os.times()[:2])}
    sys.stdout.write(json.dumps(report) + "\n")


def _attempt(reader: Reader, outcomes: Counter[str]) -> str | None:
    """Reads what has been written; what is wrong with the way it went, or ``None``."""
    try:
        reader.read()
    except InputError as error:
        outcomes["refused"] += 1
        return _fault(error, reader.subjects)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        outcomes["broken"] += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"exception: {type(error).__name__}: {str(error)[:200]} ({Path(last.filename).name}:{last.lineno})"
    outcomes["accepted"] += 1
    return None


def _fault(error: InputError, subjects: frozenset[str]) -> str | None:
    """What is wrong with a refusal, or ``None``."""
    message = str(error)
    shown = repr(message[:300])
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


def _peak(name: str) -> int:
    """A peak of this process's memory in bytes; ``ru_maxrss`` would include the parent's before ``exec``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
