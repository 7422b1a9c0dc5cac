"""Reading and writing ``run.json``: whole or not at all, bounded, and of this version or the one before.

A file that was damaged or made up gives one line about the first thing that cannot be, and takes memory in proportion
to its size only.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic import ValidationError

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.clip.files import is_file, load, parse_json, show
from jobs.run.record import VERSION, RunRecord

# Bytes of run.json, which no run comes near, and how deep its values may nest. Parsed, a byte may take twenty.
LARGEST = 16 << 20
DEEPEST = 32

# What may fill a record, and how many of each stay in one that would be too large.
FAULTS = ("failures", "deaths", "retried", "split")
MOST_FAULTS = 1000

# How version 1 put a death and a range.
DEATH_1 = re.compile(r"worker (\d{1,9})(?: \(pid (\d{1,9})\))?: (.*)", re.DOTALL)
RANGE_1 = re.compile(r"(\d{1,9}):(\d{1,9})")


def find_run(folder: RunFolder) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        InputError: there is no run, its record cannot be used, or the folder cannot be read.
    """
    try:
        found = storage.entry(folder.path)
    except OSError as error:
        raise InputError(str(folder), f"cannot be read ({error})", "check the path and its permissions") from error
    if found is None:
        raise InputError(str(folder), "there is no such folder", "name the folder that was given as --out")
    if not found.is_folder:
        raise InputError(str(folder), "is a file", "name the folder that was given as --out")
    record = read_run_record(folder)
    if record is None:
        raise InputError(str(folder), "holds no run of mouthpiece", "name the folder that was given as --out")
    return record


def read_run_record(folder: RunFolder) -> RunRecord | None:
    """The record of the run in a folder; ``None`` where there is none.

    Raises:
        InputError: there is a run.json that is not ours, is damaged or cannot be read.
    """
    if not is_file(folder.record):
        return None
    path = str(folder.record)
    fix = "put a whole one back, begin anew with --restart, or name another --out"
    try:
        found = parse_json(load(folder.record, LARGEST), path)
        _check_values(found)
    except InputError as error:
        raise InputError(path, error.problem, fix) from error
    except ValueError as error:
        raise InputError(path, f"is not a record of a run ({error})", fix) from error
    if not isinstance(found, dict) or found.get("version") not in (1, VERSION):
        raise InputError(path, "is not a run of this version of mouthpiece", "choose another --out")
    try:
        return RunRecord.model_validate(_upgraded(found) if found["version"] == 1 else found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            problem = f"{where} is missing"
        elif where:
            problem = f"{where} cannot be {show(first['input'])}"
        else:
            problem = str(first["ctx"]["error"])  # of our own check
        raise InputError(path, f"is not a record of a run ({problem})", fix) from error


def write_record(folder: RunFolder, record: RunRecord) -> None:
    """Writes run.json, whole or not at all, and never larger than it is read.

    Of a record that would be, the oldest attempts go first, then all but the first faults of each kind.

    Raises:
        OSError: it cannot be written.
    """
    content = _encoded(record)
    while len(content) > LARGEST and record.attempts:
        kept = record.attempts[len(record.attempts) // 2 + 1 :]
        record = record.model_copy(update={"attempts": kept})
        content = _encoded(record)
    if len(content) > LARGEST:
        faults = {name: getattr(record, name)[:MOST_FAULTS] for name in FAULTS}
        content = _encoded(record.model_copy(update=faults))
    storage.write_atomic(folder.record, content, durable=True)


def _encoded(record: RunRecord) -> bytes:
    return json.dumps(record.as_json(), indent=2, ensure_ascii=False).encode() + b"\n"


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record of version 1 as version 2 has it. What is no such record stays as it is, and is refused as such."""
    attempts = record.get("attempts", [])
    if isinstance(attempts, list):
        record = {**record, "attempts": [_troubles(one) if isinstance(one, dict) else one for one in attempts]}
    return {**_troubles(record), "version": VERSION}


def _troubles(attempt: dict[str, Any]) -> dict[str, Any]:
    """An attempt whose deaths and ranges are values."""
    values = {"deaths": _death, "retried": _range, "split": _range}
    found = {name: attempt[name] for name in values if isinstance(attempt.get(name), list)}
    return {**attempt, **{name: [values[name](one) for one in lines] for name, lines in found.items()}}


def _death(line: object) -> object:
    match = DEATH_1.fullmatch(line) if isinstance(line, str) else None
    return {"worker": int(match[1]), "pid": match[2] and int(match[2]), "reason": match[3]} if match else line


def _range(text: object) -> object:
    match = RANGE_1.fullmatch(text) if isinstance(text, str) else None
    return [int(match[1]), int(match[2])] if match else text


def _check_values(value: object, depth: int = 0) -> None:
    """Raises a ValueError where a value cannot be written again, or nests so deep that it was made to."""
    if depth > DEEPEST:
        raise ValueError(f"its values nest deeper than {DEEPEST}")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_values(name, depth + 1)
            _check_values(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
    elif isinstance(value, str) and not value.isascii():
        value.encode()  # lone surrogates are no text: a ValueError
