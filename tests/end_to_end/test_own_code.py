"""Every process runs this program's own files, whatever else has the names `jobs` and `actors`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small
from ray.cluster_utils import Cluster
from small import Result, SmallClip

from actors.core.errors import InputError
from actors.files.digests import code_digest
from actors.files.node_check import check_code

# A worker's kind of process is asked on a cluster, as by a driver whose current folder holds another `actors`.
ASK = """
import ray, sys
from jobs.cluster.program_files import check_workers
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
try:
    check_workers()
except Exception as error:
    print(error)
"""


@pytest.fixture
def shadows(tmp_path: Path) -> Path:
    """A folder with packages of others that have our names."""
    folder = tmp_path / "project"
    (folder / "jobs").mkdir(parents=True)
    for name in ("jobs/__init__.py", "actors.py"):
        (folder / name).write_text("THEIRS = True\n")
    return folder


def installed(folder: Path, *arguments: object, script: Path = small.ROOT / "mouthpiece.py") -> Result:
    """Runs the installed command in a folder that PYTHONPATH also names."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", str(folder)])}
    command = [sys.executable, "-P", str(script), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Result(done.returncode, done.stdout)


@pytest.mark.cluster
def test_the_installed_command_and_its_workers_are_not_shadowed(
    shadows: Path, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    base = ["composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--frames", "0:4"]
    result = installed(shadows, *base, "--device", "cpu")
    assert result.code == 0, result.output
    assert len(small.contents(tmp_path / "run")) == 4


def test_another_actors_in_the_current_folder_does_not_shadow_the_repository(shadows: Path) -> None:
    shutil.rmtree(shadows / "jobs")
    environment = {**os.environ, "PYTHONPATH": str(small.ROOT)}
    command = [sys.executable, "-m", "jobs", "kinds"]
    done = subprocess.run(command, cwd=shadows, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_was_installed_over_ours_is_named(shadows: Path) -> None:
    script = shadows / "mouthpiece.py"
    shutil.copyfile(small.ROOT / "mouthpiece.py", script)
    result = installed(shadows, "kinds", script=script)
    assert result.code == 2
    assert result.output.startswith(f"error: jobs in {shadows} is another program's")
    assert result.output.count("\n") == 1


def test_what_workers_import_instead_is_named(cluster: Cluster, shadows: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(small.ROOT)}
    (shadows / "jobs" / "__init__.py").unlink()
    (shadows / "jobs").rmdir()
    command = [sys.executable, "-c", ASK, cluster.address]
    done = subprocess.run(command, cwd=shadows, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{shadows / 'actors.py'}: node "), done.stderr


def test_other_files_than_the_drivers_are_refused(tmp_path: Path) -> None:
    check_code(code_digest())
    with pytest.raises(InputError, match="not the driver's"):
        check_code("0" * 64, patience=0.0)
    # Another version of the same package has another digest.
    shutil.copytree(small.ROOT / "actors", tmp_path / "actors", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from actors.files.digests import code_digest; print(code_digest())"
    command = [sys.executable, "-c", program]

    def digest() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True).strip()

    assert digest() == code_digest()
    with (tmp_path / "actors" / "film.py").open("a") as file:
        file.write("# changed\n")
    assert digest() != code_digest()
