"""The outcome of `tune`, kept between runs: the best layout for a model on this hardware with these versions."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from actors.core.choices import Device
from actors.files import storage
from jobs.cluster.connection import ClusterResources
from jobs.cluster.environment import hardware, versions
from jobs.cluster.layout import Layout
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions

# The packages whose other version may be faster or slower.
MATTERS = ("python", "ray", "onnxruntime-gpu", "onnxruntime", "opencv-python-headless")


class LayoutTrial(BaseModel):
    """One layout that was tried, and the frames per second it gave; 0 where it failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Layout
    fps: float
    remark: str = ""


class Profile(BaseModel):
    """The outcome of tuning.

    Attributes:
        best: the layout to use.
        fps: what it gave.
        trials: everything that was tried, in order.
        key: what it holds for, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    best: Layout
    fps: float
    trials: tuple[LayoutTrial, ...]
    key: dict[str, Any]


def profile_key(
    inputs: Inputs, options: CompositeOptions, resources: ClusterResources, device: Device
) -> dict[str, Any]:
    """What a profile depends on: model, precision, device, hardware and versions."""
    known = {"gpu_memory": resources.gpu_memory} if resources.gpu_memory else {}
    return known | {
        "model": inputs.digest,
        "kind": inputs.kind.name,
        "precision": options.precision.value,
        "provider": device.provider,
        "cpus": resources.cpus,
        "gpus": resources.gpus,
        "nodes": len(resources.rendering),
        "hardware": hardware(),
        "versions": {name: version for name, version in versions().items() if name in MATTERS},
    }


def profile_path(key: dict[str, Any]) -> str:
    """Where the profile for a key is kept, below the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return storage.join(storage.resolve(home), f"mouthpiece/tuned/{digest[:24]}.json")


def write_profile(profile: Profile) -> str:
    """Keeps a profile; gives its path.

    Raises:
        OSError: it cannot be written.
    """
    path = profile_path(profile.key)
    storage.make_folder(storage.parent_of(path))
    storage.write_atomic(path, profile.model_dump_json(indent=2).encode() + b"\n")
    return path


def read_profile(key: dict[str, Any]) -> Profile | None:
    """The profile for a key, or ``None`` where there is none that can be read: it is only advice."""
    try:
        return Profile.model_validate_json(storage.read_bytes(profile_path(key)))
    except (OSError, RuntimeError, ValidationError):  # RuntimeError: a user without a home folder
        return None
