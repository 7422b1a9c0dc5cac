"""The file-system layer on an object store: a real S3 server, and what goes wrong on the way to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3_server
from hypothesis import given
from hypothesis import strategies as st
from s3_server import BUCKET, Fault, Store
from small import ROOT

from actors.core.errors import InputError
from actors.files import storage
from actors.files.node_check import ClipCheck, check_clip
from actors.files.run_folder import RunFolder
from actors.network.onnx_file import read_network
from jobs.run.folder_lock import lock_folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with (
        s3_server.serving(tmp_path_factory.mktemp("s3") / "server.log") as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in store.environment.items():
            patch.setenv(name, value)
        yield store


@pytest.fixture
def folder(server: Store, request: pytest.FixtureRequest) -> str:
    server.requests.clear()
    server.faults.clear()
    return f"s3://{BUCKET}/{request.node.name.partition('[')[0]}"


def test_what_is_written_is_read_in_one_request_each(server: Store, folder: str) -> None:
    path = storage.join(folder, "frames", "frame_000001.png")
    storage.write_atomic(path, memoryview(b"content"))
    assert storage.read_bytes(path) == b"content"
    assert [request.split()[0] for request, _ in server.requests] == ["PUT", "HEAD", "GET"]
    storage.write_atomic(path, b"")
    assert storage.read_bytes(path) == b""
    with pytest.raises(FileNotFoundError):
        storage.open_input(storage.join(folder, "no"))


def test_neighbouring_reads_are_one_request(server: Store, folder: str) -> None:
    path, content = storage.join(folder, "a.bin"), os.urandom(5000)
    storage.write_atomic(path, content)
    server.requests.clear()
    with storage.open_input(path) as file:
        assert b"".join(file.read(100) for _ in range(50)) == content
        assert file.read(1) == b""
        file.seek(-10, 2)
        assert (file.read(), file.tell()) == (content[-10:], 5000)
    assert sum(request.startswith("GET") for request, _ in server.requests) <= 2


def test_a_model_that_is_refused_is_named(server: Store, folder: str) -> None:
    path = storage.join(folder, "light.onnx")
    server.faults.append(Fault("HEAD ", "refused", times=1000))
    with pytest.raises(InputError, match="ACCESS_DENIED") as refused:
        read_network(path, "--model")
    assert refused.value.subject == path


# What Arrow would take for a part of the address, and for an escape.
@pytest.mark.parametrize("name", ["a b.png", "100%.png", "%41.png", "ein schönes.png", "a#b.png", "a+b.png"])
def test_names_stand_for_themselves(server: Store, folder: str, name: str) -> None:
    path = storage.join(folder, name)
    storage.write_atomic(path, name.encode())
    assert path in [entry.path for entry in storage.children(folder)]
    assert storage.read_bytes(path) == name.encode()
    storage.remove_file(path)
    assert storage.entry(path) is None


def test_folders_are_listed_and_removed(server: Store, folder: str) -> None:
    for _ in range(2):
        storage.make_folder(storage.join(folder, "a", "b"))
    storage.write_atomic(storage.join(folder, "a", "c.bin"), b"12345")
    assert storage.is_folder(folder)
    assert [(e.name, e.is_folder, e.size) for e in storage.children(storage.join(folder, "a"))] == [
        ("b", True, 0),
        ("c.bin", False, 5),
    ]
    storage.remove_file(storage.join(folder, "a", "c.bin"))
    for _ in range(2):
        storage.remove_folder(folder)
    assert storage.entry(folder) is None
    assert storage.children(folder) == []


def test_an_address_may_name_its_server(server: Store, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    query = f"?scheme=http&region=us-east-1&endpoint_override={server.endpoint.removeprefix('http://')}"
    path = storage.join(folder + query, "frames", "a.png")
    assert path == f"{folder}/frames/a.png{query}"
    assert storage.name_of(path) == "a.png"
    assert storage.parent_of(path) == f"{folder}/frames{query}"
    storage.write_atomic(path, b"x")
    assert [e.path for e in storage.children(storage.parent_of(path))] == [path]
    assert storage.read_bytes(storage.locate(folder + query) / "frames" / "a.png") == b"x"


def test_a_store_is_opened_once(server: Store, folder: str) -> None:
    first, second = storage.locate(f"{folder}/a"), storage.locate(f"{folder}/b/c")
    assert first.system is second.system


def test_an_error_publishes_nothing(server: Store, folder: str, tmp_path: Path) -> None:
    path = storage.join(folder, "a")
    storage.write_atomic(path, b"old")
    with pytest.raises(ZeroDivisionError), storage.written_in_parts(path) as file:
        file.write(b"half" * (1 // 0))
    with pytest.raises(FileNotFoundError):
        storage.copy_file(str(tmp_path / "no"), path)
    with pytest.raises(FileNotFoundError):
        storage.place_file(tmp_path / "no", path)
    assert storage.read_bytes(path) == b"old"


def test_a_large_object_is_sent_in_parts(server: Store, folder: str, tmp_path: Path) -> None:
    path, source = storage.join(folder, "video.mp4"), tmp_path / "video.mp4"
    content = os.urandom(1 << 20) * 12
    source.write_bytes(content)
    storage.place_file(source, path)
    assert [request.split()[0] for request, _ in server.requests] == ["POST", "PUT", "PUT", "POST"]
    copy = tmp_path / "copy"
    storage.copy_file(path, str(copy))
    assert copy.read_bytes() == content


@pytest.mark.slow
def test_a_store_that_stays_away_is_an_error_and_keeps_what_it_had(server: Store, folder: str, tmp_path: Path) -> None:
    """Retries take seconds."""
    path, source = storage.join(folder, "video.mp4"), tmp_path / "video.mp4"
    source.write_bytes(os.urandom(1 << 20) * 24)
    storage.write_atomic(path, b"old")
    # Of three parts the second never arrives.
    server.faults.append(Fault("PUT .*partNumber=2", "busy", times=1000))
    with pytest.raises(OSError, match=r"video\.mp4"):
        storage.place_file(source, path)
    assert storage.read_bytes(path) == b"old"
    server.faults[:] = [Fault("PUT ", "busy", times=1000)]
    server.requests.clear()
    with pytest.raises(OSError, match=r"video\.mp4"):
        storage.write_atomic(path, b"new")
    assert 2 <= len(server.requests) <= 40
    server.faults.clear()
    assert storage.read_bytes(path) == b"old"
    # A store without its bucket is asked as often.
    with pytest.raises(OSError, match="no-such-bucket"):
        storage.write_atomic("s3://no-such-bucket/a", b"x")


def test_a_killed_writer_publishes_nothing(server: Store, folder: str) -> None:
    path = storage.join(folder, "a")
    server.faults.append(Fault("PUT .*/a", "slow", times=1000, seconds=30))
    script = "import sys; from actors.files import storage; print(flush=True); storage.write_atomic(sys.argv[1], b'x')"
    writer = subprocess.Popen([sys.executable, "-c", script, path], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.kill()
    writer.communicate(timeout=60)
    assert storage.entry(path) is None


@pytest.mark.parametrize("kind", ["busy", "slow", "cut"])
def test_a_passing_fault_is_outlived(server: Store, folder: str, kind: str) -> None:
    path = storage.join(folder, kind)
    server.faults += [Fault("PUT ", kind), Fault("GET ", kind)]
    # Longer than the answer of a busy server: where that has no room, Arrow does not ask again.
    content = b"content" * 100
    storage.write_atomic(path, content)
    assert storage.read_bytes(path) == content
    assert [fault.times for fault in server.faults] == [0, 0]


def test_a_bucket_that_is_not_there(server: Store) -> None:
    missing = "s3://no-such-bucket/run"
    assert storage.entry(missing) is None
    with pytest.raises(InputError, match="no-such-bucket") as refused, lock_folder(RunFolder.at(missing).path):
        pass
    assert "\n" not in str(refused.value)


def test_a_node_without_credentials_says_so_by_name(server: Store, folder: str) -> None:
    storage.write_atomic(storage.join(folder, ".driver-000000000000"), b"")
    script = (
        "import sys\nfrom actors.files.node_check import ClipCheck, check_clip\n"
        "from actors.files.run_folder import RunFolder\n"
        "check_clip(ClipCheck((), RunFolder.at(sys.argv[1]), '.driver-000000000000'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ENDPOINT_URL": server.endpoint, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", script, folder], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "InputError" in done.stderr.splitlines()[-1]
    assert "cannot look at it" in done.stderr.splitlines()[-1]
    check_clip(ClipCheck((), RunFolder.at(folder), ".driver-000000000000"))


def test_two_drivers_are_kept_apart(server: Store, folder: str) -> None:
    run = RunFolder.at(folder).path
    with lock_folder(run) as lock:
        assert not lock.by_file_system
        assert storage.is_file(run / lock.mark)
        with pytest.raises(InputError, match="another run"), lock_folder(run):
            pass
    assert storage.entry(run) is None


@given(st.lists(st.text("ab%?#+ é", min_size=1, max_size=5), min_size=1, max_size=4))
def test_the_query_of_an_address_stays_at_its_end(names: list[str]) -> None:
    named = [name.replace("?", "_") for name in names]
    plain, asked = storage.join("s3://b/run", *named), storage.join("s3://b/run?region=x", *named)
    assert asked == f"{plain}?region=x"
    assert storage.name_of(asked) == storage.name_of(plain)
    assert storage.parent_of(asked) == f"{storage.parent_of(plain)}?region=x"
