"""The run's folder: whose it is, who holds it, and what starting over removes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from made_run import record

from actors.core.errors import InputError
from actors.files import storage
from jobs.cluster import connection
from jobs.run.folder import LOCK, clear, held, holds_run, make_folders, resolve_out
from jobs.run.record import VERSION, read_run_record
from jobs.run.record_file import write_record

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from jobs.run.folder import held
with held(sys.argv[1]) as hold:
    print(hold.token, flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds a folder until it is told to go."""

    def __init__(self, out: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(out)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.token = self.process.stdout.readline().strip()

    def end(self, how: signal.Signals | None = None) -> int:
        if how is not None:
            self.process.send_signal(how)
        self.process.communicate(timeout=60)
        return self.process.returncode


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_run(out: Path) -> None:
    """A folder as a finished run leaves it."""
    make_folders(str(out), frames=True, segments=True)
    write_record(str(out), record(1, identity={"model": "abc", "loop": "bounce"}))
    for name in ("frames/frame_000000.png", "segments/000000000-000000001.mp4", "timings/000000000-000000001.parquet"):
        (out / name).write_bytes(b"x")
    (out / "video.mp4").write_bytes(b"x")


def test_a_new_an_empty_and_a_locked_folder_hold_no_run(tmp_path: Path) -> None:
    assert not holds_run(str(tmp_path / "new"))
    assert not holds_run(str(tmp_path))
    (tmp_path / LOCK).touch()
    assert not holds_run(str(tmp_path))


def test_an_earlier_run_is_recognised(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert holds_run(str(tmp_path))
    before = read_run_record(str(tmp_path))
    assert before is not None
    assert before.identity == {"model": "abc", "loop": "bounce"}


def refusal(out: Path) -> InputError:
    def look() -> None:
        assert holds_run(str(out))
        read_run_record(str(out))

    with pytest.raises(InputError) as caught:
        look()
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "holds no run" in refusal(tmp_path).problem
    assert names(tmp_path) == {"thesis.tex"}


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()
    assert refusal(path).problem == "is a file"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        '{"version": 0, "identity": {}}',
        '{"version": 1}',
        '{"version": 1, "identity": []}',
        "\x00\x01",
    ],
)
def test_a_run_json_that_is_not_ours_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    error = refusal(tmp_path)
    assert error.subject == str(tmp_path / "run.json")
    assert "--out" in error.fix


def test_the_record_has_a_version(tmp_path: Path) -> None:
    write_record(str(tmp_path), {"identity": {}, "name": "Übung"})
    assert json.loads((tmp_path / "run.json").read_text()) == {"version": VERSION, "identity": {}, "name": "Übung"}


def test_a_driver_that_was_killed_before_its_first_record_can_be_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / ".driver-0123456789ab").touch()
    assert not holds_run(str(tmp_path))


def test_holding_makes_the_folder_and_shows_a_token(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    with held(str(out)) as hold:
        assert (out / hold.token).is_file()
        (out / "frame").touch()
    assert names(out) == {"frame"}


def test_a_folder_that_was_made_in_vain_is_taken_away_again(tmp_path: Path) -> None:
    with held(str(tmp_path / "new")):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with held(str(tmp_path / "old")):
        pass
    assert (tmp_path / "old").is_dir()


def test_holding_ends_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), held(str(tmp_path)):
        raise RuntimeError("boom")
    assert names(tmp_path) == set()


def test_another_process_cannot_write_there(tmp_path: Path) -> None:
    out = tmp_path / "run"
    holder = Holder(out)
    try:
        assert (out / holder.token).is_file()
        before = names(out)
        with pytest.raises(InputError, match="another run is writing there") as caught, held(str(out)):
            pytest.fail("two runs hold one folder")
        assert caught.value.subject == f"--out {out}"
        assert names(out) == before
    finally:
        assert holder.end() == 0
    with held(str(out)) as hold:
        assert (out / hold.token).is_file()


def test_a_run_in_this_process_keeps_others_out(tmp_path: Path) -> None:
    with held(str(tmp_path)):
        late = Holder(tmp_path)
        assert late.token == ""
        assert late.end() == 1


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    assert Holder(tmp_path).end(signal.SIGKILL) == -signal.SIGKILL
    assert LOCK in names(tmp_path)
    with held(str(tmp_path)) as hold:
        assert (tmp_path / hold.token).is_file()


def test_a_refused_run_leaves_no_open_file_behind(tmp_path: Path) -> None:
    with held(str(tmp_path)):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with pytest.raises(InputError), held(str(tmp_path)):
                pytest.fail("two runs hold one folder")
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
    with held(str(out)) as hold:
        assert not hold.locked
        assert names(out) == {hold.token}
        with pytest.raises(InputError, match="has no locks") as caught, held(str(out)):
            pytest.fail("two runs hold one folder")
        assert hold.token in caught.value.problem
        assert str(out / hold.token) in caught.value.fix
        assert names(out) == {hold.token}
    assert not out.exists()


