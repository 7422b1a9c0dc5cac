"""What Ray needs beside its package: the token by which clusters know their users, and ports."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from jobs.cluster.auth_token import MODE, PATH, TOKEN
from jobs.doctor.finding import Finding, error, ok, warning

# Of `ray start --head`: the cluster's own, the dashboard's, and the one by which it takes jobs.
PORTS = {6379: "--port", 8265: "--dashboard-port", 52365: "--dashboard-agent-listen-port"}
GENERATE = "run: ray get-auth-token --generate"


def ray_ready() -> list[Finding]:
    """Token and ports of this machine."""
    path = Path(os.environ.get(PATH) or Path("~/.ray/auth_token").expanduser())
    mode = None
    with suppress(OSError):
        mode = path.stat().st_mode
    return [check_token(os.environ, str(path), mode), check_ports(taken_ports())]


def check_token(environment: Mapping[str, str], path: str, mode: int | None) -> Finding:
    """The user's token.

    Args:
        environment: variables of this process.
        path: where the token lies, or would.
        mode: of that file; ``None`` where there is none.
    """
    asked = environment.get(MODE, "").lower()
    if asked == "disabled":
        fix = f"export {MODE}=token here and on every node"
        return warning("token", f"off by {MODE}: who reaches a cluster's ports can run programs as you", fix)
    if mode is not None and mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warning("token", f"others can read {path}", f"chmod 600 it, then make a new one: {GENERATE} --force")
    if asked == "token" and mode is None and not environment.get(TOKEN):
        return error("token", f"{MODE}=token, and there is none", GENERATE)
    own = "none, and a run without --address makes its own"
    return ok("token", path if mode is not None else TOKEN if environment.get(TOKEN) else own)


def check_ports(taken: Collection[int] | None) -> Finding:
    """The ports of `ray start --head` that are taken on this machine; ``None`` where it has no loopback at all."""
    if taken is None:
        return error("ports", "this machine does not let programs listen on 127.0.0.1", "allow it: Ray needs that")
    if not taken:
        return ok("ports", f"{', '.join(map(str, PORTS))} are free for `ray start --head`")
    flags = " ".join(f"{PORTS[port]}=N" for port in sorted(taken))
    told = f"{', '.join(map(str, sorted(taken)))} taken, as by a Ray cluster that runs here"
    return ok("ports", f"{told}; for another one: ray start --head {flags}")


def taken_ports() -> set[int] | None:
    """Those of `PORTS` on which something listens; ``None`` where no port can be had."""
    taken = set()
    for port in (0, *PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                if not port:
                    return None
                taken.add(port)
    return taken
