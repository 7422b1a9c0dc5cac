"""The page about a batch: its clips in a table, pictures of some, and who worked when over all of them.

Like the page about a run it does not depend on when or where it is made, and loads nothing but what it links to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from actors.files import storage
from jobs.number_format import number, seconds
from jobs.report import charts
from jobs.report.batch_data import MOST_ROWS, Batch, all_rows, clips_of, newest_stretch, read_batch
from jobs.report.batch_lanes import clip_lanes
from jobs.report.busy_times import finish_times, spans
from jobs.report.facts import Fact, date
from jobs.report.frame_rate import rate
from jobs.report.templates import render
from jobs.report.thumbnails import Thumbnail
from jobs.report.write import write_page
from jobs.run.clip_ids import PAGE
from jobs.run.clip_table import ClipState, ClipStatus

# How a clip ended, with a sign for those who cannot tell the colours.
MARKS = {ClipStatus.DONE: "✓", ClipStatus.FAILED: "!", ClipStatus.STOPPED: "✗", ClipStatus.WAITING: "…"}

# What the whole is, by the first of these that a clip is.
WHOLE = {
    ClipStatus.STOPPED: "stopped",
    ClipStatus.WAITING: "not finished",
    ClipStatus.FAILED: "failed",
    ClipStatus.DONE: "complete",
}
MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A line of the table; ``page`` is where the clip's own page is, empty without one."""

    id: str
    page: str
    state: str
    mark: str
    frames: str
    failed: str
    seconds: str
    fps: str
    started: str
    error: str


@dataclass(frozen=True, slots=True)
class Pictured:
    """A picture of a clip, and where its own page is, empty without one."""

    id: str
    page: str
    picture: Thumbnail


def write_batch_report(batch: str) -> str:
    """Writes the page about the batch in a folder, and says where it is.

    Args:
        batch: absolute path or URI of the folder.

    Raises:
        InputError: there is no batch, its table is damaged, or the page cannot be written.
    """
    folder = storage.locate(batch)
    return write_page(folder / PAGE, render_batch_page(read_batch(folder)))


def render_batch_page(batch: Batch) -> str:
    """The page, as one HTML document."""
    states = {clip.state for clip in batch.clips}
    whole = next(state for state in WHOLE if state in states)
    started = [clip.started for clip in batch.clips if clip.started is not None]
    failed = [clip for clip in batch.clips if clip.state is ClipStatus.FAILED or clip.failed_frames]
    return render(
        "batch.html",
        {
            "name": batch.name,
            "mark": MARKS[whole],
            "status": f"{_counted(len(failed))} failed" if whole is ClipStatus.FAILED else WHOLE[whole],
            "good": whole is ClipStatus.DONE,
            "when": date(min(started)) if started else "",
            "remarks": _remarks(batch),
            "facts": _headline(batch.clips),
            "failed": [_row(clip, batch) for clip in failed[:MOST_LISTED]],
            "failed_left_out": max(0, len(failed) - MOST_LISTED),
            "pictures": [
                Pictured(name, _page(name, batch), work.picture) for name, work in batch.work.items() if work.picture
            ],
            "rows": [_row(clip, batch) for clip in batch.clips[:MOST_ROWS]],
            "rows_left_out": max(0, len(batch.clips) - MOST_ROWS),
            **_timeline(batch),
        },
    )


def _timeline(batch: Batch) -> dict[str, Any]:
    """What the template draws of who worked when."""
    if not batch.work:
        return {"lanes": [], "lanes_left_out": 0, "marks": (), "curve": None, "earlier": 0}
    work = list(batch.work.values())
    rows = all_rows(work)
    every = spans(rows)
    ranges = newest_stretch(every)
    began = float(ranges["start"].min())
    length = max(float(ranges["end"].max()) - began, 1e-3)
    done = finish_times(rows, every).to_numpy() - began
    dead = {death for one in work for death in one.deaths}
    lanes = clip_lanes(ranges, clips_of(ranges), list(batch.work), dead, length)
    return {
        "lanes": lanes,
        "lanes_left_out": ranges.groupby(["worker", "node"], observed=True).ngroups - len(lanes),
        "marks": charts.time_marks(length),
        "curve": charts.draw_rate(rate(done[done >= 0.0].tolist(), length)),
        "earlier": int(every["frames"].sum() - ranges["frames"].sum()),
    }


def _remarks(batch: Batch) -> list[str]:
    """What a reader must know before the figures."""
    counts = {state: sum(clip.state is state for clip in batch.clips) for state in ClipStatus}
    found = []
    if counts[ClipStatus.WAITING] or counts[ClipStatus.STOPPED]:
        left = counts[ClipStatus.WAITING] + counts[ClipStatus.STOPPED]
        found.append(f"{_clips(left)} not finished. The same command goes on.")
    if batch.unread:
        found.append(f"{_clips(batch.unread)} left out of pictures and timeline: the runs cannot be read.")
    if batch.unseen:
        found.append(
            f"{_clips(batch.unseen)} left out of pictures and timeline: the first {len(batch.work):,} are shown."
        )
    return found


def _counted(count: int) -> str:
    return f"{count:,} {'clip' if count == 1 else 'clips'}"


def _clips(count: int) -> str:
    return f"{_counted(count)} {'is' if count == 1 else 'are'}"


def _headline(clips: Sequence[ClipState]) -> list[Fact]:
    """The first figures that people look for."""
    done = sum(clip.state is ClipStatus.DONE for clip in clips)
    failed = sum(clip.state is ClipStatus.FAILED for clip in clips)
    frames, failed_frames = sum(clip.frames for clip in clips), sum(clip.failed_frames for clip in clips)
    busy = open_seconds(clips)
    return [
        Fact("clips done", f"{done:,} of {len(clips):,}", f"{failed:,} failed" if failed else ""),
        Fact("frames", f"{frames:,}", f"{failed_frames:,} failed" if failed_frames else ""),
        Fact("time", seconds(busy) if busy else "none", "in which at least one clip was open"),
        Fact("fps", number(frames / busy) if busy else "none", "all frames over this time"),
    ]


def open_seconds(clips: Sequence[ClipState]) -> float:
    """How long at least one clip was being rendered."""
    times = sorted((clip.started, clip.ended) for clip in clips if clip.started is not None and clip.ended is not None)
    total, until = 0.0, float("-inf")
    for started, ended in times:
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total


def _row(clip: ClipState, batch: Batch) -> ClipRow:
    return ClipRow(
        id=clip.id,
        page=_page(clip.id, batch),
        state=clip.state.value,
        mark=MARKS[clip.state],
        frames=f"{clip.frames:,}",
        failed=f"{clip.failed_frames:,}" if clip.failed_frames else "",
        seconds=seconds(clip.seconds) if clip.seconds else "",
        fps=number(clip.fps) if clip.fps else "",
        started="" if clip.started is None else date(clip.started),
        error=clip.error,
    )


def _page(name: str, batch: Batch) -> str:
    """Where a clip's own page is, as a link from the batch's."""
    return f"{quote(name)}/{PAGE}" if name in batch.pages else ""
