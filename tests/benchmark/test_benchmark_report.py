"""What is written down: documented keys, tables that say what is wrong, rows for pandas."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import benched
import pandas as pd
import pytest
from rich.console import Console

import jobs.benchmark
from actors.core.choices import Device
from jobs.benchmark.benchmark_file import Report
from jobs.benchmark.machine import Machine, cpu_model, quota_cores, this_machine, usable_cores
from jobs.benchmark.many_clips import ClipsTrial, Run
from jobs.benchmark.matrix import Output, Regime, System
from jobs.benchmark.memory import Memory
from jobs.benchmark.settings import Setting
from jobs.benchmark.tables import markdown, number, print_report, write_report

MIB = 1 << 20


@pytest.fixture
def report() -> Report:
    machine = Machine("Test CPU 9000", 2, 24.0, None, {"python": "3.11.7", "ray": "2.60.0"})
    made = Report("2026-11-23", "python -m jobs benchmark --out OUT", machine, Device.CPU, 3.0)
    made.clip = {"name": "walker", "backgrounds": 20, "width": 192, "height": 160}
    made.networks = {Regime.LIGHT: {"name": "a 1x1 convolution", "batch": None, "precision": "fp32"}}
    seen = [Memory(size * MIB, 100 * MIB, 12, 200 * MIB, 200 * MIB) for size in (600, 700)]
    made.trials = [
        *(benched.trial(rate, memory=memory) for rate, memory in zip((130, 140, 120), (*seen, None), strict=True)),
        *benched.trials(System.PLAIN_LOOP, 100, 110, 90),
        *benched.trials(System.RAY_DATA, 50, None, 55),
        *benched.trials(System.BARE, 1000, 1100, 900),
        *benched.trials(System.OURS, 15, 14, 16, output=Output.PNG),
    ]
    made.sweep = benched.trials(System.BARE, 900, 1000)
    made.workers_batch = [benched.trial(rate, setting=Setting(2, 1, batch)) for batch, rate in ((1, 99.5), (2, 120.0))]
    made.long_run = [benched.trial(rate, frames=frames) for frames, rate in ((1000, 90), (10_000, 91), (1000, 92))]
    made.complete = True
    made.took_s = 571
    return made


def documented() -> set[str]:
    return set(re.findall(r"^    ``(\w+)``", jobs.benchmark.__doc__ or "", re.MULTILINE))


def test_every_key_is_documented_and_there(report: Report) -> None:
    assert set(report.as_record()) == documented()


def test_files_hold_the_figures(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    record = json.loads((tmp_path / "benchmark.json").read_text())
    figures = {(result["system"], result["format"]): result for result in record["results"]}
    assert figures["ours", "jpg"]["fps"] == pytest.approx({"median": 130, "low": 120, "high": 140, "count": 3})
    assert figures["ray_data", "jpg"]["fps"] is None
    assert figures["ray_data", "jpg"]["fault"] == "was wrong"
    headline = {(line["over"], line["format"]): line for line in record["headline"]}
    assert headline["plain_loop", "jpg"] == {
        "regime": "light",
        "format": "jpg",
        "system": "ours",
        "over": "plain_loop",
        "ratio": pytest.approx(1.3),
        "goal": 1.2,
        "met": True,
    }
    assert ("ray_data", "jpg") not in headline
    assert [run["frames"] for run in record["long_run"]] == [1000, 10_000, 1000]
    assert (tmp_path / "benchmark.md").read_text() == markdown(report)
    assert {path.name for path in tmp_path.iterdir()} == {"benchmark.json", "benchmark.md"}

    # Rows for pandas.
    table = pd.json_normalize(record["trials"])
    assert len(table) == len(report.trials)
    assert table["fps"].isna().sum() == 1
    assert table["cold.ray_s"].iloc[0] == 4
    assert table["memory.pss"].max() == 1 << 30
    assert set(table["frames_checked"]) == {24}


def test_tables_say_where_from_what_is_met_and_what_is_wrong(report: Report) -> None:
    text = markdown(report)
    assert "`python -m jobs benchmark --out OUT`, 2026-11-23, on 2 cores of Test CPU 9000, 24 GiB, no GPU" in text
    assert "| Mouthpiece | 130 (120-140) | 15.0 (14.0-16.0) |" in text
    assert "| bare network | 1,000 (900-1,100) | 1,000 (900-1,100) |" in text
    assert "| Ray Data | no figure |  |" in text
    assert "No figure for ray_data (light, jpg): was wrong." in text
    assert "| plain loop per core | 1.30 (goal 1.2: met) |  |" in text
    assert "| Mouthpiece | light jpg | 700 | 100 | 200 | 12 |" in text
    assert "| Mouthpiece, light, workers 2 | 99.5 | 120 |" in text
    assert "| 1,000 | 91.0 (90.0-92.0) | 128 | 1,024 |" in text
    assert "| 10,000 | 91.0 | 128 | 1,024 |" in text
    assert "| ray | 4.00 s | 4.00 s |" in text
    assert "| object store | 4 MiB | 4 MiB |" in text
    assert "It took 9.5 minutes." in text
    assert "Interrupted" not in text
    for line in text.splitlines():
        assert line.count("|") == 0 or line.startswith("| ")


def test_a_face_encoder_that_ran_ahead_is_told(report: Report) -> None:
    assert "face encoder" not in markdown(report)
    report.clip["backgrounds"] = 25
    report.trials.append(benched.trial(100, frames=80, faces=True))
    assert "Mouthpiece ran its face encoder once per background; each was shown 3.2 times or more." in markdown(report)


def test_the_terminal_shows_the_same(report: Report) -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    print_report(report, console)
    text = console.export_text()
    for words in ("Mouthpiece", "130 (120-140)", "goal 1.2: met", "No figure for ray_data", "on 2 cores of"):
        assert words in text


def test_many_clips_have_a_table_of_their_own(report: Report) -> None:
    assert "in one command" not in markdown(report)
    report.many_clips = [
        *(ClipsTrial(Regime.LIGHT, Run.ONE, i, 40, 2000, seconds, 9.0, 4.0) for i, seconds in enumerate((2.0, 2.5))),
        *(ClipsTrial(Regime.LIGHT, Run.FEATURES, i, 40, 2000, 2.5, 20.0, 4.0, gap) for i, gap in enumerate((3.0, 5.0))),
        ClipsTrial(Regime.LIGHT, Run.LOOP, 0, 4, 200, 0.4, 36.0),
        ClipsTrial(Regime.HEAVY, Run.FEATURES, 0, 40, fault="ended with 2: x"),
    ]
    text = markdown(report)
    assert "**40 clips of 2 s in one command, jpg (the loop: 4 of them by `composite`)**" in text
    assert (
        "| light, fps: feature files over one clip | 800 (800-800) | 900 (800-1,000) | 0.89 (goal 0.75: met) |" in text
    )
    assert "| light, s a clip: feature files over the loop | 0.50 (0.50-0.50) | 9.00 | 18.00 (goal 15: met) |" in text
    assert "| light: ms between two clips | 4.00 (3.00-5.00) |  | (goal below 20: met) |" in text
    assert "No figure for feature files (heavy): ended with 2: x." in text
    record = report.as_record()
    assert [row["over"] for row in record["many_clips"]] == ["one", "loop", None]
    assert len(record["clips_trials"]) == 6


def test_an_interrupted_benchmark_says_so(report: Report) -> None:
    report.complete = False
    assert "Interrupted" in markdown(report)
    empty = Report(report.date, report.command, report.machine, Device.CPU, 3.0)
    assert "Interrupted" in markdown(empty)
    assert set(empty.as_record()) == documented()


def test_wrong_systems_are_faults(report: Report) -> None:
    assert report.faults == ["ray_data (light, jpg): was wrong"]
    report.workers_batch.append(benched.trial(None, setting=Setting(2, 1, 8), fault="was killed"))
    report.long_run.append(benched.trial(None, frames=10_000, fault="was slow"))
    assert [fault.rpartition(": ")[2] for fault in report.faults] == ["was wrong", "was killed", "was slow"]
    assert "batch 8" in report.faults[1]
    assert "10000 frames" in report.faults[2]


def test_a_long_run_that_failed_once_has_no_rate(report: Report) -> None:
    # A system that fails once is not to be trusted.
    report.long_run.append(benched.trial(None, frames=1000))
    assert "| 1,000 |  | 128 | 1,024 |" in markdown(report)


def test_starts_are_medians_of_the_trials_that_went_well(report: Report) -> None:
    report.trials = [
        benched.trial(rate, cold={"ray_s": start}) for rate, start in ((1, 1.0), (1, 2.0), (1, 4.0), (None, 9.0))
    ]
    assert "| ray | 2.00 s |" in markdown(report)
    report.trials = [benched.trial(None)]
    assert "Start-up" not in markdown(report)


def test_where_memory_is_not_told_its_table_is_missing(report: Report) -> None:
    assert "Memory is left out" not in markdown(report)
    report.trials = [benched.trial(100, memory=None)]
    assert "Memory is left out: this system does not tell proportional set sizes." in markdown(report)
    assert "Peak memory" not in markdown(report)


@pytest.mark.parametrize(("value", "text"), [(0.974, "0.97"), (13.96, "14.0"), (1234.6, "1,235"), (99.96, "100.0")])
def test_numbers_have_three_figures(value: float, text: str) -> None:
    assert number(value) == text


def test_the_machine_is_named_without_its_owner() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cores == usable_cores() >= 1
    assert machine.memory_gib > 0
    assert {"python", "ray", "numpy"} <= machine.versions.keys()


def test_the_processor_is_found_in_cpuinfo() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: Test  CPU 9000\nflags\t: a b\n") == "Test CPU 9000"
    assert cpu_model("Features: fp asimd\n") == ""


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000\n", 2), ("250000 100000", 2), ("50000 100000", 1), ("max 100000", sys.maxsize), ("", sys.maxsize)],
)
def test_a_containers_share_of_processor_time_counts_as_cores(quota: str, cores: int) -> None:
    assert quota_cores(quota) == cores
