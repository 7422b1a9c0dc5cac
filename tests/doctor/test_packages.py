"""Packages against what is needed and what all was tested with."""

from __future__ import annotations

import sys

import pytest

from jobs.doctor.finding import Level
from jobs.doctor.packages import Wanted, check_faces, check_packages, parse_pins, parse_requirements, read_wanted

WANTED = Wanted(
    parse_requirements(
        [
            "ray[default]>=2.60,<3",
            "PyAV_like>=18",
            "onnxruntime-gpu>=1.31; sys_platform == 'linux'",
            "onnxruntime>=1.31; sys_platform != 'linux'",
            "notebook>=1; extra == 'dev'",
        ]
    ),
    parse_pins("ray==2.60.0\npyav-like == 18.1\n# words\nonnxruntime-gpu==1.31.1\nonnxruntime==1.31.1\n"),
)
RIGHT = {"ray": "2.60.0", "PyAV_like": "18.1", "onnxruntime-gpu": "1.31.1"}


def levels(installed: dict[str, str], *, python: str = "3.12.1", cuda: bool = False) -> dict[str, Level]:
    return {one.subject: one.level for one in check_packages(python, installed, WANTED, cuda=cuda)}


def test_everything_at_its_pinned_version_is_one_line() -> None:
    found = check_packages("3.12.1", RIGHT, WANTED, cuda=True)
    assert [str(one) for one in found] == [
        "python: 3.12.1",
        "packages: 2 of 2 at their pinned versions",
        "onnx runtime: onnxruntime-gpu 1.31.1",
    ]


@pytest.mark.parametrize(
    ("version", "level"),
    [(None, Level.ERROR), ("2.59.1", Level.ERROR), ("3.0.0", Level.ERROR), ("2.61.0", Level.WARNING)],
)
def test_a_package_that_is_missing_or_wrong_is_an_error_and_another_version_a_warning(
    version: str | None, level: Level
) -> None:
    installed = {**RIGHT, "ray": version} if version else {name: RIGHT[name] for name in RIGHT if name != "ray"}
    assert levels(installed)["ray"] is level
    assert [one.fix for one in check_packages("3.12.1", installed, WANTED, cuda=False) if one.subject == "ray"] != [""]


def test_two_builds_of_the_runtime_are_an_error_on_every_machine() -> None:
    both = {**RIGHT, "onnxruntime": "1.31.1"}
    found = {one.subject: one for one in check_packages("3.12.1", both, WANTED, cuda=False)}
    assert found["onnx runtime"].level is Level.ERROR
    assert "uninstall both" in found["onnx runtime"].fix


def test_the_build_without_cuda_will_do_on_cpus_alone() -> None:
    alone = {"ray": "2.60.0", "PyAV_like": "18.1", "onnxruntime": "1.31.1"}
    assert levels(alone)["onnx runtime"] is Level.OK
    assert levels(alone, cuda=True)["onnx runtime"] is Level.ERROR
    del alone["onnxruntime"]
    assert levels(alone)["onnx runtime"] is Level.ERROR


def test_an_old_runtime_and_an_old_python_are_errors() -> None:
    old = levels({**RIGHT, "onnxruntime-gpu": "1.20.0"}, python="3.10.14")
    assert old["onnx runtime"] is Level.ERROR
    assert old["python"] is Level.ERROR


def test_the_program_knows_what_it_needs_and_this_environment_has_it() -> None:
    wanted = read_wanted()
    assert {"ray", "numpy"} <= set(wanted.names)
    assert {"ray", "numpy"} <= set(wanted.pinned)
    assert all(
        one.marker is None or "linux" in str(one.marker) for one in wanted.requirements if sys.platform == "linux"
    )


def test_networks_that_find_faces_are_missed_by_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.faces.weights.MODULE", "no_such_module_here")
    found = check_faces()
    assert found.level is Level.WARNING
    assert "pip install" in found.fix
