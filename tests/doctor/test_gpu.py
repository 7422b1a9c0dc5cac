"""The GPU: nothing is missed on a machine without one, and each lack has its line where one is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_facts import CARD, FOUND, WITH, WITHOUT

from actors.files.node_facts import LIBRARIES, Library
from jobs.doctor.finding import Finding, Level
from jobs.doctor.gpu import check_cards, check_gpu, check_libraries
from jobs.inputs.options import DeviceChoice

GIB = 1 << 30


def levels(found: list[Finding]) -> dict[str, Level]:
    return {one.subject: one.level for one in found}


def test_a_machine_without_a_gpu_runs_on_cpus_unless_cuda_is_asked_for() -> None:
    assert [str(one) for one in check_gpu(WITHOUT, DeviceChoice.AUTO)] == ["gpu: none, runs on CPUs"]
    asked = check_gpu(WITHOUT, DeviceChoice.CUDA)
    assert levels(asked) == {"gpu driver": Level.ERROR, "gpu libraries": Level.ERROR}
    assert all(one.fix for one in asked)


def test_a_gpu_is_not_looked_at_where_cpus_are_asked_for() -> None:
    assert levels(check_gpu(replace(WITH, libraries=WITHOUT.libraries), DeviceChoice.CPU)) == {"gpu": Level.OK}


@pytest.mark.parametrize("device", [DeviceChoice.AUTO, DeviceChoice.CUDA])
def test_a_whole_gpu_is_well(device: DeviceChoice) -> None:
    found = check_gpu(WITH, device)
    assert set(levels(found).values()) == {Level.OK}
    assert [one.subject for one in found] == ["gpu driver", "gpu 0", "gpu mps", "gpu libraries"]


def test_an_old_driver_and_one_that_lists_no_card_are_errors() -> None:
    old = replace(WITH, cards=(replace(CARD, driver="550.12"),))
    assert levels(check_gpu(old, DeviceChoice.AUTO))["gpu driver"] is Level.ERROR
    assert levels(check_gpu(replace(WITH, cards=()), DeviceChoice.AUTO))["gpu driver"] is Level.ERROR


def test_a_card_that_others_use_is_a_warning_and_one_for_a_single_process_an_error() -> None:
    taken, alone = replace(CARD, taken=100 * GIB), replace(CARD, exclusive=True)
    found = levels(check_cards([CARD, taken, alone], mps=False))
    assert [found[f"gpu {index}"] for index in range(3)] == [Level.OK, Level.WARNING, Level.ERROR]
    assert levels(check_cards([alone], mps=True))["gpu 0"] is Level.OK


def test_each_library_is_told_with_its_version_and_folder() -> None:
    told = check_libraries(FOUND)
    assert told.level is Level.OK
    assert all(f"{name} (13.0.1)" in told.text for name in LIBRARIES)
    assert "in /site/nvidia" in told.text


@pytest.mark.parametrize(
    ("lacking", "level"),
    [("libcudnn.so.9", Level.ERROR), ("libnvrtc.so.13", Level.WARNING), ("libcuda.so.1", Level.ERROR)],
)
def test_a_library_that_is_missing_is_named_with_its_fix(lacking: str, level: Level) -> None:
    told = check_libraries([one if one.name != lacking else Library(lacking) for one in FOUND])
    assert told.level is level
    assert lacking in told.text
    # No package of the registry has the driver's own.
    assert ("pip install" in told.fix) is (lacking != "libcuda.so.1")
