"""The table of a batch: one row for each clip, and what became of it; as Parquet and as JSON Lines."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actors.core.errors import InputError, error_text, one_line
from actors.core.timings import column
from actors.files import storage
from actors.files.storage import StoragePath
from jobs.clip.files import is_file, show
from jobs.inputs.parquet_rows import parquet_batches
from jobs.run.clip_ids import JSON_LINES, PARQUET, folded, is_clip_id

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("frames", pa.int64(), nullable=False),
        pa.field("failed_frames", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("fps", pa.float64(), nullable=False),
        pa.field("started", pa.timestamp("us", "UTC")),
        pa.field("ended", pa.timestamp("us", "UTC")),
        pa.field("error", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("options", pa.string(), nullable=False),
    ]
)
# The same with times in microseconds since 1970.
PLAIN = pa.schema([(field.name, pa.int64() if pa.types.is_timestamp(field.type) else field.type) for field in SCHEMA])
TIMES = [field.name for field in SCHEMA if pa.types.is_timestamp(field.type)]

# Rows that are written, and read, at once.
ROWS = 8192

# What a table that is read may hold, so that memory stays in proportion to it whatever its file claims.
MOST_ROWS = 1 << 20
LONGEST_TEXT = 4096
MOST_FRAMES = 1 << 40
LARGEST, LAST_MOMENT = 1e12, 4e9

# Characters of a message, and bytes of a line of JSON, where each may take six.
LONGEST_ERROR = 1000
LONGEST_LINE = 1 << 15

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClipStatus(StrEnum):
    """What became of a clip so far."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ClipState:
    """One clip of a batch.

    Attributes:
        id: names its folder in the batch's.
        state: waiting: not begun, or not ended. Done: every frame is there. Failed: it cannot be rendered, or some of
            its frames cannot. Stopped: it ended before it was done, and the same command goes on.
        frames: output frames that are there.
        failed_frames: output frames that could not be rendered.
        seconds: what its rendering took.
        fps: frames per second.
        started: Unix time in seconds; ``None`` where it has not begun.
        ended: the same; ``None`` where it has not ended.
        error: what went wrong, in one line; empty where nothing did.
        options: digest of its options, by which a later command knows that they are the same.
    """

    id: str
    state: ClipStatus = ClipStatus.WAITING
    frames: int = 0
    failed_frames: int = 0
    seconds: float = 0.0
    fps: float = 0.0
    started: float | None = None
    ended: float | None = None
    error: str = ""
    options: str = ""


class ClipTable:
    """The states of all clips, in order.

    Args:
        folder: the batch's.
        states: with ids that differ.

    Attributes:
        folder: as given.
    """

    def __init__(self, folder: StoragePath, states: Iterable[ClipState] = ()) -> None:
        self.folder = folder
        self._states = {state.id: state for state in states}
        # Rows of an earlier manifest that are not in this one: they are kept, and counted nowhere.
        self._behind: frozenset[str] = frozenset()
        self._count()

    def _count(self) -> None:
        self._counts = Counter(state.state for state in self.current())
        self._frames = sum(state.frames for state in self.current())

    @staticmethod
    def stands_in(folder: StoragePath) -> bool:
        """Whether a folder is a batch's: it has one of the table's files.

        Raises:
            InputError: the folder cannot be read.
        """
        return any(is_file(folder / name) for name in (PARQUET, JSON_LINES))

    @classmethod
    def read(cls, folder: StoragePath) -> ClipTable:
        """The table that an earlier command left in a batch's folder; an empty one where there is none.

        Raises:
            InputError: it is damaged, or cannot be read.
        """
        for name, rows_of in ((PARQUET, _parquet_rows), (JSON_LINES, _json_rows)):
            path = folder / name
            try:
                if not storage.is_file(path):
                    continue
                with storage.open_input(path) as file:
                    return cls(folder, _checked(rows_of(file)))
            except (OSError, ValueError, KeyError, RecursionError, pa.ArrowException) as error:
                problem = f"is damaged, or no table of clips ({error_text(error)})"
                raise InputError(str(path), problem, "remove it: the clips' own folders say what is done") from error
        return cls(folder)

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[ClipState]:
        return iter(self._states.values())

    def current(self) -> Iterator[ClipState]:
        """The states of the clips that are in the manifest, as far as `order` was told of it."""
        return (state for state in self if state.id not in self._behind)

    def get(self, name: str) -> ClipState | None:
        """The state of the clip with an id."""
        return self._states.get(name)

    def put(self, state: ClipState) -> None:
        """Sets the state of a clip; a new one stands last."""
        before = self._states.get(state.id)
        self._states[state.id] = state
        if state.id in self._behind:
            return
        if before is not None:
            self._counts[before.state] -= 1
            self._frames -= before.frames
        self._counts[state.state] += 1
        self._frames += state.frames

    def order(self, names: Iterable[str]) -> None:
        """Puts clips in the order of their ids; new ones wait, and those not among the ids stand behind."""
        before = self._states
        self._states = {name: before.get(name) or ClipState(name) for name in names}
        self._behind = frozenset(name for name in before if name not in self._states)
        self._states |= {name: state for name, state in before.items() if name in self._behind}
        self._count()

    def counts(self) -> Counter[ClipStatus]:
        """How many clips of the manifest have each state."""
        return +self._counts

    def frames(self) -> int:
        """Output frames of these that are there."""
        return self._frames

    def write(self) -> None:
        """Writes both files, each whole or not at all.

        Raises:
            OSError: they cannot be written.
        """
        states = list(self._states.values())
        parts = [states[first : first + ROWS] for first in range(0, len(states), ROWS)]
        with storage.written_in_parts(self.folder / JSON_LINES) as file:
            for part in parts:
                file.write("".join(json.dumps(_row(state)) + "\n" for state in part).encode())
        with (
            storage.written_in_parts(self.folder / PARQUET) as file,
            pq.ParquetWriter(file, SCHEMA, compression="zstd", write_page_checksum=True) as writer,
        ):
            for part in parts:
                writer.write_table(_arrow(part), ROWS)

    def remove(self) -> None:
        """Removes both files.

        Raises:
            OSError: they cannot be removed.
        """
        for name in (PARQUET, JSON_LINES):
            storage.remove_file(self.folder / name)


