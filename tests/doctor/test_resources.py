"""Memory, disk and limits: where a machine is told that it will do, and where not."""

from __future__ import annotations

import pytest

from actors.files.node_facts import Disk
from jobs.doctor.finding import Level
from jobs.doctor.resources import check_disk, check_memory, check_open_files

GIB = 1 << 30
FAST = Disk("/run", files=2000, seconds=1.0, inodes=None, free=500 * GIB)


@pytest.mark.parametrize(
    ("shared", "level"), [(None, Level.WARNING), (64 << 20, Level.WARNING), (2 * GIB, Level.OK), (24 * GIB, Level.OK)]
)
def test_little_shared_memory_is_a_warning(shared: int | None, level: Level) -> None:
    found = check_memory(32 * GIB, shared)
    assert [one.level for one in found] == [Level.OK, level]
    assert bool(found[1].fix) is (level is not Level.OK)


@pytest.mark.parametrize(
    ("disk", "speed", "room"),
    [
        (FAST, Level.OK, Level.OK),
        (Disk("/run", 100, 1.0, None, 500 * GIB), Level.WARNING, Level.OK),
        (Disk("/run", 2000, 1.0, 1000, 500 * GIB), Level.OK, Level.WARNING),
        (Disk("/run", 2000, 1.0, 10**6, 5 * GIB), Level.OK, Level.WARNING),
    ],
)
def test_a_disk_is_judged_by_speed_and_by_room(disk: Disk, speed: Level, room: Level) -> None:
    assert [one.level for one in check_disk(disk)] == [speed, room]


def test_the_speed_is_told_in_files_and_in_megabytes() -> None:
    assert str(check_disk(FAST)[0]) == "disk speed: /run: 2,000 files of 150 KB a second (300 MB/s)"


def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    (found,) = check_disk(Disk("/run", fault="Permission denied"))
    assert found.level is Level.ERROR
    assert "Permission denied" in found.text


@pytest.mark.parametrize(
    ("most", "level"), [(256, Level.ERROR), (1024, Level.WARNING), (20_000, Level.OK), (-1, Level.OK)]
)
def test_few_open_files_are_told(most: int, level: Level) -> None:
    assert check_open_files(most).level is level
