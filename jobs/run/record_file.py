"""``run.json``: what was asked for, with what, on what, and what came of it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.cluster.environment import hardware, versions
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions
from jobs.run.attempts import attempts_until
from jobs.run.record import LARGEST, VERSION, RunRecord

# What may fill a record, and how many of each stay in one that would be too large.
FAULTS = ("failures", "deaths", "retried", "split")
MOST_FAULTS = 1000


def opening(options: CompositeOptions, inputs: Inputs, before: RunRecord | None) -> dict[str, Any]:
    """What is known of a run before anything is started; identity and device join it once they are decided.

    Args:
        options: of the command.
        inputs: what it renders.
        before: the run that it goes on with, whose history it keeps.
    """
    return {
        "id": uuid.uuid4().hex,
        "status": "running",
        "started_at": time.time(),
        "options": options.model_dump(mode="json"),
        "frames": [inputs.frames.start, inputs.frames.stop],
        "model": {"path": inputs.model, "sha256": inputs.digest, **asdict(inputs.tensors)},
        "clip": {"id": inputs.clip.id, "form": inputs.clip.form, "backgrounds": inputs.clip.backgrounds},
        "warnings": list(inputs.warnings),
        "versions": versions(),
        "hardware": hardware(),
        "attempts": [] if before is None else attempts_until(before),
    }


def write_record(folder: RunFolder, record: Mapping[str, Any]) -> None:
    """Writes run.json, whole or not at all, and never larger than it is read.

    Of a record that would be, the oldest attempts go first, then all but the first faults of each kind.
    """
    content = _encoded(record)
    while len(content) > LARGEST and record.get("attempts"):
        attempts = record["attempts"]
        record = {**record, "attempts": attempts[len(attempts) // 2 + 1 :]}
        content = _encoded(record)
    if len(content) > LARGEST:
        content = _encoded({**record, **{name: list(record.get(name, ()))[:MOST_FAULTS] for name in FAULTS}})
    storage.write_atomic(folder.record, content, durable=True)


def _encoded(record: Mapping[str, Any]) -> bytes:
    return json.dumps({"version": VERSION, **record}, indent=2, sort_keys=False, ensure_ascii=False).encode() + b"\n"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two identities, one text each."""
    return [
        f"{name} was {before.get(name)}, is {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
