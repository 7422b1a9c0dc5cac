"""The address of the Ray cluster to join: from options and environment, checked, with the reason where it cannot be."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import platform
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import ray
from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private.grpc_utils import init_grpc_channel
from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS, KV_NAMESPACE_CLUSTER
from ray._private.services import canonicalize_bootstrap_address
from ray._private.utils import check_version_info, read_ray_address
from ray.core.generated import gcs_service_pb2
from ray.core.generated.gcs_service_pb2_grpc import InternalKVGcsServiceStub

from actors.core.errors import InputError
from jobs.process.temporary_folders import PREFIX
from jobs.process.time_limits import within

# How long each of the two questions may take: whether anybody listens, and who it is.
CONNECT_SECONDS = 8.0
ANSWER_SECONDS = 8.0

# How long the head of a busy cluster may take to say that it is there.
WATCH_ANSWER_SECONDS = 4.0

DASHBOARD_PORT, CLIENT_PORT = 8265, 10001

JOIN = "give HOST:PORT as `ray start --head` prints it; the port is 6379 if not told otherwise"
AS_JOB = "join by HOST:6379, or submit a job: `ray job submit --address http://HOST:8265 -- COMMAND`"


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for.

    Attributes:
        address: ``host:port``, ``auto`` or ``local``.
        asked: the flag or variable that named it, as users wrote it.
    """

    address: str
    asked: str


def read_target(address: str | None) -> Target:
    """What ``--address``, else ``RAY_ADDRESS``, asks for; nothing but spaces is nothing.

    Raises:
        InputError: no cluster can have such an address.
    """
    for asked, given in (("--address", address), ("RAY_ADDRESS", os.environ.get("RAY_ADDRESS"))):
        wanted = (given or "").strip()
        if wanted:
            target = Target(wanted, f"{asked} {wanted}")
            if wanted not in {"auto", "local"}:
                _check_form(target)
            return target
    return Target("local", "")


def _check_form(target: Target) -> None:
    scheme, colons, _ = target.address.partition("://")
    if colons:
        kinds = {"http": "is a dashboard's address, which takes jobs", "ray": "is the address of a Ray client"}
        kind = kinds.get(scheme.lower().removesuffix("s"), f"begins with {scheme}://, which no Ray cluster has")
        raise InputError(target.asked, kind, AS_JOB if scheme.lower().removesuffix("s") in kinds else JOIN)
    host, colon, port = target.address.rpartition(":")
    if _is_ipv6(target.address):
        raise InputError(target.asked, "is an IPv6 address without brackets and a port", "give [HOST]:PORT")
    if not colon or not host or target.address.endswith("]"):
        raise InputError(target.asked, "has no host" if colon and not host else "has no port", JOIN)
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 1 << 16:
        raise InputError(target.asked, f"has no port from 1 to 65535 ({port!r})", JOIN)
    if re.search(r"[\s/@]", host) or (":" in host and not _is_ipv6(host.removeprefix("[").removesuffix("]"))):
        raise InputError(target.asked, f"names no host ({host!r})", JOIN)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).version == 6
    except ValueError:
        return False


