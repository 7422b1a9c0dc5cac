"""What is said reaches the person as it is, and a person who has gone away changes nothing."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import small
from ray.cluster_utils import Cluster
from rich.table import Table
from small import SmallClip

from jobs.console import say, show, terminal

# Names that somebody may give to a file: markup, an emoji's code, a colour, a new line, a reversed reading order, GBK.
HOSTILE = "[bold]x[/] [/red] :dog: \x1b[31m\r\n\x9b fdp\u202e \udcb2\udce2"
SHOWN = "[bold]x[/] [/red] :dog: \\x1b[31m\\r\\n\\x9b fdp\\u202e \\udcb2\\udce2"


@pytest.fixture
def full() -> Iterator[int]:
    """A file on a disk without room."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def deserted() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def code(*arguments: object, before: str = "", **streams: int) -> tuple[int, bytes]:
    """The exit code of a command, and what it said where that was asked for; ``before`` redirects, as a shell does."""
    command = [sys.executable, "-m", "jobs", *map(str, arguments)]
    if before:
        command = ["sh", "-c", f'exec "$@" {before}', "sh", *command]
    done = subprocess.run(command, cwd=small.ROOT, check=False, **streams)  # type: ignore[call-overload]
    return done.returncode, (done.stdout or b"") + (done.stderr or b"")


def test_a_full_disk_and_a_deserted_pipe_are_no_errors(full: int, deserted: int) -> None:
    for stdout in (full, deserted):
        assert code("kinds", stdout=stdout, stderr=subprocess.PIPE) == (0, b"")
        assert code("kinds", "nothing", stdout=stdout, stderr=stdout) == (2, b"")


def test_closed_streams_are_no_errors() -> None:
    assert code("kinds", before=">&- <&-", stderr=subprocess.PIPE) == (0, b"")
    assert code("kinds", "nothing", before=">&- 2>&-") == (2, b"")


def test_a_render_goes_on_without_its_listener(
    cluster: Cluster, clip: SmallClip, model: Path, tmp_path: Path, deserted: int, full: int
) -> None:
    out = tmp_path / "run"
    base = ("composite", clip.folder, "--model", model, "--device", "cpu", "--frames", "0:6")
    assert code(*base, "--out", out, "--address", cluster.address, stdout=deserted, stderr=full) == (0, b"")
    assert len(small.contents(out)) == 6


def test_what_cannot_be_encoded_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    found, said = code("kinds", "测试", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (found, b"\\u6d4b\\u8bd5" in said, b"Traceback" in said) == (2, True, False)


# POSIX is another name of C, to the system and to Python.
@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_names_in_any_encoding_are_no_bugs(locale: str, tmp_path: Path) -> None:
    environment = {**os.environb, b"LC_ALL": locale.encode()}
    names = [os.fsencode(tmp_path) + b"/" + name for name in (b"\xb2\xe2", "测试".encode())]
    # One process for all: the locale is a process's.
    program = b"import sys, jobs.__main__\nprint(*[jobs.__main__.run(['inspect', name]) for name in sys.argv[1:]])"
    command = [os.fsencode(sys.executable), b"-c", program, *names]
    done = subprocess.run(command, cwd=small.ROOT, env=environment, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"2 2"
    assert b"Traceback" not in done.stdout + done.stderr


def test_lines_and_tables_are_literal() -> None:
    console = terminal(width=200)
    console.file = said = io.StringIO()
    say(console, HOSTILE)
    assert said.getvalue() == f"{SHOWN}\n"
    table = Table(title="[b]t[/b] :dog:")
    table.add_column("[b]c[/b]")
    table.add_row("[b]r[/b] [/]")
    show(console, table)
    for literal in ("[b]t[/b] :dog:", "[b]c[/b]", "[b]r[/b] [/]"):
        assert literal in said.getvalue()


def test_nothing_is_printed_but_by_one_module() -> None:
    """Whatever prints by itself would forget a rule."""
    for path in (small.ROOT / "jobs").rglob("*.py"):
        if path.parts[-2:] == ("jobs", "console.py") or "baselines" in path.parts:
            continue
        source = path.read_text(encoding="utf-8")
        if "print" not in source and "Console" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"print", "Console"}, f"{path}:{node.lineno}"
                assert not called.endswith("onsole.print"), f"{path}:{node.lineno}"
