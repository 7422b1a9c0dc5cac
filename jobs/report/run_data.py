"""Everything that the report shows of a run, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from actors.core.choices import ImageFormat
from actors.core.errors import InputError
from actors.core.seam import EDGES
from actors.core.timings import STAGES
from actors.files import storage
from actors.files.run_folder import FACES, RunFolder
from jobs.faces.prepared_folder import PAGE, PreparedFolder
from jobs.report.busy_times import CommandFrames, last_session
from jobs.report.thumbnails import Strip, read_strip
from jobs.run.ledger import Ledger
from jobs.run.record import Attempt, RunRecord
from jobs.run.record_file import find_run


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it stands in its folder.

    Attributes:
        name: the last two parts of the folder's path, to tell it from others.
        record: what run.json says.
        shown: the attempt that the figures are about: the last one that rendered something.
        image_format: format of the frame files; none where nothing was composited.
        done: frames among those asked for that the table of timings lists.
        written: bytes of all frame files that it lists.
        frames: rows of the timing table of the frames asked for, one each.
        session: the frames that the figures are about.
        strip: pictures of some frames.
        faces: the page about the faces that were found for the run, from its folder; ``None`` where there is none.
    """

    name: str
    record: RunRecord
    shown: Attempt
    image_format: ImageFormat
    done: int
    written: int
    frames: pd.DataFrame
    session: CommandFrames
    strip: Strip
    faces: str | None


def read_run(out: str) -> Run:
    """Reads a run, finished or not.

    Raises:
        InputError: there is no run, or its record or its timings cannot be used.
    """
    folder = RunFolder.at(out)
    record = find_run(folder)
    image_format = record.image_format
    frames = read_timings(folder, image_format)
    first, stop = record.frames
    asked = frames[(frames["frame"] >= first) & (frames["frame"] < stop)]
    shown, session = _last_attempt(record, frames)
    return Run(
        name=short_name(out),
        record=record,
        shown=shown,
        image_format=image_format,
        done=len(asked),
        written=int(asked["bytes"].sum()),
        frames=asked,
        session=session,
        strip=read_strip(folder, image_format, [int(frame) for frame in asked["frame"]], first),
        faces=f"{FACES}/{PAGE}" if storage.is_file(PreparedFolder(folder.faces).page) else None,
    )


def read_timings(folder: RunFolder, image_format: ImageFormat) -> pd.DataFrame:
    """The timing table of a run, one row for each frame, ascending.

    Raises:
        InputError: it cannot be read, or holds values that cannot be.
    """
    try:
        # Which frames a video needs does not matter here: nothing is compared.
        frames: pd.DataFrame = Ledger(folder, image_format, None).table().to_pandas().drop_duplicates("frame")
    except OSError as error:
        raise InputError(str(folder.timings), f"cannot be read ({error})", "mend it") from error
    times = frames[["started_at", *STAGES]].to_numpy()
    if not ((times >= 0) & (times <= 4e9)).all():
        raise InputError(str(folder.timings), "holds times that are no times", "render the clip again")
    seams = frames["seam"].to_numpy()
    if not (((seams >= 0) & (seams <= 1e9)).all() and set(frames["seam_at"][seams > 0]) <= set(EDGES)):
        raise InputError(str(folder.timings), "holds seams that are no seams", "render the clip again")
    return frames


def short_name(folder: str) -> str:
    """The last two parts of a folder's path, to tell it from others."""
    return "/".join(PurePosixPath(folder).parts[-2:]).lstrip("/")


def _last_attempt(record: RunRecord, frames: pd.DataFrame) -> tuple[Attempt, CommandFrames]:
    """The last attempt that rendered something, with its rows; else the record's own with the newest rows there are."""
    for attempt in (record, *reversed(record.attempts)):
        session = last_session(frames, attempt.started_at)
        if session.by_command:
            return attempt, session
    return record, last_session(frames, record.started_at)


def shown_rows(run: Run) -> pd.DataFrame:
    """The rows of the timing table that the figures are about, with the milliseconds of all stages together."""
    rows = run.session.rows
    return rows.assign(total_ms=rows[list(STAGES)].sum(axis=1))