@pytest.mark.parametrize("without_locks", NO_LOCKS[:1], indirect=True)
@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_mark_of_a_killed_process_of_this_machine_is_no_run(tmp_path: Path) -> None:
    dead = Holder(tmp_path)
    dead.end(signal.SIGKILL)
    (tmp_path / LOCK).unlink()
    assert names(tmp_path) == {dead.token}
    with held(str(tmp_path)):
        pass
    # Elsewhere nobody can look, and what is no process is nobody's.
    for content in (f"elsewhere {dead.process.pid}", "", "\udcff", f"{socket.gethostname()} -1"):
        (tmp_path / dead.token).write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(InputError, match="has no locks"), held(str(tmp_path)):
            pytest.fail("another run may be writing there")
        assert names(tmp_path) == {dead.token}


@pytest.mark.parametrize("without_locks", [errno.EIO], indirect=True)
@pytest.mark.usefixtures("without_locks")
def test_a_folder_that_cannot_be_held_is_left_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"), held(str(tmp_path / "new")):
        pytest.fail("the lock failed")
    with pytest.raises(InputError, match="cannot be written"), held(str(tmp_path)):
        pytest.fail("the lock failed")
    assert names(tmp_path) == set()


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written") as caught, held(str(tmp_path / "file" / "run")):
        pytest.fail("a file holds no folder")
    assert caught.value.subject == f"--out {tmp_path / 'file' / 'run'}"


def test_starting_over_removes_the_run_and_leaves_the_rest(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "frame_000000.png").write_bytes(b"mine")
    clear(str(tmp_path))
    assert names(tmp_path) == {"notes.txt", "stills"}
    assert (tmp_path / "stills" / "frame_000000.png").read_bytes() == b"mine"
    clear(str(tmp_path))


def test_starting_over_leaves_what_a_user_put_among_the_frames(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "frames" / "best-take.psd").write_bytes(b"mine")
    clear(str(tmp_path))
    assert (tmp_path / "frames" / "best-take.psd").read_bytes() == b"mine"
    assert names(tmp_path / "frames") == {"best-take.psd"}


@pytest.mark.parametrize(("frames", "segments"), [(True, True), (True, False), (False, True), (False, False)])
def test_only_the_folders_that_are_used_are_made(tmp_path: Path, frames: bool, segments: bool) -> None:
    for _ in range(2):
        make_folders(str(tmp_path), frames=frames, segments=segments)
    assert names(tmp_path) == {"timings"} | ({"frames"} if frames else set()) | ({"segments"} if segments else set())


def test_a_relative_out_is_fine_outside_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(connection.JOB_MARK, raising=False)
    monkeypatch.chdir(tmp_path)
    assert resolve_out("run", {}) == str(tmp_path / "run")


@pytest.mark.parametrize("out", ["run", "./run", "../run"])
def test_a_relative_out_is_refused_inside_of_a_job(monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.setenv(connection.JOB_MARK, "{}")
    with pytest.raises(InputError) as caught:
        resolve_out(out, {})
    assert caught.value.subject == f"--out {out}"
    assert "temporary copy" in caught.value.problem
    assert "absolute path" in caught.value.fix


def test_rays_copy_of_the_working_directory_is_refused_even_if_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(connection.JOB_MARK, "{}")
    with pytest.raises(InputError, match="temporary copy"):
        resolve_out(str(tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_0a1b" / "run"), {})
    assert resolve_out(str(tmp_path / "run"), {}) == str(tmp_path / "run")
    assert resolve_out("s3://bucket/run", {}) == "s3://bucket/run"
    assert storage.is_local(str(tmp_path))


@pytest.mark.parametrize("flag", ["", "--audio"])
@pytest.mark.parametrize("name", ["frames", "frames/frame_000000.png", "video.mp4", "features/a.npy", "run.json", "."])
def test_what_a_run_writes_is_no_input_of_it(tmp_path: Path, flag: str, name: str) -> None:
    (tmp_path / "other").symlink_to(tmp_path / "run")
    for run in ("run", "other"):
        with pytest.raises(InputError) as caught:
            resolve_out(str(tmp_path / "run"), {"--model": "m.onnx", flag: str(tmp_path / run / name)})
        assert caught.value.subject == f"{flag} {tmp_path / run / name}".strip()
    for apart in ("run/clip", "run.mp4", "frames"):
        assert resolve_out(str(tmp_path / "run"), {flag: str(tmp_path / apart)}) == str(tmp_path / "run")
