"""A manifest: many clips, one a row, each with an id and options of its own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Any, get_args

from actors.core.errors import InputError
from actors.files import storage
from jobs.batch.manifest_file import RawRow, read_rows, row_name
from jobs.inputs.option_words import is_of_kind, must_be
from jobs.inputs.options import CompositeOptions, load_options
from jobs.inputs.options_file import PATHS, option_named
from jobs.run.clip_ids import LONGEST_ID, NO_NAME, can_be_folder, folded, is_clip_id
from jobs.run.folder import FILES

# Options of the whole command: where and by whom clips are rendered, not which or how.
COMMAND = frozenset(
    {"out", "workers", "threads", "batch", "gpus_per_worker", "tuned", "device", "address", "restart", "wait"}
)

# Options that say the same in different ways: of these a column beats the other's flag, too.
EITHER = (("features", "encoder"), ("rects", "rect"), ("face", "face_at"), ("faces", "detector"), ("like", "pads"))

# Columns that are no options.
ID, PRIORITY = "id", "priority"

# Rows of several priorities that are in memory at once, to be put in order.
SORTED_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One clip of a manifest.

    Attributes:
        name: what it is called in messages.
        id: names its folder.
        priority: rows of a greater one are rendered first.
        values: options by field name, of their types, paths absolute. That they can be together is not checked.
    """

    name: str
    id: str
    priority: int
    values: dict[str, Any]

    def options(self, flags: Mapping[str, Any], out: str) -> CompositeOptions:
        """The options of its clip: a column beats the flag.

        Args:
            flags: those given with the command, by field name.
            out: path of its folder.

        Raises:
            InputError: they contradict each other, a value is out of range, or one is missing.
        """
        try:
            return load_options({**self._with_flags(flags), "out": out}, None)
        except InputError as error:
            raise InputError(f"{self.name}: {error.subject}", error.problem, "mend it there") from error

    def _with_flags(self, flags: Mapping[str, Any]) -> dict[str, Any]:
        """Its values, and the flags that they do not beat."""
        pairs = (*EITHER, *((other, one) for one, other in EITHER))
        beaten = {other for one, other in pairs if one in self.values}
        return {**{name: value for name, value in flags.items() if name not in beaten}, **self.values}

    def digest(self, flags: Mapping[str, Any]) -> str:
        """What tells whether its options are those of an earlier command, but for those in `COMMAND`.

        Args:
            flags: those given with the command, by field name.

        Raises:
            InputError: a path of the command can be none.
        """
        given = {name: value for name, value in self._with_flags(flags).items() if name not in COMMAND}
        placed = {name: storage.absolute(value) if name in PATHS else value for name, value in given.items()}
        return hashlib.sha256(json.dumps(placed, sort_keys=True).encode()).hexdigest()[:32]