def find_cluster(target: Target) -> Target:
    """``auto`` as the address of the one cluster that runs on this machine; others as they are.

    Raises:
        InputError: there is none, or there are several.
    """
    if target.address != "auto":
        return target
    running = _running_clusters(process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    started = read_ray_address(None)
    if started and (started in running or not running):
        return Target(started, target.asked)
    if not running:
        raise InputError(
            target.asked,
            "no Ray cluster runs on this machine (a local run of mouthpiece is none)",
            "start one by `ray start --head`, or leave the address out",
        )
    if len(running) > 1:
        raise InputError(
            target.asked, f"several Ray clusters run on this machine ({', '.join(sorted(running))})", "name one of them"
        )
    return Target(running.pop(), target.asked)


def _running_clusters(commands: Iterable[list[str]]) -> set[str]:
    """Addresses of the clusters that have a raylet among these processes; local runs of ours are nobody else's."""
    found = set()
    for command in commands:
        flags = dict(word.partition("=")[::2] for word in command[1:] if word.startswith("--"))
        address = flags.get("--gcs-address")
        if command and Path(command[0]).name == "raylet" and address:
            folder = flags.get("--session-dir") or flags.get("--session_dir") or flags.get("--temp-dir") or ""
            if not any(part.startswith(PREFIX) for part in Path(folder).parts):
                found.add(address)
    return found


class Gcs:
    """The server that keeps a cluster's books, asked directly: Ray's own client waits for minutes, then ends us."""

    def __init__(self, address: str) -> None:
        # One that comes back is found again soon.
        options = [*GLOBAL_GRPC_OPTIONS, ("grpc.max_reconnect_backoff_ms", 2000)]
        self._channel = init_grpc_channel(address, options)
        self._get = InternalKVGcsServiceStub(self._channel).InternalKVGet  # type: ignore[no-untyped-call]

    def metadata(self, seconds: float) -> dict[str, str]:
        """What the cluster says of itself.

        Raises:
            grpc.RpcError: whoever is there does not answer in time, or not as such a server does.
        """
        request = vars(gcs_service_pb2)["InternalKVGetRequest"](
            namespace=KV_NAMESPACE_CLUSTER, key=CLUSTER_METADATA_KEY
        )
        answer = self._get(request, timeout=seconds)
        return dict(json.loads(answer.value or b"{}"))

    def close(self) -> None:
        """Hangs up; a question on its way fails."""
        self._channel.close()

    def answers(self) -> bool:
        """Whether it is there, whatever it says."""
        try:
            self.metadata(WATCH_ANSWER_SECONDS)
        except ValueError:  # closed meanwhile
            return True
        except grpc.RpcError as error:
            return error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        return True


def check_cluster(target: Target) -> Gcs:
    """Makes sure that a Ray cluster like ours answers at the address, within seconds.

    Raises:
        InputError: it does not, and what does.
    """
    host, _, port = target.address.rpartition(":")
    host = host.strip("[]")
    _check_listens(target, host, int(port))
    gcs = Gcs(target.address)
    try:
        there = gcs.metadata(ANSWER_SECONDS)
    except grpc.RpcError as error:
        gcs.close()
        raise _refusal(target, host, int(port), error) from error
    ours = ray.__version__, platform.python_version()
    try:
        check_version_info(there, target.address)
    except (RuntimeError, KeyError) as error:
        raise InputError(
            target.asked,
            f"the cluster runs Ray {there.get('ray_version')} on Python {there.get('python_version')},"
            f" this is Ray {ours[0]} on Python {ours[1]}",
            "use the same versions on both sides",
        ) from error
    joined = canonicalize_bootstrap_address(target.address) or target.address
    if joined != target.address and _refuses(joined):
        # Ray takes this machine for the one that others see.
        problem = f"the cluster there listens on {host} alone, and Ray joins by {joined}"
        raise InputError(target.asked, problem, "start it by `ray start --head`")
    return gcs


def _check_listens(target: Target, host: str, port: int) -> None:
    start = "start Ray there by `ray start --head`, or correct the address"
    try:
        within(CONNECT_SECONDS, lambda: socket.create_connection((host, port), CONNECT_SECONDS).close())
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(target.asked, f"there is no host {host!r} ({error})", "correct the address") from error
    except OSError as error:  # a time-out is one too
        raise InputError(target.asked, f"nothing answers there ({error})", start) from error


def _refuses(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        within(CONNECT_SECONDS, lambda: socket.create_connection((host, int(port)), CONNECT_SECONDS).close())
    except OSError:
        return True
    return False


def _refusal(target: Target, host: str, port: int, error: grpc.RpcError) -> InputError:
    """What it is that listens, but answers no question of a cluster's."""
    code = error.code()
    if code is grpc.StatusCode.UNAUTHENTICATED:
        fix = "export RAY_AUTH_MODE=token here, with the cluster's ~/.ray/auth_token"
        return InputError(target.asked, "the cluster asks for a token, and this one is missing or not its own", fix)
    web = _web_server(host, port)
    if web is not None:
        return InputError(target.asked, web, AS_JOB if "dashboard" in web else JOIN)
    if port == CLIENT_PORT:
        return InputError(target.asked, "is the port of Ray clients, not the cluster's own", AS_JOB)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return InputError(target.asked, "what answers there is another server, not a Ray cluster's own", JOIN)
    problem = "something accepts connections there, but answers nothing that a Ray cluster would"
    return InputError(target.asked, problem, JOIN)


def _web_server(host: str, port: int) -> str | None:
    """What a web server at a port is; ``None`` where there is none."""

    def ask() -> bytes:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS / 2)
        try:
            connection.request("GET", "/api/version")
            return connection.getresponse().read(4096)
        finally:
            connection.close()

    try:
        said = within(CONNECT_SECONDS / 2, ask)
    except (OSError, http.client.HTTPException):
        return "is a Ray dashboard's usual port" if port == DASHBOARD_PORT else None
    if b"ray_version" in said or port == DASHBOARD_PORT:
        return "is a Ray dashboard, which takes jobs"
    return "is a web server, not a Ray cluster"
