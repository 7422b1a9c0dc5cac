"""Workers that fail on demand. What to do is told by files, so that a test decides and a worker obeys.

A file ``exit-12`` in the folder ``faults`` beside the run makes the worker end its process when it comes to frame 12;
it removes the file first, so that this happens once. ``poison-12`` stays, and kills every worker that comes there.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import Any

from actors.compositor import Compositor

# Less than any frame of these tests takes as a PNG.
FILE_LIMIT = 20_000


class FaultyCompositor(Compositor):
    """A `Compositor` that obeys the files."""

    def _finish(self, frame: int, *rest: Any) -> Any:  # noqa: ANN401
        faults = Path(self._config.out).parent / "faults"
        for kind in ("exit", "segfault", "hang", "limit", "poison"):
            order = faults / f"{kind}-{frame}"
            if order.exists():
                if kind != "poison":
                    order.unlink()
                (faults.parent / "obeyed").open("a").write(f"{kind} {os.getpid()}\n")
                obey(kind)
        return super()._finish(frame, *rest)


def obey(kind: str) -> None:
    match kind:
        case "exit" | "poison":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            signal.pause()
        case "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
