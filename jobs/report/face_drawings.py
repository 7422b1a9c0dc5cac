"""The dubbed face over the frames, as drawings: where its box is, how sure its finder is, and where it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import FaceOrigin
from jobs.faces.dubbing import DubbedFace
from jobs.faces.tracks import Track
from jobs.report.charts import Box, Mark
from jobs.report.scale import Axis, tick, time_axis, value_axis

# Columns of a drawing at most. Frames that share one are drawn as their mean.
MOST_COLUMNS = 500
# Parts of it that say what they show.
MOST_PARTS = 150
# Beyond so many lines of cuts nothing else would be seen.
MOST_CUTS = 100

FRAME_TICKS = 6
VALUE_TICKS = 4

# Widths of a score's bar in the histogram.
SCORE_STEP = 0.05


@dataclass(frozen=True, slots=True)
class FaceLine:
    """A value of the dubbed face over the frames.

    Attributes:
        name: the value with its unit.
        text: the whole in words.
        curves: class, name and outline of each as an SVG path; there is one without a name, or several.
        marks: of the vertical axis.
    """

    name: str
    text: str
    curves: tuple[tuple[str, str, str], ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class ScoreBar:
    """A bar of the histogram: its place in percent of the width and height, and its text."""

    box: Box
    text: str


def columns(frames: int) -> NDArray[np.int64]:
    """The column of every frame."""
    return np.arange(frames) * min(frames, MOST_COLUMNS) // frames


def draw_origins(origins: Sequence[FaceOrigin]) -> tuple[Box, ...]:
    """A strip of columns, each filled from below with the shares of its frames by how the face came about."""
    place = columns(len(origins))
    count = int(place[-1]) + 1
    whole = np.bincount(place, minlength=count)
    shares = [
        (origin, np.bincount(place, [each is origin for each in origins], count) / whole)
        for origin in (FaceOrigin.DETECTED, FaceOrigin.INTERPOLATED)
    ]
    rows = list(zip(*(share.tolist() for _, share in shares), strict=True))
    found: list[Box] = []
    start = 0
    for stop in range(1, count + 1):
        if stop < count and rows[stop] == rows[start]:
            continue
        left, right, top = start * 1000 / count, stop * 1000 / count, 100.0
        for (origin, _), share in zip(shares, rows[start], strict=True):
            if share:
                top -= share * 100
                found.append(
                    Box(origin.value, round(left, 2), round(top, 1), round(right - left, 2), round(share * 100, 1))
                )
        start = stop
    return tuple(found)


def draw_track(track: Track, seen: NDArray[np.int64], frames: int) -> tuple[Box, ...]:
    """The columns on which a face is seen; ``seen`` are its frames."""
    place = columns(frames)
    count = int(place[-1]) + 1
    there = np.zeros(count + 1, bool)
    there[place[seen]] = True
    edges = np.flatnonzero(np.diff(there, prepend=False)).tolist()
    name = f"face-{track.number}"
    return tuple(
        Box(name, round(first * 1000 / count, 2), 0, round((stop - first) * 1000 / count, 2), 100)
        for first, stop in zip(edges[::2], edges[1::2], strict=True)
    )


def draw_values(
    values: NDArray[np.float32], tracks: NDArray[np.int64], axis: Axis, *, down: bool = False
) -> tuple[str, tuple[Mark, ...]]:
    """A value as steps, broken where the face is missing or another one follows, and the marks of its axis.

    Args:
        values: ``(frames,)``, NaN where there is none.
        tracks: ``(frames,)``, the number of the face, 0 where there is none.
        axis: of the values.
        down: whether values grow downwards, as rows of a picture do.
    """
    place = columns(len(values))
    count = int(place[-1]) + 1
    known = np.isfinite(values)
    sums = np.bincount(place[known], values[known].astype(np.float64), count)
    frames = np.bincount(place[known], minlength=count)
    faces = np.zeros(count, np.int64)
    faces[place[known]] = tracks[known]
    path: list[str] = []
    before = 0
    for column in np.flatnonzero(frames).tolist():
        up = axis.percent(sums[column] / frames[column])
        top = up if down else 100 - up
        joins = column > 0 and frames[column - 1] and faces[column] == before
        path.append(f"{'L' if joins else 'M'}{column * 1000 / count:.1f},{top:.1f}H{(column + 1) * 1000 / count:.1f}")
        before = int(faces[column])
    marks = (
        Mark(axis.percent(each) if down else round(100 - axis.percent(each), 2), tick(each)) for each in axis.ticks
    )
    return "".join(path), tuple(marks)


def draw_lines(dubbed: DubbedFace, size: tuple[int, int]) -> tuple[FaceLine, ...]:
    """Centre, height and certainty of the dubbed face."""
    path = dubbed.path
    x0, y0, x1, y1 = path.extents.T
    height = y1 - y0
    found = []
    for name, values, axis, down in (
        ("centre, from the left, px", (x0 + x1) / 2, time_axis(size[0], VALUE_TICKS), False),
        ("centre, from the top, px", (y0 + y1) / 2, time_axis(size[1], VALUE_TICKS), True),
        ("height, px", height, value_axis(float(np.nanmax(height)), VALUE_TICKS), False),
    ):
        drawn, marks = draw_values(values, path.tracks, axis, down=down)
        text = f"between {np.nanmin(values):,.0f} and {np.nanmax(values):,.0f}, {np.nanmedian(values):,.0f} median"
        found.append(FaceLine(name, text, (("", "", drawn),), marks))
    certain = time_axis(1, VALUE_TICKS)
    score, marks = draw_values(path.scores, path.tracks, certain)
    presence, _ = draw_values(path.presence, path.tracks, certain)
    text = f"score at least {np.nanmin(path.scores):.2f}, presence at least {np.nanmin(path.presence):.2f}"
    found.append(FaceLine("how sure", text, (("score", "score", score), ("presence", "presence", presence)), marks))
    return tuple(found)


def draw_parts(dubbed: DubbedFace) -> tuple[tuple[Box, str], ...]:
    """Parts of the frames, each with what it shows in words."""
    path, frames = dubbed.path, len(dubbed.path)
    count = min(frames, MOST_PARTS)
    edges = [i * frames // count for i in range(count + 1)]
    found = []
    for first, stop in pairwise(edges):
        which = f"frame {first}" if stop == first + 1 else f"frames {first} to {stop - 1}"
        words = [f"{which}, {dubbed.times[first]:.2f} s"]
        for origin in FaceOrigin:
            many = path.origins[first:stop].count(origin)
            words += [f"{many} {origin.value}"] if many else []
        known = path.tracks[first:stop] > 0
        if known.any():
            faces = np.unique(path.tracks[first:stop][known]).tolist()
            words.append(f"face {', '.join(map(str, faces))}")
            x0, y0, x1, y1 = path.extents[first:stop][known].astype(np.float64).mean(axis=0)
            words.append(f"centre {(x0 + x1) / 2:.0f},{(y0 + y1) / 2:.0f}, height {y1 - y0:.0f} px")
            words.append(f"score {path.scores[first:stop][known].mean():.2f}")
        left, right = first * 1000 / frames, stop * 1000 / frames
        found.append((Box("", round(left, 1), 0, round(right - left, 1), 100), "; ".join(words)))
    return tuple(found)


def draw_scores(dubbed: DubbedFace) -> tuple[ScoreBar, ...]:
    """How often the detector was how sure of the dubbed face, on the frames on which it was found."""
    seen = [origin is FaceOrigin.DETECTED for origin in dubbed.path.origins]
    scores = dubbed.path.scores[seen].astype(np.float64)
    count = round(1 / SCORE_STEP)
    bars = np.bincount(np.minimum((scores / SCORE_STEP).astype(np.int64), count - 1), minlength=count)
    first = int(np.flatnonzero(bars)[0])
    width = 1000 / (count - first)
    most = int(bars.max())
    found = []
    for i in range(first, count):
        height = round(int(bars[i]) / most * 100, 1)
        box = Box(
            "", round((i - first) * width + width * 0.04, 1), round(100 - height, 1), round(width * 0.92, 1), height
        )
        low, high = i * SCORE_STEP, (i + 1) * SCORE_STEP
        found.append(ScoreBar(box, f"{low:.2f} to {high:.2f}: {int(bars[i]):,} frames"))
    return tuple(found)


def frame_marks(dubbed: DubbedFace) -> tuple[Mark, ...]:
    """Labels of the axis that all drawings share: frame and time."""
    frames = len(dubbed.path)
    axis = time_axis(frames, min(FRAME_TICKS, frames))
    found = []
    for value in axis.ticks:
        frame = round(value)
        text = "frame 0" if frame == 0 else f"{frame:,} · {dubbed.times[min(frame, frames - 1)]:,.1f} s"
        found.append(Mark(axis.percent(value), text))
    return tuple(found)


def cut_lines(dubbed: DubbedFace) -> tuple[float, ...]:
    """Where the cuts are, in thousandths of the width; none where there are too many to be seen."""
    axis = Axis(len(dubbed.path), ())
    return tuple(round(axis.percent(cut) * 10, 1) for cut in dubbed.cuts) if len(dubbed.cuts) <= MOST_CUTS else ()
