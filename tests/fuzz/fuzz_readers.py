"""The fuzzed readers by name, each imported only in the process that feeds it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fuzz_base import Reader

# How many mutants each gets. A structure with more ways to go wrong gets more, a slower reader fewer.
COUNTS = {
    "rects": 2400,
    "landmarks": 800,
    "package_info": 1200,
    "metadata": 1000,
    "export": 600,
    "features": 2400,
    "images": 800,
    "video": 700,
    "onnx": 1200,
    "record": 240,
    "fragment": 300,
    "faces": 240,
    "detections": 600,
}
_MODULES = {
    "fuzz_text": ("rects", "landmarks", "package_info"),
    "fuzz_arrays": ("metadata", "export", "features"),
    "fuzz_media": ("images", "video"),
    "fuzz_onnx": ("onnx",),
    "fuzz_run": ("record", "fragment"),
    "fuzz_faces": ("faces", "detections"),
}


def make_reader(name: str, folder: Path) -> Reader:
    """The reader called ``name``, with its undamaged files in the empty ``folder``."""
    module = next(module for module, names in _MODULES.items() if name in names)
    make: Callable[[Path], Reader] = import_module(module).READERS[name]
    return make(folder)
