"""The lock on a run's folder: who has it, how it ends, and what stands for it where there are no locks."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small import ROOT

from actors.core.errors import InputError
from actors.files.run_folder import RunFolder
from jobs.run.folder_lock import LOCK, lock_folder

LOCKING = """
import sys
from actors.files.run_folder import RunFolder
from jobs.run.folder_lock import lock_folder
with lock_folder(RunFolder.at(sys.argv[1]).path) as lock:
    print(lock.mark, flush=True)
    sys.stdin.read()
"""


class OtherProcess:
    """Another process that has the lock until it is told to go."""

    def __init__(self, out: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOCKING, str(out)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.mark = self.process.stdout.readline().strip()

    def end(self, how: signal.Signals | None = None) -> int:
        if how is not None:
            self.process.send_signal(how)
        self.process.communicate(timeout=60)
        return self.process.returncode


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_locking_makes_the_folder_and_shows_a_mark(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    with lock_folder(RunFolder.at(out).path) as lock:
        assert (out / lock.mark).is_file()
        (out / "frame").touch()
    assert names(out) == {"frame"}


def test_a_folder_that_was_made_in_vain_is_taken_away_again(tmp_path: Path) -> None:
    with lock_folder(RunFolder.at(tmp_path / "new").path):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with lock_folder(RunFolder.at(tmp_path / "old").path):
        pass
    assert (tmp_path / "old").is_dir()


def test_the_lock_ends_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), lock_folder(RunFolder.at(tmp_path).path):
        raise RuntimeError("boom")
    assert names(tmp_path) == set()


def test_another_process_cannot_write_there(tmp_path: Path) -> None:
    out = tmp_path / "run"
    other = OtherProcess(out)
    try:
        assert (out / other.mark).is_file()
        before = names(out)
        with (
            pytest.raises(InputError, match="another run is writing there") as caught,
            lock_folder(RunFolder.at(out).path),
        ):
            pytest.fail("two runs have one lock")
        assert caught.value.subject == f"--out {out}"
        assert names(out) == before
    finally:
        assert other.end() == 0
    with lock_folder(RunFolder.at(out).path) as lock:
        assert (out / lock.mark).is_file()


def test_a_run_in_this_process_keeps_others_out(tmp_path: Path) -> None:
    with lock_folder(RunFolder.at(tmp_path).path):
        late = OtherProcess(tmp_path)
        assert late.mark == ""
        assert late.end() == 1


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    assert OtherProcess(tmp_path).end(signal.SIGKILL) == -signal.SIGKILL
    assert LOCK in names(tmp_path)
    with lock_folder(RunFolder.at(tmp_path).path) as lock:
        assert (tmp_path / lock.mark).is_file()


def test_a_refused_run_leaves_no_open_file_behind(tmp_path: Path) -> None:
    with lock_folder(RunFolder.at(tmp_path).path):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with pytest.raises(InputError), lock_folder(RunFolder.at(tmp_path).path):
                pytest.fail("two runs have one lock")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


NO_LOCKS = [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS]


@pytest.fixture
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize("without_locks", NO_LOCKS, indirect=True)
@pytest.mark.usefixtures("without_locks")
def test_without_locks_marks_keep_others_out(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with lock_folder(RunFolder.at(out).path) as lock:
        assert not lock.by_file_system
        assert names(out) == {lock.mark}
        with pytest.raises(InputError, match="has no locks") as caught, lock_folder(RunFolder.at(out).path):
            pytest.fail("two runs have one lock")
        assert lock.mark in caught.value.problem
        assert str(out / lock.mark) in caught.value.fix
        assert names(out) == {lock.mark}
    assert not out.exists()


@pytest.mark.parametrize("without_locks", NO_LOCKS[:1], indirect=True)
@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_mark_of_a_killed_process_of_this_machine_is_no_run(tmp_path: Path) -> None:
    dead = OtherProcess(tmp_path)
    dead.end(signal.SIGKILL)
    (tmp_path / LOCK).unlink()
    assert names(tmp_path) == {dead.mark}
    with lock_folder(RunFolder.at(tmp_path).path):
        pass
    # Elsewhere nobody can look, and what is no process is nobody's.
    for content in (f"elsewhere {dead.process.pid}", "", "\udcff", f"{socket.gethostname()} -1"):
        (tmp_path / dead.mark).write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(InputError, match="has no locks"), lock_folder(RunFolder.at(tmp_path).path):
            pytest.fail("another run may be writing there")
        assert names(tmp_path) == {dead.mark}


@pytest.mark.parametrize("without_locks", [errno.EIO], indirect=True)
@pytest.mark.usefixtures("without_locks")
def test_a_folder_that_cannot_be_locked_is_left_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"), lock_folder(RunFolder.at(tmp_path / "new").path):
        pytest.fail("the lock failed")
    with pytest.raises(InputError, match="cannot be written"), lock_folder(RunFolder.at(tmp_path).path):
        pytest.fail("the lock failed")
    assert names(tmp_path) == set()


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be written") as caught,
        lock_folder(RunFolder.at(tmp_path / "file" / "run").path),
    ):
        pytest.fail("a file holds no folder")
    assert caught.value.subject == f"--out {tmp_path / 'file' / 'run'}"
