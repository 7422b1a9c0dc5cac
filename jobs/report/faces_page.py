"""The page about the faces of some footage: who is there when, which face is dubbed, and where it is missing.

Like the page about a run it depends on the folder alone: the same faces give the same page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from actors.core.choices import Covered, FaceRule
from actors.core.faces import FaceOrigin
from actors.core.pixels import Image
from jobs.faces.choice import ChosenShot, FacePoint
from jobs.faces.contact_sheet import cut_pictures, plan_sheet
from jobs.faces.dubbing import DubbedFace, FaceRules
from jobs.faces.face_changes import FaceChange, face_changes
from jobs.faces.prepared_folder import FacesRecord
from jobs.faces.stretches import Stretch, covered_stretches, origin_stretches
from jobs.number_format import seconds
from jobs.report import face_drawings
from jobs.report.charts import Box
from jobs.report.facts import Fact
from jobs.report.templates import render
from jobs.report.thumbnails import Thumbnail, thumbnail

# Lines of a table at most.
MOST_LINES = 100

Row: TypeAlias = tuple[str, ...]

# The face of a shot that a rule takes.
TAKES = {FaceRule.LARGEST: "the largest", FaceRule.LEFT: "the leftmost", FaceRule.RIGHT: "the rightmost"}


@dataclass(frozen=True, slots=True)
class Card:
    """A face with its picture, if there is one, and the frames on which it is seen."""

    name: str
    lines: tuple[str, ...]
    dubbed: bool
    picture: Thumbnail | None
    seen: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """A table.

    Attributes:
        head: names of its columns.
        rows: of text.
        left_out: how many more there are.
    """

    head: Row
    rows: tuple[Row, ...]
    left_out: int = 0

    @classmethod
    def of(cls, head: Row, rows: Sequence[Row]) -> Lines:
        """The first rows of a table."""
        return cls(head, tuple(rows[:MOST_LINES]), max(len(rows) - MOST_LINES, 0))


def render_faces_page(record: FacesRecord, dubbed: DubbedFace, sheet: bytes | None) -> str:
    """The page, as one HTML document.

    Args:
        record: of the folder.
        dubbed: the faces.
        sheet: content of the contact sheet; ``None`` where it is missing or damaged.
    """
    footage = record.footage
    size = footage.width, footage.height
    plan = plan_sheet(dubbed, size)
    pictures = None if sheet is None else cut_pictures(sheet, plan)
    shown = dict(zip(plan.cells, pictures or (), strict=False))
    tracks = {track.number: track for track in dubbed.tracks}
    frames = len(dubbed.path)
    none = dubbed.count(FaceOrigin.NONE)
    stretches = {origin: origin_stretches(dubbed.path.origins, origin, dubbed.times) for origin in FaceOrigin}
    whole = Stretch.of(0, frames, dubbed.times)
    context: dict[str, Any] = {
        "name": footage.name,
        "good": none == 0,
        "status": "the face is on every frame" if none == 0 else f"{none:,} frames without the face",
        "about": ", ".join(
            [
                f"{frames:,} frames" if frames > 1 else "1 frame",
                f"{footage.width}x{footage.height}",
                "images" if footage.rate is None else f"{float(footage.rate):.4g} fps",
                seconds(whole.seconds),
            ]
        ),
        "facts": _facts(dubbed),
        "rules": _rules(dubbed.rules),
        "heading": plan.heading,
        "cards": [
            Card(
                cell.name,
                cell.lines,
                cell.dubbed,
                _thumbnail(cell.frame, shown.get(cell)),
                face_drawings.draw_track(tracks[cell.key], dubbed.found.frame[tracks[cell.key].rows], frames),
            )
            for cell in plan.faces
        ],
        "gaps": [
            Card(cell.name, cell.lines, dubbed=False, picture=_thumbnail(cell.frame, shown.get(cell)))
            for cell in plan.gaps
        ],
        "no_pictures": pictures is None,
        "strip": face_drawings.draw_origins(dubbed.path.origins),
        "lines": face_drawings.draw_lines(dubbed, size),
        "parts": face_drawings.draw_parts(dubbed),
        "cut_lines": face_drawings.cut_lines(dubbed),
        "cuts_hidden": len(dubbed.cuts) > face_drawings.MOST_CUTS,
        "marks": face_drawings.frame_marks(dubbed),
        "shots": Lines.of(
            ("shot", "frames", "from", "for", "dubbed", "decided by"),
            [_shot(i, shot, dubbed) for i, shot in enumerate(dubbed.shots, 1)],
        ),
        "changes": Lines.of(("frame", "at", "what", ""), [_change(each, dubbed) for each in face_changes(dubbed)]),
        "absent": Lines.of(
            ("frames", "from", "for", "why"),
            [(*_when(each), _why(each, dubbed)) for each in stretches[FaceOrigin.NONE]],
        ),
        "interpolated": Lines.of(
            ("frames", "from", "for"), [_when(each) for each in stretches[FaceOrigin.INTERPOLATED]]
        ),
        "covered": Lines.of(
            ("frames", "from", "for"),
            [_when(each) for each in covered_stretches(dubbed.found, dubbed.rows, dubbed.times)],
        ),
        "passthrough": dubbed.rules.covered is Covered.PASSTHROUGH,
        "scores": face_drawings.draw_scores(dubbed),
    }
    return render("faces.html", context)


def _facts(dubbed: DubbedFace) -> list[Fact]:
    frames = len(dubbed.path)
    found = []
    for name, origin, note in (
        ("face detected", FaceOrigin.DETECTED, "found on the frame itself"),
        ("interpolated", FaceOrigin.INTERPOLATED, f"gaps of {dubbed.rules.gap:g} s or less"),
        ("without the face", FaceOrigin.NONE, "shown as they are"),
    ):
        count = dubbed.count(origin)
        found.append(Fact(name, f"{count:,}", f"{count / frames:.1%} of {frames:,} frames; {note}"))
    numbers = sorted(dubbed.numbers)
    listed = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    found.append(Fact("faces", f"{len(dubbed.tracks):,}", f"dubbed: {listed}"))
    shots = f"{len(dubbed.shots):,} shots" if dubbed.cuts else "one shot"
    found.append(Fact("cuts", f"{len(dubbed.cuts):,}", shots))
    return found


def _rules(rules: FaceRules) -> list[Fact]:
    choice = rules.choice
    if isinstance(choice, FacePoint):
        face = Fact("face", f"at {choice.x},{choice.y} on frame {choice.frame}", "--face-at; other shots: the largest")
    elif isinstance(choice, FaceRule):
        face = Fact("face", TAKES[choice], "--face; decided for each shot")
    else:
        face = Fact("face", f"number {choice}", "--face; other shots: the largest")
    covered = {Covered.RENDER: "rendered nevertheless", Covered.PASSTHROUGH: "counts as no face"}
    return [
        face,
        Fact("longest gap", f"{rules.gap:g} s", "--face-gap; longer ones show the frames as they are"),
        Fact("covered mouth", covered[rules.covered], "--covered"),
    ]


def _shot(place: int, shot: ChosenShot, dubbed: DubbedFace) -> Row:
    faces = ", ".join(map(str, shot.tracks)) or "none"
    return (str(place), *_when(Stretch.of(shot.first, shot.stop, dubbed.times)), faces, _decided(shot, dubbed.rules))


def _decided(shot: ChosenShot, rules: FaceRules) -> str:
    """The rule that decided which face is dubbed in a shot."""
    choice = rules.choice
    if not shot.tracks:
        return "nobody is there"
    if isinstance(choice, FaceRule):
        return TAKES[choice]
    if not shot.named:
        return "the largest: the face that was named is in another shot"
    return (
        f"named: --face-at {choice.x},{choice.y},{choice.frame}"
        if isinstance(choice, FacePoint)
        else f"named: --face {choice}"
    )


def _change(change: FaceChange, dubbed: DubbedFace) -> Row:
    what = f"face {change.face} {change.change.value}"
    if change.heights is not None:
        what += f": {change.heights[0]:.0f} to {change.heights[1]:.0f} px high"
    notes = [*(["dubbed"] if change.dubbed else []), *(["cut"] if change.frame in dubbed.cuts else [])]
    return f"{change.frame:,}", f"{dubbed.times[change.frame]:,.2f} s", what, ", ".join(notes)


def _when(stretch: Stretch) -> Row:
    which = f"{stretch.first:,}" if stretch.last == stretch.first else f"{stretch.first:,} to {stretch.last:,}"
    return which, f"{stretch.start:,.2f} s", seconds(stretch.seconds)


def _why(stretch: Stretch, dubbed: DubbedFace) -> str:
    """Why a stretch is without the face: its mouth is covered, another face is there, or the best score is too low."""
    frames = slice(stretch.first, stretch.stop)
    covered = int((dubbed.rows[frames] >= 0).sum())
    if covered == stretch.stop - stretch.first:
        return "the mouth is covered"
    words = [f"the mouth is covered on {covered} of them"] if covered else []
    first, stop = dubbed.found.frame.searchsorted([stretch.first, stretch.stop])
    others = int(stop - first) - covered
    if others:
        words.append("another face is there")
    else:
        words.append(f"nobody is found, best score {dubbed.found.best[frames].max():.2f}")
    return "; ".join(words)


def _thumbnail(frame: int, picture: Image | None) -> Thumbnail | None:
    return None if picture is None else thumbnail(frame, picture[:, :, ::-1])
