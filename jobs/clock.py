"""When this process started, by the operating system."""

import os
import time
from pathlib import Path

import psutil

# Linux has it, but where /proc is not mounted.
OWN_STATE = "/proc/self/stat"


def process_start() -> float:
    """When this process started, on `time.perf_counter`; exact to a tick of the system, which is 10 ms on Linux.

    A program that a shell runs by ``exec`` continues the shell's process, whose start counts.
    """
    if Path(OWN_STATE).is_file():
        # Field 22 of proc(5), in ticks since boot. `psutil` adds the boot's time of day, which is in whole seconds.
        ticks = int(Path(OWN_STATE).read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    else:
        age = time.time() - psutil.Process().create_time()
    return time.perf_counter() - max(0.0, age)
