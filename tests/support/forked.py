"""Processes of their own that need not import everything first: they are forked from one that has done only that."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from small import ROOT

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
    return _run(_call, (function, arguments), folder, seconds)


def run_script(path: Path, *arguments: str, folder: Path, seconds: float) -> tuple[int, str, str]:
    """Runs a Python file as a program of its own, at the root folder, with its neighbours alone to import.

    Args:
        path: the file.
        arguments: of its command line.
        folder: see `run_forked`.
        seconds: it may take.

    Returns:
        What `run_forked` does.
    """
    return _run(_run_path, (path, arguments), folder, seconds)


def _run(
    target: Callable[..., None], arguments: tuple[object, ...], folder: Path, seconds: float
) -> tuple[int, str, str]:
    paths = folder / "stdout.txt", folder / "stderr.txt"
    process = _CONTEXT.Process(target=target, args=(*arguments, *paths))
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


def _run_path(path: Path, arguments: tuple[str, ...], stdout: Path, stderr: Path) -> None:
    for descriptor, target in ((1, stdout), (2, stderr)):
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    ours = {ROOT, ROOT / "tests"}
    others = [folder for folder in sys.path if folder and not ours & {Path(folder), Path(folder).parent}]
    sys.path[:] = [str(path.parent), *others]
    sys.argv[:] = [str(path), *arguments]
    os.chdir("/")
    runpy.run_path(str(path), run_name="__main__")
