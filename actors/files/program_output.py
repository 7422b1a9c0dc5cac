"""What programs of the system print, such as NVIDIA's own tool; they may be missing, fail, or hang."""

from __future__ import annotations

import shutil
import subprocess

# Where NVIDIA's driver must be woken its tool takes seconds; where it is broken the tool hangs.
SECONDS = 20.0


def program_output(program: str, *arguments: str, seconds: float = SECONDS) -> str:
    """What a program prints on standard output; nothing where there is none, or where it fails or takes too long.

    Args:
        program: its name, or its path.
        arguments: of its command line.
        seconds: that it may take.
    """
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
