"""The driver's memory and processor time, on this process itself."""

from __future__ import annotations

import time

from jobs.diagnostics.driver_use import SETTLED, DriverUse

MIB = 1 << 20


def test_memory_that_comes_after_the_first_clips_counts_as_growth() -> None:
    use = DriverUse()
    early = bytearray(b"x") * (32 * MIB)
    use.look(SETTLED - 1)
    assert (use.grown, use.settled) == (0, 0)
    use.look(SETTLED)
    late = bytearray(b"x") * (64 * MIB)
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
