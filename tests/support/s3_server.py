"""A real S3 server on loopback, and before it a proxy that asks for signatures, counts requests and does harm."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

# Installed in the environment of the tests, but apart from their packages, with whose versions it does not go; see the
# Makefile.
PACKAGES = Path(pytest.__file__).parents[4] / "s3-server"
BUCKET = "bucket"
KEY, SECRET = "tests-key", "tests-secret"
SIGNED = re.compile(rf"AWS4-HMAC-SHA256 Credential={KEY}/\d{{8}}/")
STARTS_WITHIN = 60.0
# Headers that are for the next server alone.
HOPS = {"transfer-encoding", "connection", "content-length", "expect"}
REFUSED = b"<Error><Code>AccessDenied</Code><Message>unsigned</Message></Error>"
BUSY = b"<Error><Code>SlowDown</Code><Message>reduce your request rate</Message></Error>"


@dataclass
class Fault:
    """What befalls requests.

    Attributes:
        which: what is looked for in ``METHOD /path?query``.
        kind: ``busy`` answers 503, ``refused`` 403, ``slow`` waits, ``cut`` ends the connection without an answer.
        times: how many requests it befalls.
        seconds: that ``slow`` waits.
    """

    which: str
    kind: str
    times: int = 1
    seconds: float = 0.5


@dataclass
class Store:
    """A server that runs.

    Attributes:
        endpoint: address of the proxy.
        upstream: port of the server behind it.
        requests: ``METHOD /path?query`` of all that came, with the status of each answer (0 for none).
        faults: those to come.
    """

    endpoint: str
    upstream: int
    requests: list[tuple[str, int]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which the server is found and takes requests."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def take_fault(self, request: str) -> Fault | None:
        """The fault that befalls a request, if one does."""
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.which, request):
                    fault.times -= 1
                    return fault
        return None

    def answered(self, request: str, status: int) -> None:
        """Notes an answer."""
        with self.lock:
            self.requests.append((request, status))


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Store

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        body = self._body()
        request = f"{self.command} {self.path}"
        fault = self.served.take_fault(request)
        if fault is not None and fault.kind == "cut":
            self.served.answered(request, 0)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        kind = fault.kind if fault is not None else None
        if kind == "busy":
            self._send(request, 503, [], BUSY)
        elif kind == "refused" or not SIGNED.match(self.headers.get("Authorization", "")):
            self._send(request, 403, [], REFUSED)
        else:
            upstream = http.client.HTTPConnection("127.0.0.1", self.served.upstream, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOPS}
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = upstream.getresponse()
            self._send(request, answer.status, answer.getheaders(), answer.read())
            upstream.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _send(self, request: str, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.served.answered(request, status)
        self.send_response_only(status)
        for name, value in headers:
            # Of a HEAD the length is that of what was asked about.
            if name.lower() not in HOPS or (self.command == "HEAD" and name.lower() == "content-length"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815 - the names are the base class's


@contextmanager
def serving(log: Path) -> Iterator[Store]:
    """Starts a server with one empty bucket, and ends it.

    Args:
        log: a file for what the server says.
    """
    if not PACKAGES.is_dir():
        raise RuntimeError(f"{PACKAGES} is not there: run make .venv/installed-dev")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    proxy: ThreadingHTTPServer | None = None
    try:
        _wait_for(port, server, log)
        with urlopen(Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")):
            pass
        store = Store("", port)

        class Proxy(_Proxy):
            served = store

        proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        store.endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield store
    finally:
        if proxy is not None:
            proxy.shutdown()
            proxy.server_close()
        server.terminate()
        server.wait(timeout=30)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server does not start: {log.read_text(errors='replace')[-2000:]}")
