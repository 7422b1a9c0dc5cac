"""Addresses that no Ray cluster has, and servers that are none: each is told for what it is, within seconds."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from typing import Any

import grpc
import pytest
from ray.cluster_utils import Cluster

import jobs.cluster.address
from actors.core.errors import InputError
from jobs.cluster.address import _running_clusters, check_cluster, find_cluster, read_target


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:8265", "dashboard"),
        ("https://example.invalid", "dashboard"),
        ("ray://127.0.0.1:10001", "Ray client"),
        ("redis://127.0.0.1:6379", "redis://"),
        ("127.0.0.1", "no port"),
        ("127.0.0.1:", "no port"),
        ("127.0.0.1:port", "no port"),
        ("127.0.0.1:0", "no port"),
        ("127.0.0.1:65536", "no port"),
        ("[::1]", "no port"),
        (":6379", "no host"),
        ("::1", "brackets"),
        ("fe80::1:6379", "brackets"),
        ("two words:6379", "no host"),
        ("me@here:6379", "no host"),
        ("a:b:6379", "no host"),
    ],
)
def test_an_address_of_another_kind(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match=said) as caught:
        read_target(address)
    assert caught.value.subject == f"--address {address}"
    # The message names what was used, never a flag that nobody gave.
    monkeypatch.setenv("RAY_ADDRESS", f" {address}\n")
    with pytest.raises(InputError, match=said) as caught:
        read_target(None)
    assert caught.value.subject == f"RAY_ADDRESS {address}"


@pytest.mark.parametrize(
    ("flag", "variable", "address"),
    [
        (None, None, "local"),
        ("", "", "local"),
        (" ", "  ", "local"),
        (None, " auto ", "auto"),
        ("", "head:6379", "head:6379"),
        (" head:6379 ", "other:1", "head:6379"),
        ("local", "other:1", "local"),
        ("[::1]:6379", None, "[::1]:6379"),
    ],
)
def test_where_a_cluster_is_wanted(
    flag: str | None, variable: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert read_target(flag).address == address


@contextmanager
def listening(talk: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server that does with each connection what it is told to, and then holds it; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with ExitStack() as held, suppress(OSError):
                while True:
                    there = held.enter_context(server.accept()[0])
                    with suppress(OSError):
                        talk(there)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


class Version(http.server.BaseHTTPRequestHandler):
    """Answers as a Ray dashboard does."""

    said = b'{"version": "4", "ray_version": "2.0"}'

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Nobody wants to know."""


class Other(Version):
    said = b"<html>"


@contextmanager
def web(handler: type[Version]) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def other_service() -> Iterator[int]:
    server: Any = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


@contextmanager
def nobody() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


SERVERS: dict[str, tuple[Callable[[], AbstractContextManager[int]], str]] = {
    "silence": (lambda: listening(lambda _: None), "answers nothing that a Ray cluster would"),
    "garbage": (lambda: listening(lambda there: there.sendall(os.urandom(4096))), "answers nothing that a Ray cluster"),
    "hanging up": (lambda: listening(lambda there: there.close()), "answers nothing that a Ray cluster would"),
    "dashboard": (lambda: web(Version), "is a Ray dashboard"),
    "web server": (lambda: web(Other), "is a web server"),
    "service": (other_service, "another server"),
    "nobody": (nobody, "nothing answers there"),
}


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.timeout(20)
def test_a_port_that_is_no_cluster(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.cluster.address, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(jobs.cluster.address, "ANSWER_SECONDS", 1.0)
    server, said = SERVERS[kind]
    with server() as port, pytest.raises(InputError, match=said) as caught:
        check_cluster(read_target(f"127.0.0.1:{port}"))
    assert str(port) in caught.value.subject


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(InputError, match=r"there is no host 'nowhere\.invalid'"):
        check_cluster(read_target("nowhere.invalid:6379"))


def test_a_cluster_of_other_versions(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    target = read_target(cluster.address)
    with closing(check_cluster(target)) as gcs:
        assert gcs.answers()
    with monkeypatch.context() as other:
        other.setattr("ray.__version__", "2.59.1")
        with pytest.raises(InputError, match=r"this is Ray 2\.59\.1 on Python"):
            check_cluster(target)


def test_auto_is_the_one_cluster_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def raylet(address: str, folder: str) -> list[str]:
        return ["/usr/lib/ray/raylet", f"--gcs-address={address}", f"--session_dir={folder}/session_1"]

    local = raylet("127.0.0.1:1", "/tmp/mouthpiece-abc/r")  # noqa: S108 - only a name
    others = [raylet(f"10.0.0.1:{port}", "/tmp/ray") for port in (6379, 6380)]  # noqa: S108
    assert _running_clusters([local, ["python", "--gcs-address=x:1"], []]) == set()
    assert _running_clusters([local, *others]) == {"10.0.0.1:6379", "10.0.0.1:6380"}

    def found(running: set[str], started: str | None) -> str:
        monkeypatch.setattr(jobs.cluster.address, "_running_clusters", lambda _: set(running))
        monkeypatch.setattr(jobs.cluster.address, "read_ray_address", lambda _: started)
        return find_cluster(read_target("auto")).address

    assert found({"a:1"}, None) == "a:1"
    assert found({"a:1", "b:2"}, "b:2") == "b:2"
    assert found({"a:1"}, "gone:2") == "a:1"
    with pytest.raises(InputError, match="several Ray clusters run on this machine \\(a:1, b:2\\)"):
        found({"a:1", "b:2"}, "gone:3")
    with pytest.raises(InputError, match="no Ray cluster runs on this machine"):
        found(set(), None)
