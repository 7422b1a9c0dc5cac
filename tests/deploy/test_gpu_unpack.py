"""A pack on its host: every part whole, an environment of its own, what the host has linked."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from deploy import gpu_unpack
from deploy.gpu_pack import compressed, split
from deploy.gpu_unpack import PackError, checked_parts, extract, link_package, read_manifest, unpack

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack with a module and a program, in parts of 100 bytes."""
    site, folder, tar = tmp_path / "site", tmp_path / "pack", tmp_path / "site.tar"
    site.mkdir()
    folder.mkdir()
    (site / "packed.py").write_text("import sys\nprint(sys.version_info[:2], __file__)\n")
    (site / "tool").write_bytes(bytes(range(256)))
    (site / "tool").chmod(0o755)
    with tarfile.open(tar, "w") as file:
        for path in sorted(site.iterdir()):
            file.add(path, path.name)
    write_manifest(folder, parts=split(compressed(tar), folder, 100))
    return folder


def write_manifest(folder: Path, **changed: Any) -> None:  # noqa: ANN401 - fields of JSON
    (folder / "manifest.json").write_text(json.dumps({"python": HERE, "on_host": [], "parts": []} | changed))


def test_the_environment_has_what_was_packed_and_nothing_of_the_host(pack: Path, tmp_path: Path) -> None:
    into = tmp_path / "made"
    unpack(pack, into)
    site = into / "lib" / f"python{HERE}" / "site-packages"
    assert (site / "tool").read_bytes() == bytes(range(256))
    assert (site / "tool").stat().st_mode & 0o777 == 0o755
    said = subprocess.run(
        [into / "bin" / "python", "-c", "import packed, importlib.util; print(importlib.util.find_spec('pytest'))"],
        capture_output=True,
        text=True,
        check=True,
        env={},
        cwd=tmp_path,
    )
    assert said.stdout == f"{sys.version_info[:2]} {site / 'packed.py'}\nNone\n"


def test_parts_are_the_archive(pack: Path, tmp_path: Path) -> None:
    parts = checked_parts(pack, read_manifest(pack))
    assert len(parts) > 3
    assert {part.stat().st_size for part in parts[:-1]} == {100}
    joined = b"".join(part.read_bytes() for part in parts)
    assert lzma.decompress(joined) == (tmp_path / "site.tar").read_bytes()


def test_an_archive_of_several_streams_is_read(tmp_path: Path) -> None:
    content = b"0123456789" * 5000
    (tmp_path / "big").write_bytes(content)
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.add(tmp_path / "big", "big")
    tar = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "part").write_bytes(lzma.compress(tar[:30_000]) + lzma.compress(tar[30_000:]))
    extract([tmp_path / "part"], tmp_path / "out")
    assert (tmp_path / "out" / "big").read_bytes() == content


@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
def test_a_damaged_part_is_refused_before_anything_is_made(pack: Path, tmp_path: Path, damage: str) -> None:
    part = pack / "part-01"
    content = part.read_bytes()
    if damage == "gone":
        part.unlink()
    else:
        part.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:] if damage == "bit" else content[:-1])
    with pytest.raises(PackError, match=r"part-01: (missing|damaged); bring"):
        unpack(pack, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_pack_for_another_python_is_refused(pack: Path) -> None:
    write_manifest(pack, python="3.99")
    with pytest.raises(PackError, match=rf"this is Python {HERE}; the pack needs 3\.99"):
        read_manifest(pack)


def test_a_folder_that_is_there_is_left_alone(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with pytest.raises(PackError, match="there already"):
        unpack(pack, tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []


def add_package(folder: Path, name: str, *files: str) -> None:
    """An installed package, as far as importlib.metadata looks."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "RECORD").write_text("".join(f"{file},,\n" for file in (*files, f"{about.name}/METADATA")))
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_cuda_and_what_is_left_to_the_host_are_linked(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = tmp_path / "a" / "b" / "host"
    add_package(host, "nvidia-cublas", "nvidia/cu13/lib/libcublas.so.13")
    add_package(host, "nvidia-cudnn-cu13", "nvidia/cudnn/lib/libcudnn.so.9")
    add_package(host, "wanted-one", "wanted_one/__init__.py", "../../bin/wanted")
    add_package(host, "onnxruntime", "onnxruntime/__init__.py")
    monkeypatch.syspath_prepend(str(host))
    write_manifest(pack, parts=read_manifest(pack)["parts"], on_host=["wanted-one"])
    into = tmp_path / "made"
    assert set(unpack(pack, into)) >= {"wanted-one", "nvidia-cublas", "nvidia-cudnn-cu13"}
    site = into / "lib" / f"python{HERE}" / "site-packages"
    assert (site / "nvidia/cu13/lib/libcublas.so.13").exists()
    assert (site / "nvidia/cudnn/lib/libcudnn.so.9").exists()
    assert (site / "nvidia_cudnn_cu13-1.0.dist-info/METADATA").exists()
    assert (site / "wanted_one/__init__.py").exists()
    assert not (site / "onnxruntime").exists()


def test_what_the_host_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no-such-package: the pack leaves it to this Python, which lacks it"):
        link_package("no-such-package", tmp_path)


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_unpack, "__file__", str(tmp_path / "unpack.py"))
    with pytest.raises(SystemExit) as stopped:
        gpu_unpack.main([str(tmp_path / "made")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'manifest.json'}: missing; it travels with the parts\n"
