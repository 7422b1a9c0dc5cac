"""Which source files the processes of a run execute: always the driver's."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import ray
from ray.job_config import JobConfig

import actors
from actors.core.errors import StoppedError
from actors.files.digests import code_digest

# A process has to be started for the question.
CHECK_SECONDS = 60.0


@cache
def program_digest() -> str:
    """The driver's `code_digest`, as it was when first asked: before Ray starts to unpack anything."""
    return code_digest()


def program_command() -> list[str]:
    """The program and its first arguments that run this command line in a process of its own."""
    return [sys.executable, "-P", str(_root() / "mouthpiece.py")]


def job_config(*, shipped: bool) -> JobConfig:
    """How workers find this program's packages.

    By itself Ray puts the driver's current folder before everything else that workers can import, and the folder of
    its script: an `actors.py` or `jobs/` there would be taken for ours.

    Args:
        shipped: whether Ray brings the package to the workers; else they look first where the driver found it.
    """
    program_digest()
    return _Literal(_py_driver_sys_path=[] if shipped else [str(_root())])


def _root() -> Path:
    return Path(actors.__file__).parents[1]


class _Literal(JobConfig):
    """A configuration to which Ray adds no folder: it does so where a job has no working directory of its own."""

    def _runtime_env_has_working_dir(self) -> bool:
        return True


def check_workers() -> None:
    """Asks a process of a worker's kind whose `actors` it imports. For when something has gone wrong there.

    Raises:
        StoppedError: it is not this program's, or there is none.
    """

    # A function inside of another is sent as a whole: it runs where nothing of ours can be imported.
    def look() -> tuple[str, str, bool]:
        import importlib.util  # noqa: PLC0415
        import pathlib  # noqa: PLC0415
        import socket  # noqa: PLC0415

        spec = importlib.util.find_spec("actors")
        where = "" if spec is None else str(spec.origin or list(spec.submodule_search_locations or ()))
        source = pathlib.Path(where)
        ours = source.is_file() and 'PROGRAM = "mouthpiece"' in source.read_text(errors="replace")
        return socket.gethostname(), where, ours

    node, where, ours = ray.get(ray.remote(num_cpus=0)(look).remote(), timeout=CHECK_SECONDS)
    if not where:
        raise StoppedError(f"node {node} has no mouthpiece", "install it there, and run the same command again")
    if not ours:
        raise StoppedError(
            f"{where}: node {node} imports this instead of mouthpiece's package of the same name",
            "take its folder out of PYTHONPATH and out of the job's working directory, and run the same command again",
        )
