"""Reading small files and folders with errors that are meant for the user."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TypeVar

from pyarrow import ArrowException
from pydantic import BaseModel, ValidationError

from actors.core.errors import InputError, error_text
from actors.files import storage

# A rectangle takes at most some 400 bytes with its paths, so this holds half a million frames; the parsed form of a
# larger file could take many gigabytes.
JSON_LIMIT = 256 << 20
Model = TypeVar("Model", bound=BaseModel)
_SHOW_LIMIT = 80


@contextmanager
def as_input_errors(path: str) -> Iterator[None]:
    """Turns what the file system refuses inside the block into an `InputError` about ``path``."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(path, "no such file", "check the path") from error
    except (OSError, ArrowException) as error:
        raise InputError(path, f"cannot be read ({error_text(error)})", "check the path and its permissions") from error


def show(value: object) -> str:
    """A short form of a value from a file, safe to print whatever the value is."""
    # Depth is bounded as well as length: a value from a file may be nested a thousand deep.
    short = reprlib.Repr()
    short.maxlevel = 2
    text = short.repr(value)
    return text if len(text) <= _SHOW_LIMIT else text[: _SHOW_LIMIT - 3] + "..."


def entry_at(path: storage.AnyPath) -> storage.Entry | None:
    """What stands at ``path``, or ``None``; raises `InputError` where the file system refuses to say."""
    with as_input_errors(str(path)):
        return storage.entry(path)


def is_file(path: storage.AnyPath) -> bool:
    """Whether a file stands at ``path``."""
    found = entry_at(path)
    return found is not None and not found.is_folder


def files_in(folder: str, suffixes: Sequence[str]) -> list[storage.Entry]:
    """The files of ``folder`` that end in one of ``suffixes`` (any case), hidden ones left out, sorted by name."""
    with as_input_errors(folder):
        entries = storage.children(folder)
    endings = tuple(suffixes)
    return [e for e in entries if not e.is_folder and not e.name.startswith(".") and e.name.lower().endswith(endings)]


def file_at(path: storage.AnyPath) -> storage.Entry:
    """The file at ``path``, which holds at least one byte.

    A named pipe counts as empty, so that nothing waits for a writer.

    Raises:
        InputError: nothing stands there, a folder does, or the file is empty.
    """
    found = entry_at(path)
    if found is None:
        raise InputError(str(path), "no such file", "check the path")
    if found.is_folder:
        raise InputError(str(path), "is a folder", "name a file")
    require_content(found)
    return found


def require_content(file: storage.Entry) -> None:
    """Checks that a file is not empty; raises `InputError`."""
    if file.size == 0:
        raise InputError(file.path, "the file is empty", "copy or export it again")


def load(path: storage.AnyPath, limit: int) -> bytes:
    """The whole content of a file of at most ``limit`` bytes.

    Raises:
        InputError: the file is missing, empty, too large or cannot be read.
    """
    return _content(path, file_at(path), limit)


def load_entry(file: storage.Entry, limit: int) -> bytes:
    """Like `load`, for a file whose size is known from its folder's listing."""
    require_content(file)
    return _content(file.path, file, limit)


def _content(path: storage.AnyPath, file: storage.Entry, limit: int) -> bytes:
    if file.size > limit:
        raise InputError(
            file.path,
            f"{file.size} bytes, more than the {limit} such a file may have",
            "check that it is the right file",
        )
    with as_input_errors(file.path), storage.open_input(path) as stream:
        return exactly(stream, 0, file.size)


def exactly(file: IO[bytes], offset: int, size: int) -> bytes:
    """The ``size`` bytes at ``offset``.

    Raises:
        OSError: the file ends before.
    """
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise OSError(f"ends {size - len(data)} bytes early")
    return data


def parse_json(data: bytes, path: str) -> object:
    """The value of a JSON text; ``NaN``, infinities and repeated keys are refused.

    Raises:
        InputError: it is no such text.
    """

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not a number")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in pairs:
            if key in result:
                raise ValueError(f"key {show(key)} stands there twice")
            result[key] = value
        return result

    try:
        value: object = json.loads(data, parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not valid JSON ({error_text(error)})", "export the file again") from error
    return value


def validated(model: type[Model], data: bytes, path: str, fix: str) -> Model:
    """A JSON text as the fields that ``model`` declares; others are ignored.

    Raises:
        InputError: it is not JSON, or a field is of another type.
    """
    try:
        return model.model_validate(parse_json(data, path))
    except ValidationError as error:
        first = error.errors()[0]
        where = show(".".join(str(part) for part in first["loc"])) if first["loc"] else "the whole"
        raise InputError(path, error_text(ValueError(f"{where}: {first['msg']}")), fix) from error
