"""Versions of the packages, and the machine, of this process. No names of hosts or users."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

PACKAGES = ("mouthpiece", "ray", "onnxruntime-gpu", "onnxruntime", "opencv-python-headless", "numpy", "pyarrow", "av")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that touch pixels or schedule work."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The driver's machine."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}
