"""Files through one layer: whole or not at all, and named the same for paths and addresses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from actors.files import storage
from actors.files.storage import StoragePath

ROOT = Path(__file__).parents[2]


def test_names_are_joined_alike_for_paths_and_addresses() -> None:
    assert storage.join("/run", "frames", "a.png") == "/run/frames/a.png"
    assert storage.join("/run/", "frames") == "/run/frames"
    assert storage.join("s3://bucket/run", "frames", "a.png") == "s3://bucket/run/frames/a.png"


def test_paths_become_absolute_and_addresses_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert storage.resolve("run/../out") == str(tmp_path / "out")
    assert storage.resolve("~/run") == str(tmp_path / "home" / "run")
    assert storage.resolve("s3://bucket/run/../x") == "s3://bucket/run/../x"
    assert storage.is_local("/run")
    assert not storage.is_local("gs://bucket/run")


def test_entries(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"12345")
    (tmp_path / "a").mkdir()
    (tmp_path / ".hidden").touch()
    found = storage.children(str(tmp_path))
    assert [(entry.name, entry.is_folder, entry.size) for entry in found] == [
        (".hidden", False, 0),
        ("a", True, 0),
        ("b.txt", False, 5),
    ]
    assert found[2] == storage.entry(str(tmp_path / "b.txt"))
    assert storage.entry(str(tmp_path / "c")) is None
    assert storage.children(str(tmp_path / "c")) == []


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "b.txt"
    file.touch()
    assert (storage.is_file(str(file)), storage.is_folder(str(file))) == (True, False)
    assert (storage.is_file(str(tmp_path)), storage.is_folder(str(tmp_path))) == (False, True)
    missing = str(tmp_path / "no")
    assert (storage.is_file(missing), storage.is_folder(missing)) == (False, False)


@given(st.binary(max_size=3000))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("written")
    path = str(folder / "ein schönes Bild 1.png")
    storage.write_atomic(path, memoryview(content))
    assert storage.read_bytes(path) == content
    storage.write_atomic(path, content[::-1])
    assert storage.read_bytes(path) == content[::-1]
    assert len(list(folder.iterdir())) == 1


def test_input_is_seekable(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(100)))
    with storage.open_input(str(path)) as file:
        file.seek(90)
        assert file.read(5) == bytes(range(90, 95))
        file.seek(0)
        assert file.read(2) == b"\x00\x01"


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.open_input(str(tmp_path / "no.bin"))
    with pytest.raises(OSError, match="no"):
        storage.read_bytes(str(tmp_path / "no" / "no.bin"))


def test_a_local_address_names_the_same_files(tmp_path: Path) -> None:
    """The way that remote storage takes, without a network."""
    uri = f"file://{tmp_path}"
    assert not storage.is_local(uri)
    folder = storage.join(uri, "a", "b")
    storage.make_folder(folder)
    path = storage.join(folder, "c.bin")
    storage.write_atomic(path, b"content")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"content"
    assert [entry.path for entry in storage.children(folder)] == [path]
    storage.remove_folder(storage.join(uri, "a"))
    assert list(tmp_path.iterdir()) == []


def test_making_and_removing_is_fine_twice(tmp_path: Path) -> None:
    folder = str(tmp_path / "a" / "b")
    for _ in range(2):
        storage.make_folder(folder)
    assert (tmp_path / "a" / "b").is_dir()
    path = storage.join(folder, "c")
    storage.write_atomic(path, b"")
    for _ in range(2):
        storage.remove_file(path)
    assert not storage.is_file(path)
    for _ in range(2):
        storage.remove_folder(folder)
    assert not (tmp_path / "a" / "b").exists()


def test_a_finished_file_is_placed_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "out" / "video.mp4"
    target.parent.mkdir()
    source.write_bytes(b"new" * 1000)
    target.write_bytes(b"old")
    storage.place_file(source, str(target))
    assert target.read_bytes() == b"new" * 1000
    assert source.exists()
    assert [path.name for path in target.parent.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize("address", ["local", "remote"])
def test_a_file_that_is_written_in_parts_is_seen_whole(tmp_path: Path, address: str) -> None:
    system = fs.LocalFileSystem()
    # A part of a file system is handled as a store that is not here.
    there = StoragePath("memory://a", fs.SubTreeFileSystem(str(tmp_path), system), "a")
    path = there if address == "remote" else str(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"old")
    with storage.written_in_parts(path) as file:
        file.write(b"new ")
        file.write(b"content")
        assert (tmp_path / "a").read_bytes() == b"old"
        file.seek(0)
        assert file.read() == b"new content"
    assert (tmp_path / "a").read_bytes() == b"new content"
    with pytest.raises(ZeroDivisionError), storage.written_in_parts(path) as file:
        file.write(b"half" * (1 // 0))
    assert (tmp_path / "a").read_bytes() == b"new content"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-folder"):
        storage.write_atomic(str(tmp_path / "no-folder" / "a.png"), b"x")
    # The final name is a folder: everything goes well until the last step.
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        storage.write_atomic(str(tmp_path / "a.png"), b"x")
    with pytest.raises(OSError, match=r"a\.png"):
        storage.place_file(Path(__file__), str(tmp_path / "a.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert list((tmp_path / "a.png").iterdir()) == []


def under_a_limit(script: str, *arguments: Path) -> str:
    """Runs code in a process whose files cannot grow beyond 64 KiB, as on a full disk; what it prints."""
    limit = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from actors.files import storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
    )
    command = [sys.executable, "-c", limit + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WRITE = """
try:
    storage.write_atomic(sys.argv[1], b"x" * 100_000)
except OSError as error:
    print(error.errno)
"""

PLACE = """
try:
    storage.place_file(Path(sys.argv[2]), sys.argv[1])
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("before", [None, b"the frame of an earlier run"])
@pytest.mark.parametrize("script", [WRITE, PLACE], ids=["write", "place"])
def test_a_disk_that_is_full_leaves_nothing_but_what_was_there(
    tmp_path: Path, script: str, before: bytes | None
) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(b"x" * 100_000)
    out = tmp_path / "out"
    out.mkdir()
    target = out / "frame_000001.png"
    if before is not None:
        target.write_bytes(before)
    assert under_a_limit(script, target, big) == str(27)  # EFBIG
    assert [path.read_bytes() for path in out.iterdir()] == ([] if before is None else [before])


def test_two_processes_that_write_one_name_leave_one_whole_file(tmp_path: Path) -> None:
    """A range that is given out again may still be written by the worker that was taken for dead."""
    target = tmp_path / "frame_000001.png"
    script = (
        "import sys\nfrom actors.files import storage\n"
        "for _ in range(60):\n    storage.write_atomic(sys.argv[1], sys.argv[2].encode() * 20_000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(target), letter], cwd=ROOT) for letter in ("a", "b")]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if target.exists():
            seen.add(target.read_bytes())
    assert [writer.returncode for writer in writers] == [0, 0]
    seen.add(target.read_bytes())
    assert seen <= {b"a" * 20_000, b"b" * 20_000}
    assert [path.name for path in tmp_path.iterdir()] == ["frame_000001.png"]
