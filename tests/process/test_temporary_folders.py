"""Scratch folders: private, gone in the end, and those of killed processes gone with the next run. Ray's among them."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import small

from actors.core.errors import InputError
from jobs.cluster.auth_token import make_token_private, private_token
from jobs.process.temporary_folders import ray_folder, scratch_folder

# Takes a folder, and holds it until it is ended.
HOLDER = """
import sys
from pathlib import Path
from jobs.process.temporary_folders import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "large").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""

LONGEST = 100


def test_a_scratch_folder_is_private_and_goes(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.parent == tmp_path
        (folder / "r").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_only_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    somebodys = tmp_path / "mouthpiece-notes"
    somebodys.mkdir()
    (somebodys / "text").write_text("mine")
    (tmp_path / "mouthpiece-link").symlink_to(somebodys)
    networks = [tmp_path / f"mouthpiece-loading-{name}.onnx" for name in ("left_1_x", "young_12", "in_use_3")]
    export = tmp_path / "mouthpiece-wav2lip.onnx"
    export.write_bytes(b"somebody's own")
    os.utime(export, (0, 0))
    for network in networks:
        network.write_bytes(b"")
        os.utime(network, (0, 0) if network != networks[1] else None)
    loading = os.open(networks[2], os.O_RDWR)
    fcntl.flock(loading, fcntl.LOCK_EX)
    shell, used, young = (tmp_path / f"mouthpiece-{name}" for name in ("made_new", "has_text", "just_now"))
    for folder in (shell, used, young):
        (folder / "r" / "session_1").mkdir(parents=True)
    (used / "r" / "text").write_text("mine")
    for folder in (shell, used):
        os.utime(folder, (0, 0))
    run = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holders = [
        subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=small.ROOT)
        for _ in range(2)
    ]
    folders = [Path((holder.stdout or sys.stdin).readline().strip()) for holder in holders]
    killed, alive = holders
    killed.kill()
    killed.communicate()
    with scratch_folder(tmp_path):
        assert [path.exists() for path in (*folders, *networks)] == [False, True, False, True, True]
        # A process of the killed one's that has not ended yet writes another line.
        (folders[0] / "r").mkdir(parents=True)
    assert not folders[0].exists()
    assert [folder.exists() for folder in (shell, used, young)] == [False, True, True]
    for folder in (used, young):
        shutil.rmtree(folder)
    os.close(loading)
    export.unlink()
    for network in networks[1:]:
        network.unlink()
    alive.communicate(timeout=30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mouthpiece-link", "mouthpiece-notes"]
    assert (somebodys / "text").read_text() == "mine"


def test_rays_folder_lies_where_its_sockets_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(deep))
    with ray_folder(LONGEST) as folder:
        assert len(str(folder)) <= LONGEST
        assert deep not in folder.parents
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with ray_folder(LONGEST) as folder:
        assert folder.exists()
    # What is named for Ray alone is taken or refused.
    monkeypatch.setenv("RAY_TMPDIR", str(deep))
    with pytest.raises(InputError, match=r"RAY_TMPDIR.*is longer than 80 bytes"), ray_folder(LONGEST):
        pass
    monkeypatch.setenv("RAY_TMPDIR", "/dev/null/ray")
    with pytest.raises(InputError, match="there is no place for Ray's files"), ray_folder(LONGEST):
        pass


def test_a_full_folder_is_told_before_ray_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match="there is no place for Ray's files"), ray_folder(LONGEST):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)
    assert list(tmp_path.iterdir()) == []


def test_the_token_of_a_local_run_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    (variable,) = private_token(tmp_path).items()
    assert variable == ("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    first = (tmp_path / "token").read_text()
    assert len(first) == 64
    private_token(tmp_path)
    assert (tmp_path / "token").read_text() != first
    for name, value in (("RAY_AUTH_TOKEN", "x"), ("RAY_AUTH_TOKEN_PATH", "x"), ("RAY_AUTH_MODE", "disabled")):
        with monkeypatch.context() as chosen:
            chosen.setenv(name, value)
            assert private_token(tmp_path) == {}


def test_a_token_that_others_can_read_is_closed_with_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert make_token_private() is None
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    for mode, told in ((0o644, True), (0o600, False), (0o640, True), (0o604, True)):
        token.write_text("t")
        token.chmod(mode)
        assert (make_token_private() is not None) == told
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
