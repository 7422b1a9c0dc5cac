"""Programs that fail, hang and leave children behind: the benchmark goes on, in one line, and nothing stays."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from jobs.benchmark import subprocesses
from jobs.benchmark.subprocesses import last_words, run_process

HANGS = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child", "w").write(str(child.pid))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


def test_what_it_says_is_kept_apart_from_what_it_complains_about(tmp_path: Path) -> None:
    code = "import sys; print('one'); print('{}'); print('careful', file=sys.stderr)"
    ended = run_process([sys.executable, "-c", code], tmp_path, 60)
    assert (ended.said, ended.fault) == ("one\n{}\n", "")


def test_a_failure_is_its_last_line_without_folders(tmp_path: Path) -> None:
    code = "print('so far so good'); raise OSError('/home/me/clip/frame 7.png cannot be read')"
    ended = run_process([sys.executable, "-c", code], tmp_path, 60)
    assert ended.fault == "ended with 1: OSError: frame 7.png cannot be read"


def test_a_signal_is_a_failure(tmp_path: Path) -> None:
    ended = run_process([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"], tmp_path, 60)
    assert ended.fault == "ended with -9: without a word"


def test_what_hangs_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "GRACE_SECONDS", 0.5)
    began = time.monotonic()
    ended = run_process([sys.executable, "-IS", "-c", HANGS], tmp_path, 2)
    assert ended.fault == "was not done after 2 s"
    assert time.monotonic() - began < 60
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_nobody_joins_a_cluster_that_happens_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    code = "import os; print(os.environ.get('RAY_ADDRESS'))"
    assert run_process([sys.executable, "-c", code], tmp_path, 60).said == "None\n"


def test_nobody_uses_tf32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    code = "import os; print(os.environ['NVIDIA_TF32_OVERRIDE'])"
    assert run_process([sys.executable, "-c", code], tmp_path, 60).said == "0\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "without a word"),
        ("a\n\n b \n\n", "b"),
        ("error: /srv/data/x.npy: shape (3, 4); see --help", "error: x.npy: shape (3, 4); see --help"),
        ("1/2 of /a/b", "1/2 of b"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_last_words_are_short_and_private(text: str, words: str) -> None:
    assert last_words(text) == words
