"""What is said of all nodes: what they have in common once, and where they differ each for itself."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import in_process
import pytest
from made_facts import WITH, WITHOUT
from rich.console import Console

from actors.files.node_facts import Disk
from jobs.doctor.examination import Findings, has_errors, judged, print_findings, split
from jobs.doctor.finding import Level, error, ok, warning
from jobs.doctor.packages import Wanted
from jobs.inputs.options import DeviceChoice

NOTHING = Wanted((), {})


def told(findings: Findings) -> str:
    said = io.StringIO()
    print_findings(findings, Console(file=said, width=200, markup=False, highlight=False))
    return said.getvalue()


def test_what_all_nodes_have_in_common_is_told_once_and_the_rest_by_node() -> None:
    one, other = [ok("python", "3.12"), ok("memory", "8 GiB")], [ok("python", "3.12"), warning("memory", "1", "more")]
    shared, differing = split({"a": one, "b": other})
    assert shared == [one[0]]
    assert differing == [("a", one[1]), ("b", other[1])]
    lines = told({"": [ok("cluster", "2 nodes")], "a": one, "b": other})
    assert lines.count("python: 3.12") == 1
    assert "Where nodes differ" in lines
    assert "1 warnings" in lines


def test_alike_nodes_need_no_table() -> None:
    assert "differ" not in told({"": [], "a": [ok("python", "3.12")], "b": [ok("python", "3.12")]})


def test_a_node_that_does_not_answer_is_an_error_beside_the_others() -> None:
    facts = replace(WITHOUT, disk=Disk("/", 2000, 1.0, None, 1 << 40))
    found = judged({"one": facts, "two": "has not answered within 60 s"}, NOTHING, DeviceChoice.AUTO)
    assert [str(line) for line in found["two"]] == [
        "node: has not answered within 60 s; look at it there: mouthpiece doctor"
    ]
    assert "gpu: none, runs on CPUs" in map(str, found["one"])
    assert has_errors({"two": found["two"]})


def test_a_node_with_a_card_needs_the_build_for_it() -> None:
    packages = {"onnxruntime": "1.31.1"}
    found = judged(
        {"cpu": replace(WITHOUT, packages=packages), "gpu": replace(WITH, packages=packages)},
        NOTHING,
        DeviceChoice.AUTO,
    )
    runtime = {node: next(one for one in some if one.subject == "onnx runtime") for node, some in found.items()}
    assert (runtime["cpu"].level, runtime["gpu"].level) == (Level.OK, Level.ERROR)


def test_warnings_are_no_errors() -> None:
    assert not has_errors({"": [ok("a", "b"), warning("c", "d", "e")]})
    assert has_errors({"": [ok("a", "b")], "node": [error("c", "d", "e")]})


def test_the_command_says_one_line_for_each_thing(tmp_path: Path) -> None:
    done = in_process.command("doctor", "--json", "--device", "cpu", "--out", tmp_path / "run")
    lines = [json.loads(line) for line in done.output.splitlines()]
    subjects = [line["subject"] for line in lines]
    assert len(subjects) == len(set(subjects))
    assert {"python", "onnx runtime", "gpu", "disk speed", "open files", "token", "ports", "face networks"} <= set(
        subjects
    )
    assert all(line["fix"] for line in lines if line["level"] != "ok")
    assert done.code == any(line["level"] == "error" for line in lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--address", "nonsense"), ("--device", "tpu")])
def test_wrong_usage_is_no_finding(arguments: tuple[str, str]) -> None:
    assert in_process.command("doctor", *arguments).code == 2
