"""The process in which inputs are read under guard.

`main` is called there with jobs ``(scenario, input, working directory)``. It prints a line of JSON for each: what came
of it, which files below ``outside`` anyone opened, which files Python opened anywhere, what else Python did that
readers must not, and by how many bytes the peak of resident memory grew.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from opens import Watch

from actors.core.choices import Delivery, Device, ImageFormat, Interpolation
from actors.core.clip import FaceBox, VideoFrames
from actors.core.errors import InputError, StoppedError
from actors.core.video_packets import KeyPacket, Packets
from actors.files import storage
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model
from actors.network.session import Session, SessionOptions
from actors.rendering.blocks import BlockRequest, load_block
from jobs.audio.recording import check_recording
from jobs.clip import read_clip, read_features, read_windows

PNG = Delivery(ImageFormat.PNG, 0, video=False)

# Other people's code, other programs, other machines.
_FORBIDDEN = ("pickle.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "socket.")


def read_all(path: str) -> str:
    """Everything that a render reads of a clip: what it is, its audio and its pixels."""
    box = FaceBox(4, 6, 24, 26) if storage.is_file(path) else None
    clip = read_clip(path, boxes=None, box=box, kind=UNET_328)
    if clip.features is not None:
        read_features(clip.features, UNET_328)
    if clip.windows is not None:
        read_windows(clip.windows, clip.window_count, UNET_328)
    if clip.sound is not None:
        check_recording(clip.sound)
    source = clip.frames if clip.frames is not None else clip.planes
    if source is None:
        raise ValueError("a clip without backgrounds")
    load_block(BlockRequest(0, source, clip.boxes or (), Interpolation.LINEAR, delivery=PNG), UNET_328)
    return f"{clip.form} clip of {clip.backgrounds}"


def decode_video(path: str) -> str:
    """What a worker decodes of a video that was exchanged after the driver had read it."""
    packets = Packets(0, bytes(24), (KeyPacket(0, 0, 0),))
    frames = VideoFrames(path, (0, 512, 1024), (0, 1, 2), Fraction(1, 12800), packets, 64, 48, None)
    load_block(BlockRequest(0, frames, (FaceBox(4, 6, 24, 26),) * 3, Interpolation.LINEAR, delivery=PNG), UNET_328)
    return "a video"


def build_session(path: str) -> str:
    Session(path, read_model(path, UNET_328), UNET_328, SessionOptions(Device.CPU))
    return "a session"


def open_by_python(path: str) -> str:
    """What the guard must see."""
    return str(len(Path(path).read_bytes()))


def open_by_arrow(path: str) -> str:
    """What only the watch can see."""
    return str(len(storage.read_bytes(path)))


def unpickle(path: str) -> str:
    """What must never happen, for the test of the guard."""
    return str(np.load(path, allow_pickle=True).shape)


SCENARIOS: dict[str, Callable[[str], str]] = {
    "clip": read_all,
    "decoding": decode_video,
    "features": lambda path: str(read_features(path, UNET_328).shape),
    "sound": lambda path: str(check_recording(path).seconds),
    "model": build_session,
    "python": open_by_python,
    "arrow": open_by_arrow,
    "unpickling": unpickle,
}


class Hook:
    """Audits what Python does; nothing can take it off again, so one serves for all jobs.

    Attributes:
        opened: files that Python opened since the last `clear`.
        done: what it did that readers must not.
    """

    def __init__(self) -> None:
        self.opened: set[str] = set()
        self.done: set[str] = set()

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            self.opened.add(os.fsdecode(arguments[0]))
        elif event.startswith(_FORBIDDEN):
            self.done.add(event)


def main(outside: Path, *jobs: tuple[str, str, str]) -> None:
    hook = Hook()
    sys.addaudithook(hook)
    for scenario, path, folder in jobs:
        os.chdir(folder)
        hook.opened, hook.done = set(), set()
        before = _peak()
        with Watch(outside) as watch:
            hook.opened.clear()
            try:
                outcome = SCENARIOS[scenario](path)
            except (InputError, StoppedError) as error:
                outcome = f"refused: {error}"
            opened, done = sorted(hook.opened), sorted(hook.done)
        grown = _peak() - before
        report = {"outcome": outcome, "outside": watch.opened, "opened": opened, "done": done, "grown": grown}
        sys.stdout.write(json.dumps(report) + "\n")


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