def _row(state: ClipState) -> dict[str, Any]:
    """A clip as JSON has it; its times in ISO 8601."""
    return {
        "id": state.id,
        "state": state.state.value,
        "frames": state.frames,
        "failed_frames": state.failed_frames,
        "seconds": state.seconds,
        "fps": state.fps,
        "started": _iso(state.started),
        "ended": _iso(state.ended),
        "error": _message(state),
        "folder": state.id,
        "options": state.options,
    }


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return (EPOCH + timedelta(microseconds=_micros(moment))).isoformat(timespec="microseconds")


def _micros(moment: float) -> int:
    return round(moment * 1e6)


def _message(state: ClipState) -> str:
    return one_line(state.error, LONGEST_ERROR)


def _arrow(states: Sequence[ClipState]) -> pa.Table:
    values: dict[str, Sequence[Any]] = {
        **{name: [getattr(state, name) for state in states] for name in SCHEMA.names if name != "folder"},
        "error": [_message(state) for state in states],
        "folder": [state.id for state in states],
    }
    columns = [
        _moments(values[field.name]) if pa.types.is_timestamp(field.type) else column(field.type, values[field.name])
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _moments(values: Sequence[float | None]) -> pa.Array:
    """Times in seconds, some missing, as an Arrow array; without pandas, like `actors.core.timings.column`."""
    there = np.array([value is not None for value in values])
    micros = np.array([_micros(value or 0.0) for value in values], np.int64)
    valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    kind = SCHEMA.field("started").type
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(micros)], int((~there).sum()))


def _parquet_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of a table's file, times in seconds."""
    for batch in parquet_batches(file, rows=ROWS, longest=LONGEST_TEXT):
        for row in pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA).cast(PLAIN).to_pylist():
            yield row | {name: None if row[name] is None else row[name] / 1e6 for name in TIMES}


def _json_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    text = io.TextIOWrapper(file, encoding="utf-8")
    while line := text.readline(LONGEST_LINE):
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"{show(row)} is no row of a table")  # noqa: TRY004 - what stands in a file
        times = {name: row.get(name) for name in TIMES}
        yield row | {name: _moment(text) for name, text in times.items() if text is not None}


def _moment(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def _checked(rows: Iterable[dict[str, Any]]) -> Iterator[ClipState]:
    """The rows as states.

    Raises:
        ValueError: a value cannot be, or two clips have one id.
    """
    seen: set[str] = set()
    for row in rows:
        if len(seen) == MOST_ROWS:
            raise ValueError(f"it has more than {MOST_ROWS:,} rows")
        name = _text(row, "id")
        if not is_clip_id(name):
            raise ValueError(f"{show(name)} can be no id")
        if folded(name) in seen:
            raise ValueError(f"{name} stands there twice")
        seen.add(folded(name))
        yield ClipState(
            id=name,
            state=ClipStatus(_text(row, "state")),
            frames=_count(row, "frames"),
            failed_frames=_count(row, "failed_frames"),
            seconds=_figure(row, "seconds"),
            fps=_figure(row, "fps"),
            started=None if row.get("started") is None else _figure(row, "started", LAST_MOMENT),
            ended=None if row.get("ended") is None else _figure(row, "ended", LAST_MOMENT),
            error=_text(row, "error"),
            options=_text(row, "options"),
        )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} cannot be {show(value)}")
    return value


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_FRAMES:
        raise ValueError(f"{name} cannot be {show(value)}")
    return value


def _figure(row: Mapping[str, Any], name: str, most: float = LARGEST) -> float:
    value = row.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} cannot be {show(value)}")
    return float(value)
