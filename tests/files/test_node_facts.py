"""What a node has: what other programs print is read as it is meant, and libraries are found in the runtime's order."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.files.node_facts import (
    LIBRARIES,
    Card,
    find_libraries,
    node_facts,
    parse_cards,
    parse_loader_cache,
    try_disk,
)

MIB = 1 << 20


def test_cards_are_read_as_the_tool_lists_them() -> None:
    listed = (
        "NVIDIA H200, 580.95.05, 143771, 1024, Default\nOdd, name, 560.1, 16384, 0, Exclusive_Process\nnot a card\n"
    )
    assert parse_cards(listed) == (
        Card("NVIDIA H200", "580.95.05", 143771 * MIB, 1024 * MIB, exclusive=False),
        Card("Odd, name", "560.1", 16384 * MIB, 0, exclusive=True),
    )


def test_what_the_tool_does_not_know_counts_nothing() -> None:
    assert parse_cards("A, 580, [N/A], [N/A], [N/A]") == (Card("A", "580", 0, 0, exclusive=False),)
    assert parse_cards("") == ()


def test_of_two_libraries_of_one_name_the_loader_takes_the_first() -> None:
    listed = (
        "2 libs found in cache `/etc/ld.so.cache'\n"
        "\tlibcudnn.so.9 (libc6,x86-64) => /one/libcudnn.so.9\n"
        "\tlibcudnn.so.9 (libc6) => /two/libcudnn.so.9\n"
    )
    assert parse_loader_cache(listed) == {"libcudnn.so.9": "/one/libcudnn.so.9"}


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """The folders that are searched, the first one first, each with a cuDNN of its own."""
    found = [tmp_path / "site" / "nvidia" / "cudnn" / "lib", tmp_path / "named", tmp_path / "system"]
    for number, folder in enumerate(found):
        folder.mkdir(parents=True)
        (folder / f"libcudnn.so.9.{number}.1").touch()
        (folder / "libcudnn.so.9").symlink_to(f"libcudnn.so.9.{number}.1")
    return found


@pytest.mark.parametrize("first", [0, 1, 2])
def test_libraries_are_found_beside_the_runtime_then_where_the_user_says_then_by_the_system(
    places: list[Path], tmp_path: Path, first: int
) -> None:
    for folder in places[:first]:
        (folder / "libcudnn.so.9").unlink()
    cache = {"libcudnn.so.9": str(places[2] / "libcudnn.so.9")}
    found = {one.name: one for one in find_libraries(tmp_path / "site", f":{places[1]}:", cache)}
    assert list(found) == list(LIBRARIES)
    assert found["libcudnn.so.9"].path == str(places[first] / "libcudnn.so.9")
    assert found["libcudnn.so.9"].version == f"9.{first}.1"
    assert found["libcuda.so.1"].path == ""


def test_without_the_runtime_libraries_are_found_all_the_same(places: list[Path]) -> None:
    found = {one.name: one.path for one in find_libraries(None, str(places[1]), {})}
    assert found["libcudnn.so.9"] == str(places[1] / "libcudnn.so.9")


def test_the_disk_is_tried_where_the_folder_would_be_made_and_left_as_it_was(tmp_path: Path) -> None:
    disk = try_disk(str(tmp_path / "not" / "there" / "yet"), seconds=0.02)
    assert disk.folder == str(tmp_path)
    assert disk.files > 0
    assert disk.rate > 0
    assert disk.free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_and_not_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    disk = try_disk(str(tmp_path / "file"), seconds=0.02)
    assert disk.files == 0
    assert "file" in disk.fault
    assert try_disk("s3://bucket/run").fault


def test_this_machine_has_what_it_shows(tmp_path: Path) -> None:
    facts = node_facts(["numpy", "no-such-package-here"], str(tmp_path))
    assert list(facts.packages) == ["numpy"]
    assert facts.memory > 1 << 30
    assert facts.open_files != 0
    assert facts.disk.files > 0
