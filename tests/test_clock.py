"""When a command began: with its process on the command line, with the call everywhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import small
from ray.cluster_utils import Cluster
from small import Result, SmallClip

from jobs.clock import process_start

# What the system's own figure is exact to.
TICK = 1 / os.sysconf("SC_CLK_TCK")

# Keeps the command from importing anything for as long as the first argument says.
LATE = """
import runpy, sys, time
time.sleep(float(sys.argv.pop(1)))
runpy.run_module("jobs", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes share one perf_counter on Linux alone")
def test_a_process_starts_when_it_is_started() -> None:
    program = "from jobs.clock import process_start; print(process_start())"
    environment = {**os.environ, "PYTHONPATH": str(small.ROOT)}
    before = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True) as child:
        after = time.perf_counter()
        said, _ = child.communicate()
    assert before - 2 * TICK <= float(said) <= after + TICK


def test_the_start_is_the_one_that_the_system_names() -> None:
    # The system puts a time of day on it, and that of its boot is in whole seconds.
    ours = time.time() - (time.perf_counter() - process_start())
    assert ours == pytest.approx(psutil.Process().create_time(), abs=1.1)


def test_a_run_counts_from_the_start_of_its_process(
    clip: SmallClip, model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    run = tmp_path / "run"
    asked = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu", "--frames", ":2"]
    command = [sys.executable, "-c", LATE, "1.5", *map(str, asked), "--address", cluster.address]
    environment = {**os.environ, "PYTHONPATH": str(small.ROOT)}
    before = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    took = time.perf_counter() - before
    assert done.returncode == 0, done.stderr
    totals = json.loads((run / "run.json").read_text())["totals"]
    assert totals["cold"]["import_s"] > 1.5
    assert totals["cold"]["import_s"] < totals["seconds"] < took + 2 * TICK
    assert totals["fps_total"] == pytest.approx(2 / totals["seconds"])


def test_a_run_of_a_long_process_counts_from_its_call(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Callable[..., Result]
) -> None:
    run = tmp_path / "run"
    asked = ["composite", clip.folder, "--model", model, "--out", run, "--device", "cpu", "--frames", ":2"]
    before = time.perf_counter()
    assert on_cluster(*asked).code == 0
    assert json.loads((run / "run.json").read_text())["totals"]["seconds"] < time.perf_counter() - before
