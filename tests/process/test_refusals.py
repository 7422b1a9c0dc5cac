"""What is a mistake, what a lack, and what a bug."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import in_process
import pytest
import small
import unprivileged

from actors.core.errors import ExitCode, InputError, StoppedError
from actors.files import storage
from jobs.process.refusals import refusal

COMMANDS = (
    ("inspect", "{}"),
    ("inspect", ".", "--model", "{}"),
    ("inspect", ".", "--rects", "{}"),
    ("composite", "{}", "--model", "m.onnx", "--out", "out"),
    ("composite", ".", "--model", "{}", "--out", "out"),
    ("composite", ".", "--model", "m.onnx", "--out", "{}"),
    ("composite", ".", "--model", "m.onnx", "--out", "out", "--config", "{}"),
    ("tune", "{}", "--model", "m.onnx"),
    ("features", "{}", "--encoder", "e.onnx", "--out", "f.npy"),
    ("features", "a.wav", "--encoder", "{}", "--out", "f.npy"),
    ("verify", "{}"),
    ("report", "{}"),
)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.png"), ExitCode.BAD_INPUT, "error: a.png: Permission"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", b"\xb2"), ExitCode.BAD_INPUT, "error: \\udcb2: Is a dir"),
        (OSError(errno.ENAMETOOLONG, "Failed stat()ing 'x'"), ExitCode.BAD_INPUT, "error: the file system: Failed"),
        (OSError(errno.ENOSPC, "No space left", "a.png"), ExitCode.STOPPED, "stopped: a.png: No space left"),
        (OSError(errno.EMFILE, "Too many open files", "a"), ExitCode.STOPPED, "stopped: a: Too many"),
        (InputError("a", "b", "c"), ExitCode.BAD_INPUT, "error: a: b; c"),
        (StoppedError("a", "c"), ExitCode.STOPPED, "stopped: a; c"),
    ],
)
def test_what_a_person_can_mend_is_a_line(error: Exception, code: ExitCode, words: str) -> None:
    told = refusal(error)
    assert told is not None
    assert told[1] is code
    assert told[0].startswith(words)


@pytest.mark.parametrize("error", [KeyError("x"), OSError("x"), ConnectionRefusedError(errno.ECONNREFUSED, "no")])
def test_a_bug_is_a_bug(error: Exception) -> None:
    assert refusal(error) is None


def hostile_paths(folder: Path) -> dict[str, str]:
    (folder / "loop").symlink_to("loop")
    (folder / "file").write_bytes(b"x")
    os.mkfifo(folder / "pipe")
    return {
        "long": "n" * 300,
        "deep": "/n" * 5000,
        "gbk": "\udcb2\udce2",
        "loop": str(folder / "loop" / "x"),
        "below a file": str(folder / "file" / "x"),
        "nobody": "~nobody-of-that-name/x",
        "scheme": "http://example.invalid/x",
        "pipe": str(folder / "pipe"),
        "device": "/dev/null",
        "zero": "a\0b",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_path_is_a_bug(command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name, path in hostile_paths(tmp_path).items():
        result = in_process.command(*(word.format(path) for word in command))
        assert result.code in {2, 3}, (name, result.output)
        assert "Traceback" not in result.output, (name, result.output)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_current_folder_that_is_gone_is_no_bug(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    before = Path.cwd()
    os.chdir(gone)
    try:
        gone.rmdir()
        with pytest.raises(InputError, match="is no path"):
            storage.resolve("clip")
    finally:
        os.chdir(before)


def test_what_may_not_be_read_is_a_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "run.json").write_text("{}")
    (closed / "run.json").chmod(0)
    config = tmp_path / "c.toml"
    config.write_text("")
    config.chmod(0)
    commands = [["verify", str(closed)], ["report", str(closed)], ["composite", "c", "--config", str(config)]]
    # All in one process: it is without root's rights.
    code = "import json, sys, jobs.__main__\nfor each in json.loads(sys.argv[1]): print(jobs.__main__.run(each))"
    words = [sys.executable, unprivileged.__file__, sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(words, cwd=small.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2"] * len(commands)
    assert done.stderr.count("Permission denied") == len(commands)
    assert "Traceback" not in done.stderr
