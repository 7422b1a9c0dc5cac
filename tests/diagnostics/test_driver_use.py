"""The driver's memory and processor time, on this process itself."""

from __future__ import annotations

import mmap
import time

from jobs.diagnostics.driver_use import SETTLED, DriverUse

MIB = 1 << 20


def mapped(size: int) -> mmap.mmap:
    """So many bytes of memory that are this process's for as long as they are held, whatever it had before."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for _ in range(size // MIB):
        memory.write(b"x" * MIB)
    return memory


def test_memory_that_comes_after_the_first_clips_counts_as_growth() -> None:
    use = DriverUse()
    early = mapped(32 * MIB)
    use.look(SETTLED - 1)
    assert (use.grown, use.settled) == (0, 0)
    use.look(SETTLED)
    late = mapped(64 * MIB)
    use.look(2 * SETTLED)
    assert len(early) + len(late) == 96 * MIB
    assert 60 * MIB < use.grown < 80 * MIB
    assert use.most == use.settled + use.grown


def test_the_threads_time_is_shared_out_over_the_clips() -> None:
    use = DriverUse()
    use.look(0)
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    use.look(4)
    assert use.thread_s >= 0.02
    assert use.process_s >= 0.02
    assert use.clip_ms == use.thread_s * 250
