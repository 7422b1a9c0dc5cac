"""Processes of their own that need not import everything first: they are forked from one that has done only that."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

# What takes long to import. None of them is at work in a thread once it is imported.
PRELOADED = (
    *("actors.network.session", "actors.rendering.blocks", "jobs.audio.recording", "jobs.clip", "jobs.clip.parsing"),
    *("jobs.report.page", "jobs.run.verification", "clip_inputs", "made_run", "onnx"),
)

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*PRELOADED])


def run_forked(function: Callable[..., None], *arguments: object, folder: Path, seconds: float) -> tuple[int, str, str]:
    """Calls a module's function in a process of its own.

    Args:
        function: what to call; it prints its answer.
        arguments: for it.
        folder: where two files keep what it says.
        seconds: it may take.

    Returns:
        The exit code, that of a signal negative, and what it said on standard output and standard error.
    """
    paths = folder / "stdout.txt", folder / "stderr.txt"
    process = _CONTEXT.Process(target=_call, args=(function, arguments, *paths))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"not done after {seconds} s")
    said, errors = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    return process.exitcode, said, errors


def _call(function: Callable[..., None], arguments: tuple[object, ...], stdout: Path, stderr: Path) -> None:
    with (
        stdout.open("w", buffering=1) as said,
        stderr.open("w", buffering=1) as errors,
        redirect_stdout(said),
        redirect_stderr(errors),
    ):
        function(*arguments)