class Manifest:
    """The rows of a file, or of sound files; read anew each time, so that any number of them takes no memory.

    Args:
        source: what the rows come from, in messages.
        read: gives the rows from the first.
        folder: where relative paths count from.
        name: what the row of a number is called in messages, which counts from 1; as a row of the source if not given.
    """

    def __init__(
        self,
        source: str,
        read: Callable[[], Iterable[RawRow]],
        folder: str,
        name: Callable[[int], str] | None = None,
    ) -> None:
        self._source = source
        self._read = read
        self._folder = folder
        self._name = name or partial(row_name, source)

    @classmethod
    def of_file(cls, path: str) -> Manifest:
        """The rows of a file, whose relative paths count from its folder.

        Raises:
            InputError: nothing can be found by the path.
        """
        where = storage.absolute(path)
        return cls(path, partial(read_rows, where, path), storage.parent_of(where))

    @classmethod
    def of_copy(cls, path: str, source: str) -> Manifest:
        """The rows of a file's copy; relative paths count from the working directory.

        Args:
            path: of the copy.
            source: what was copied, in messages.
        """
        return cls(source, partial(read_rows, path, source), storage.absolute("."))

    @classmethod
    def of_sounds(cls, paths: Sequence[str]) -> Manifest:
        """A row for each recording; the clip is the command's."""
        return cls(
            "recordings",
            read=lambda: ({"audio": path} for path in paths),
            folder=storage.absolute("."),
            name=lambda number: paths[number - 1],
        )

    def check(self) -> int:
        """Reads all rows; how many there are.

        Raises:
            InputError: there is none, a column cannot be, or two rows have one id.
        """
        # By what stays the same where file systems take different spellings for one.
        seen: dict[str, int] = {}
        number = 0
        for number, row in enumerate(self.rows(), 1):
            same = seen.setdefault(folded(row.id), number)
            if same != number:
                problem = f"{row.id} is the id of row {same} as well, or differs in case alone"
                raise InputError(f"{row.name}: {ID}", problem, f"give each clip an {ID} of its own in a manifest")
        if not number:
            raise InputError(self._source, "has no rows", "give one for each clip")
        return number

    def rows(self) -> Iterator[Row]:
        """The rows in order.

        Raises:
            InputError: a column is unknown or belongs to the command, a value is of another type, or an id cannot be.
        """
        for number, raw in enumerate(self._read(), 1):
            yield self._row(self._name(number), raw)

    def rows_by_priority(self) -> Iterator[Row]:
        """The rows of the greatest priority first, those of one priority in order.

        Raises:
            InputError: as by `rows`.
        """
        counts = Counter(self._priority(number, raw) for number, raw in enumerate(self._read(), 1))
        for priorities in grouped(counts, SORTED_ROWS):
            found = self._rows_of(priorities)
            # Those of one priority are in order already, and any number of them.
            yield from found if len(priorities) == 1 else sorted(found, key=lambda row: -row.priority)

    def _rows_of(self, priorities: Collection[int]) -> Iterator[Row]:
        for number, raw in enumerate(self._read(), 1):
            if self._priority(number, raw) in priorities:
                yield self._row(self._name(number), raw)

    def _priority(self, number: int, raw: RawRow) -> int:
        return _whole(f"{self._name(number)}: {PRIORITY}", raw.get(PRIORITY, 0))

    def _row(self, name: str, raw: RawRow) -> Row:
        given = dict(raw)
        own = given.pop(ID, None)
        priority = given.pop(PRIORITY, 0)
        values: dict[str, Any] = {}
        for column, value in given.items():
            subject = f"{name}: {column}"
            option, turned = _option(subject, column)
            if option in values:
                raise InputError(subject, "is given twice", "leave one of the columns out")
            typed = _typed(subject, option, value)
            values[option] = not typed if turned else typed
        _check_id(f"{name}: {ID}", named := made_id(values) if own is None else _text(f"{name}: {ID}", own))
        return Row(name, named, _whole(f"{name}: {PRIORITY}", priority), self._placed(values))

    def _placed(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with paths as seen from the manifest's folder."""
        return {name: _beside(self._folder, value) if name in PATHS else value for name, value in values.items()}


def grouped(counts: Mapping[int, int], most: int) -> Iterator[frozenset[int]]:
    """Priorities whose rows are read together, the greatest first: one alone, or several of at most ``most`` rows.

    Args:
        counts: rows by priority.
        most: rows.
    """
    group: list[int] = []
    rows = 0
    for priority in sorted(counts, reverse=True):
        if group and rows + counts[priority] > most:
            yield frozenset(group)
            group, rows = [], 0
        group.append(priority)
        rows += counts[priority]
    if group:
        yield frozenset(group)


def made_id(values: Mapping[str, Any]) -> str:
    """The id of a row without one: the names of its own clip and sound, whatever its place; empty where it has none."""
    named = [values.get("clip"), values.get("audio") or values.get("features")]
    return "-".join(filter(None, (_stem(str(path)) for path in named if path)))


def _stem(path: str) -> str:
    name = PurePath(path.rstrip("/")).name
    suffix = PurePath(name).suffix
    stem = name[: -len(suffix)] if suffix.lower() in FILES else name
    return NO_NAME.sub("_", stem).lstrip(".")


def _check_id(subject: str, name: str) -> None:
    """Sees that an id can be the name of a folder.

    Raises:
        InputError: it cannot.
    """
    fix = f"give an {ID} that can be the name of a folder"
    if not name:
        raise InputError(subject, "is empty, and neither a clip nor a sound is named in the row", fix)
    if not can_be_folder(name):
        raise InputError(subject, f"{name[:LONGEST_ID]} cannot be the name of a folder", fix)
    if not is_clip_id(name):
        raise InputError(subject, f"{name} belongs to the batch itself", fix)


def _option(subject: str, column: str) -> tuple[str, bool]:
    """The field that a column is called after, as in a file of options, and whether it is turned round.

    Raises:
        InputError: there is none, or it is one of the command.
    """
    name, turned = option_named(column, CompositeOptions.model_fields)
    if name in COMMAND or name == "config":
        raise InputError(subject, "belongs to the command", "leave the column out, and give it with the command")
    if name not in CompositeOptions.model_fields:
        raise InputError(subject, "there is no such column", f"{ID}, {PRIORITY} and options of a clip can be columns")
    return name, turned


def _typed(subject: str, name: str, value: object) -> object:
    """A value as the option has it.

    CSV has numbers and truth values as text only, and a Parquet column with empty places may have whole numbers as
    others.

    Raises:
        InputError: it is of another type.
    """
    field = CompositeOptions.model_fields[name]
    (plain,) = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if plain is bool and isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower(), value)
    elif plain is int or plain is float:
        value = _number(value, plain)
    if not is_of_kind(field, value):
        raise InputError(subject, must_be(name, field), "mend it there")
    return value


def _number(value: object, plain: type[int | float]) -> object:
    """The number that a value stands for; the value itself where it stands for none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        if plain is float:
            return float(value)
        if isinstance(value, str):
            value = float(value) if "." in value else int(value)
        return int(value) if value == int(value) else value
    except (ValueError, OverflowError):
        return value


def _whole(subject: str, value: object) -> int:
    number = _number(value, int)
    if isinstance(number, bool) or not isinstance(number, int):
        raise InputError(subject, "must be a whole number", "mend it there")
    return number


def _text(subject: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(subject, "must be text", "mend it there")
    return str(value)


def _beside(folder: str, path: str) -> str:
    """A path as seen from a folder."""
    given = not path or not storage.is_local(path) or path.startswith(("/", "~"))
    return path if given else storage.join(folder, path)
