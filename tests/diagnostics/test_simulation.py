"""Scheduling without rendering: other workers than those of a run, by the same scheduler and the same loop."""

from __future__ import annotations

import re
from collections.abc import Callable

from small import Result


def test_sleeping_workers_are_given_every_frame(on_cluster: Callable[..., Result]) -> None:
    result = on_cluster("simulate", "--workers", 3, "--latency", 5, "--seconds", 1)
    assert result.code == 0, result.output
    counted = re.search(r"3 workers, 600 frames in (\d+) ranges", result.output)
    assert counted is not None, result.output
    assert 3 <= int(counted[1]) <= 600
    # They cannot be done before the work is, whoever has it.
    linear = re.search(r"([\d.]+)% of linear", result.output)
    assert linear is not None, result.output
    assert 0 < float(linear[1]) <= 100
    times = re.search(r"driver: ([\d.]+) ms .*?, ([\d.]+) ms for the ledger", result.output, re.DOTALL)
    assert times is not None, result.output
    assert all(float(each) > 0 for each in times.groups())


def test_a_batch_of_sleeping_workers_says_what_its_driver_took(on_cluster: Callable[..., Result]) -> None:
    result = on_cluster("simulate", "--clips", 5, "--workers", 2, "--latency", 1)
    assert result.code == 0, result.output
    assert "5 clips of 4 frames, 2 workers, " in result.output
    times = re.search(r"driver: ([\d.]+) ms of CPU per clip.*? in it ([\d.]+) ms", result.output, re.DOTALL)
    assert times is not None, result.output
    assert all(float(each) > 0 for each in times.groups())
    assert re.search(r"driver: \d+ MiB", result.output), result.output
