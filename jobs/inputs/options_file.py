"""The file that holds options: TOML, by the names of the flags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from actors.core.errors import InputError
from actors.files import storage
from jobs.inputs.option_words import is_of_kind, must_be

# They name files, which stand beside this one where it does not say otherwise.
PATHS = frozenset(
    {"clip", "model", "out", "features", "encoder", "rects", "audio", "parsing", "faces", "detector", "like"}
)

# Nobody writes options by the megabyte.
LONGEST = 1 << 20


def read_config(path: str, fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """The options in a file, by field name, relative paths made absolute.

    Args:
        path: the file.
        fields: what there is, by name.

    Raises:
        InputError: the file cannot be read, or an option in it cannot be that; names file and option.
    """
    values: dict[str, Any] = {}
    for key, value in _parsed(path).items():
        name, turned = option_named(key, fields)
        if name not in fields:
            raise InputError(f"{path}: {key}", "there is no such option", "see --help for all of them")
        if name in values:
            raise InputError(f"{path}: {key}", "is given twice", "leave one of them out")
        if not is_of_kind(fields[name], value):
            raise InputError(f"{path}: {key}", must_be(name, fields[name]), "mend it there")
        values[name] = not value if turned else _beside(path, value) if name in PATHS else value
    return values


def option_named(key: str, fields: Mapping[str, FieldInfo]) -> tuple[str, bool]:
    """The field that a key of a file stands for, in the flags' spelling or the fields', and whether it is turned round.

    ``no-`` before the name of a switch turns its value round. A name that no field has comes back as it is.
    """
    name = key.replace("-", "_")
    switch = name.removeprefix("no_")
    if switch != name and switch in fields and fields[switch].annotation is bool:
        return switch, True
    return name, False


def _beside(path: str, given: str) -> str:
    """A path in the file as seen from its folder."""
    if not given or not storage.is_local(given) or given.startswith("~"):
        return given
    return str(Path(storage.absolute(path)).parent / given)


def _parsed(path: str) -> dict[str, Any]:
    if not path:
        raise InputError("--config", "names no file", "give the path of a TOML file")
    where = storage.resolve(path)
    try:
        found = storage.entry(where)
        if found is None:
            raise InputError(path, "there is no such file", "check --config")
        if not storage.is_file(where) or found.size > LONGEST:
            raise InputError(path, "cannot be read as TOML (no file, or a very large one)", "check --config")
        # Editors of Windows put a mark of the encoding in front.
        return tomllib.loads(storage.read_bytes(where).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(path, f"cannot be read as TOML ({error})", "mend it") from error
