"""Everything that the page about a batch shows, read from its folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actors.core.errors import InputError
from actors.core.timings import STAGES
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.files.storage import StoragePath
from jobs.clip.parallel_reads import read_many
from jobs.report.busy_times import PAUSE_SECONDS, PROCESS
from jobs.report.run_data import read_timings, short_name
from jobs.report.thumbnails import Thumbnail, read_strip
from jobs.run.clip_table import ClipState, ClipTable
from jobs.run.record_file import find_run

# So many clips are looked into, so many of them give a picture, and so many have a line in the table: with more, the
# page takes long to make and to open.
MOST_READ = 200
MOST_FRAMES = 500_000
MOST_PICTURES = 200
MOST_ROWS = 2000

# Of a timing table, what tells who worked when.
COLUMNS = ["frame", "range_id", *PROCESS, "started_at", *STAGES]


@dataclass(frozen=True, slots=True)
class ClipWork:
    """What the run of one clip says.

    Attributes:
        rows: of the timing table, those columns that `COLUMNS` names; at least one.
        deaths: workers and processes that died while it was rendered.
        picture: of a frame in the middle; ``None`` where there is none.
    """

    rows: pd.DataFrame
    deaths: frozenset[tuple[int, int]]
    picture: Thumbnail | None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stands in its folder.

    Attributes:
        name: the last two parts of the folder's path, to tell it from others.
        clips: in order.
        pages: ids of clips with a page of their own, among the first `MOST_ROWS`.
        work: of the clips that were looked into, by id, in order.
        unread: clips whose runs cannot be read.
        unseen: clips with frames that were not looked into, because there are so many.
    """

    name: str
    clips: tuple[ClipState, ...]
    pages: frozenset[str]
    work: dict[str, ClipWork]
    unread: int
    unseen: int


def read_batch(folder: StoragePath) -> Batch:
    """Reads a batch, finished or not.

    Raises:
        InputError: there is none, or its table is damaged.
    """
    clips = tuple(ClipTable.read(folder))
    if not clips:
        raise InputError(str(folder), "holds no batch of mouthpiece", "name the folder that was given as --out")
    rendered = [clip for clip in clips if clip.frames]
    wanted = _first(rendered)
    pictured = {clip.id for clip in wanted[:MOST_PICTURES]}
    found = read_many(lambda clip: _read_work(folder / clip.id, pictured=clip.id in pictured), wanted)
    shown = [clip.id for clip in clips[:MOST_ROWS]]
    there = read_many(lambda name: storage.is_file(RunFolder(folder / name).report), shown)
    return Batch(
        name=short_name(str(folder)),
        clips=clips,
        pages=frozenset(name for name, page in zip(shown, there, strict=True) if page),
        work={clip.id: work for clip, work in zip(wanted, found, strict=True) if work is not None},
        unread=sum(work is None for work in found),
        unseen=len(rendered) - len(wanted),
    )


def _first(clips: Sequence[ClipState]) -> list[ClipState]:
    """As many of the clips, from the first, as are looked into."""
    frames = np.cumsum([clip.frames for clip in clips[:MOST_READ]])
    return list(clips[: max(1, int((frames <= MOST_FRAMES).sum()))])


def _read_work(path: StoragePath, *, pictured: bool) -> ClipWork | None:
    folder = RunFolder(path)
    try:
        record = find_run(folder)
        rows = read_timings(folder, record.image_format)
    except InputError:
        return None  # counted, and said on the page
    first, stop = record.frames
    rows = rows[(rows["frame"] >= first) & (rows["frame"] < stop)]
    if rows.empty:
        return None
    middle = int(rows["frame"].iloc[len(rows) // 2])
    strip = read_strip(folder, record.image_format, [middle], first) if pictured else None
    return ClipWork(
        rows=rows[COLUMNS],
        deaths=frozenset((one.worker, one.pid) for one in record.happened.deaths if one.pid is not None),
        picture=strip.pictures[0] if strip and strip.pictures else None,
    )


def all_rows(work: Iterable[ClipWork]) -> pd.DataFrame:
    """The rows of all clips; a range's id begins with the place of its clip, see `clips_of`."""
    return pd.concat([one.rows.assign(range_id=f"{place}:" + one.rows["range_id"]) for place, one in enumerate(work)])


def clips_of(ranges: pd.DataFrame) -> NDArray[np.int64]:
    """The place of each range's clip.

    Args:
        ranges: `jobs.report.busy_times.spans` of `all_rows`.
    """
    return np.array([int(name.partition(":")[0]) for name in ranges["range_id"]], np.int64)


def newest_stretch(ranges: pd.DataFrame) -> pd.DataFrame:
    """The ranges since the last long pause, which lies between two commands.

    Args:
        ranges: `jobs.report.busy_times.spans`.
    """
    pauses = ranges["start"] - ranges["end"].cummax().shift(1) > PAUSE_SECONDS
    return ranges[pauses.cumsum() == pauses.sum()].reset_index(drop=True)
