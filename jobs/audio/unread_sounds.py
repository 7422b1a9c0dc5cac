"""Sound files that are not read: their formats, recognised by their first bytes."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.unread_containers import HEAD_BYTES, Holds, foreign

# Sound alone, which nothing else here knows.
_SOUNDS = {
    b"wvpk": "a WavPack file",
    b"MAC ": "a Monkey's Audio file",
    b"#!AMR": "an AMR file",
    b"\x0b\x77": "an AC-3 file",
    b"TTA": "a True Audio file",
    b"MPCK": "a Musepack file",
    b"DSD ": "a DSF file",
    b"Creative Voice": "a VOC file",
}


def not_sound(path: str, reason: str) -> InputError:
    """What is said of a file that cannot be read as a recording, with the command that makes a WAV of it.

    Args:
        path: a file that is there.
        reason: what FFmpeg says of it.
    """
    with storage.open_input(path) as file:
        head = file.read(HEAD_BYTES)
    kind = foreign(head)
    sound = next((name for beginning, name in _SOUNDS.items() if head.startswith(beginning)), None)
    # Sound in Ogg is read, so that this one is damaged.
    if sound is None and kind is not None and kind.holds is Holds.VIDEO and not head.startswith(b"OggS"):
        sound = kind.name
    if sound is not None:
        target = f"{PurePosixPath(path).stem}.wav"
        command = f"ffmpeg -i {shlex.quote(path)} {shlex.quote(target)}"
        return InputError(path, f"is {sound}, which is not read", f"convert it: {command}")
    if kind is not None and kind.holds in {Holds.STILL, Holds.ANIMATION, Holds.PLAYLIST}:
        return InputError(path, f"is {kind.name}, not a recording", "give a recording, such as a wav file")
    return InputError(path, f"cannot be decoded as sound ({reason})", "copy it again, or give a wav file")
