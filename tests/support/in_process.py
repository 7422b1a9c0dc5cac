"""Runs commands of ours in this process: it has imported everything already, and a test can stand in their way."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

from small import Result

import jobs.__main__


def command(*arguments: object) -> Result:
    """What ``python -m jobs`` would say, and its exit code."""
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(said):
        code = jobs.__main__.run([*map(str, arguments)])
    return Result(code, said.getvalue())
