"""What tuning found, kept between runs: the best layout of workers for a model on this hardware with these versions."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actors.files import storage
from jobs.cluster.connection import ClusterResources
from jobs.cluster.environment import hardware, versions
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions

# The packages whose other version may be faster or slower.
MATTERS = ("python", "ray", "onnxruntime-gpu", "onnxruntime", "opencv-python-headless")


class Layout(BaseModel):
    """How workers share the machine; ``None`` stands for the default.

    Attributes:
        workers: how many.
        threads: intra-op threads of each session.
        batch: frames per inference.
        gpus_per_worker: share of a GPU of each; ``None`` on CPUs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(ge=1)
    threads: int = Field(ge=1)
    batch: int = Field(ge=1)
    gpus_per_worker: float | None = None

    def __str__(self) -> str:
        share = "" if self.gpus_per_worker is None else f", {self.gpus_per_worker:g} of a GPU each"
        return f"{self.workers} workers x {self.threads} threads, batch {self.batch}{share}"


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


def profile_key(inputs: Inputs, options: CompositeOptions, there: ClusterResources, provider: str) -> dict[str, Any]:
    """What a profile depends on: model, precision, device, hardware and versions."""
    return {
        "model": inputs.digest,
        "kind": inputs.kind.name,
        "precision": options.precision.value,
        "provider": provider,
        "cpus": there.cpus,
        "gpus": there.gpus,
        "nodes": len(there.rendering),
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
    storage.make_folder(path.rpartition("/")[0])
    storage.write_atomic(path, profile.model_dump_json(indent=2).encode() + b"\n")
    return path


def read_profile(key: dict[str, Any]) -> Profile | None:
    """The profile for a key, or ``None`` where there is none that can be read: it is only advice."""
    try:
        return Profile.model_validate_json(storage.read_bytes(profile_path(key)))
    except (OSError, RuntimeError, ValidationError):  # RuntimeError: a user without a home folder
        return None
