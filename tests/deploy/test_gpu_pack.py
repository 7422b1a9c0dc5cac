"""What goes into a pack: the packages that are wanted, at their pinned versions, in parts that fit."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import gpu_pack
from deploy.gpu_unpack import PackError

ROOT = Path(__file__).parents[2]
CONSTRAINTS = "Jinja2==3.1.6\nnumpy==2.4.6\nopentelemetry-sdk==1.45.2\ntyping_extensions==4.16.0\n"


def test_what_the_program_asks_for_is_packed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = gpu_pack.requirements(project, cuda_libraries=False)
    assert plain == project["dependencies"]
    with_cuda = gpu_pack.requirements(project, cuda_libraries=True)
    assert with_cuda == [*plain, *project["optional-dependencies"]["cuda"]]


def test_every_pin_of_the_constraints_is_read() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert len(gpu_pack.pinned(text)) == len(text.splitlines())


@pytest.mark.parametrize("name", ["a.b-c", "A_B_C", "a--b.c"])
def test_spellings_of_a_name_are_one(name: str) -> None:
    assert gpu_pack.canonical(name) == "a-b-c"


def test_packages_that_nothing_pins_are_named() -> None:
    found = {"jinja2": "3.1.6", "numpy": "2.4.7", "typing-extensions": "4.16.0", "new": "1", "nvidia-cublas": "13"}
    assert gpu_pack.unpinned(found, CONSTRAINTS) == ["numpy", "new"]


# Below a hundred parts, as their names have two digits.
@given(st.lists(st.binary(max_size=30), max_size=3), st.integers(1, 20))
def test_parts_joined_are_what_was_split(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], length: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    parts = gpu_pack.split(iter(pieces), folder, length)
    contents = [(folder / part["name"]).read_bytes() for part in parts]
    assert b"".join(contents) == b"".join(pieces)
    assert [part["bytes"] for part in parts] == [len(content) for content in contents]
    assert all(len(content) == length for content in contents[:-1])
    assert all(0 < len(content) <= length for content in contents)
    assert [part["name"] for part in parts] == sorted(path.name for path in folder.iterdir())


def test_an_archive_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name, order in (("a", "123"), ("b", "312")):
        for number in order:
            path = tmp_path / name / number / "file"
            path.parent.mkdir(parents=True)
            path.write_text(number)
        gpu_pack.archive(tmp_path / name, tmp_path / f"{name}.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def add(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_what_is_never_imported_is_left_out(tmp_path: Path) -> None:
    kept = ["ray/data/__init__.py", "ray/dashboard/agent.py", "pyarrow/libarrow.so.2600", "onnxruntime/__init__.py"]
    add(tmp_path, *kept, "ray/jars/ray.jar", "ray/dashboard/client/build/page.html", "pyarrow/libarrow_flight.so.2600")
    add(tmp_path, "bin/ray", "pandas/tests/test_a.py", "numpy/linalg/tests/data/b.bin", "ray/rllib/deep/er.py")
    gpu_pack.remove_unused(tmp_path)
    assert files(tmp_path) == sorted(kept)
    assert not (tmp_path / "bin").exists()


def test_a_package_goes_and_its_neighbours_stay(tmp_path: Path) -> None:
    for name in ("google-one", "google-two"):
        about, module = f"{name.replace('-', '_')}-1.0.dist-info", f"google/{name[-3:]}.py"
        add(tmp_path, module, f"{about}/RECORD", f"{about}/METADATA")
        (tmp_path / about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (tmp_path / about / "RECORD").write_text(f"{module},,\n../../bin/x,,\n{about}/RECORD,,\n{about}/METADATA,,\n")
    gpu_pack.remove_package(tmp_path, "Google-One")
    gpu_pack.remove_unused(tmp_path)
    assert [found.name for found in importlib.metadata.distributions(path=[str(tmp_path)])] == ["google-two"]
    assert gpu_pack.packages_in(tmp_path) == {"google-two": "1.0"}
    assert "google/two.py" in files(tmp_path)
    assert "google/one.py" not in files(tmp_path)


def test_a_name_that_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="--on-host nunpy: no package"):
        gpu_pack.remove_package(tmp_path, "nunpy")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu_pack.main([str(tmp_path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}: there already")


@pytest.mark.parametrize("wrong", [["--part-mib", "61"], ["--part-mib", "0"], ["--architecture", "9.0"]])
def test_options_that_make_no_sense_are_refused(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu_pack.main([str(tmp_path / "out"), *wrong])
    assert stopped.value.code == 2
    assert not (tmp_path / "out").exists()


def test_the_program_travels_with_what_doctor_reads(tmp_path: Path) -> None:
    gpu_pack.copy_program(tmp_path)
    found = set(files(tmp_path))
    assert {"mouthpiece.py", "pyproject.toml", "constraints.txt", "jobs/__main__.py", "jobs/report/page.css"} <= found
    assert not any("__pycache__" in name or name.startswith(("tests", "deploy")) for name in found)
