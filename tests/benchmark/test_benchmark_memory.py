"""Memory of real process trees: what is shared counts once, what is not counts where it is."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import wait_for

import jobs.benchmark.memory
from jobs.benchmark.memory import Memory, Sampler, anonymous, look, parse_rollup, supported

MIB = 1 << 20

ROLLUP = """55615d5f0000-7ffe0fb1e000 ---p 00000000 00:00 0                          [rollup]
Rss:                1676 kB
Pss:                 289 kB
Pss_Dirty:           116 kB
Pss_Anon:            116 kB
Pss_File:            173 kB
Pss_Shmem:            11 kB
Shared_Clean:       1520 kB
Private_Clean:        40 kB
Private_Dirty:       116 kB
"""

# Maps 64 MiB that are shared, forks, holds 32 MiB in each process, touches all of it and says so.
FAMILY = """
import mmap, os, time
shared = mmap.mmap(-1, 64 << 20)
shared.write(b"x" * (64 << 20))
os.fork()
own = bytearray(os.urandom(1) * (32 << 20))
total = sum(shared[::4096]) + sum(own[::4096])
os.write(1, b"ready\\n")
time.sleep(600)
"""


def test_a_rollup_is_read_in_bytes() -> None:
    assert parse_rollup(ROLLUP, renders=True) == Memory(289 << 10, 11 << 10, 1, 156 << 10, 156 << 10)
    assert parse_rollup(ROLLUP, renders=False) == Memory(289 << 10, 11 << 10, 1, 156 << 10, 0)
    assert parse_rollup("", renders=False) == Memory(0, 0, 1, 0, 0)


sizes = st.integers(0, 99)
moments = st.lists(st.lists(st.builds(Memory, sizes, sizes, st.just(1), sizes, sizes)), min_size=1)


@given(moments)
def test_the_peak_is_the_largest_of_each(seen: list[list[Memory]]) -> None:
    memory = Memory()
    for moment in seen:
        memory = memory.with_moment(moment)
    assert memory.pss == max(sum(process.pss for process in moment) for moment in seen)
    # All three of one moment.
    summed = {(sum(one.pss for one in moment), sum(one.shared for one in moment), len(moment)) for moment in seen}
    assert not memory.pss or (memory.pss, memory.shared, memory.processes) in summed
    assert memory.private == max((process.private for moment in seen for process in moment), default=0)
    assert memory.worker == max((process.worker for moment in seen for process in moment), default=0)


@pytest.mark.skipif(not supported(), reason="this system does not tell proportional set sizes")
def test_shared_memory_of_a_family_counts_once() -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
        root = psutil.Process(parent.pid)
        with Sampler(parent.pid) as sampler:
            family = look(root)
            assert set(family) == {root.pid, *(child.pid for child in root.children())}
            own = [anonymous(pid) for pid in family]
        for process in [*root.children(), root]:
            process.kill()
    seen = sampler.memory
    assert seen is not None
    assert seen.processes == len(family) == 2
    assert not any(process.worker for process in family.values())
    assert all(31 * MIB <= process.shared <= 33 * MIB for process in family.values())
    assert all(32 * MIB <= process.private < 60 * MIB for process in family.values())
    assert 32 * MIB <= seen.private < 60 * MIB
    # The kernel's own count, which leaves out what is shared, and counts what the child still has of its parent.
    assert all(32 * MIB <= held < 60 * MIB for held in own)
    # 64 MiB shared by two, 32 MiB each, and an interpreter or two.
    assert 128 * MIB <= seen.pss < 175 * MIB
    assert 63 * MIB <= seen.shared <= 65 * MIB
    assert seen.worker == 0


# Once it is told to, holds 64 MiB more.
RENDERER = """
import os, sys
sys.stdin.readline()
own = bytearray(os.urandom(1) * (64 << 20))
sys.stdin.readline()
"""


@pytest.mark.skipif(not supported(), reason="this system does not tell proportional set sizes")
def test_a_renderer_that_grows_between_two_looks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.benchmark.memory, "SHARE", 1e-6)
    name = ["ray::Compositor.render", "-c", RENDERER]
    with subprocess.Popen(name, executable=sys.executable, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        with Sampler(process.pid) as sampler:
            wait_for(lambda: sampler.memory and sampler.memory.worker, process)
            process.stdin.write("now\n")
            process.stdin.flush()
            wait_for(lambda: sampler.memory and sampler.memory.worker > 64 * MIB, process)
        process.kill()
    assert sampler.memory is not None
    # Seen between two looks at everything.
    assert sampler.memory.worker > sampler.memory.private


def test_a_process_that_is_gone_at_once_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with Sampler(process.pid) as sampler:
            pass
        assert anonymous(process.pid) == 0
    assert sampler.memory is None
