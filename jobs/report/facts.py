"""The figures of a run as text: output, memory, faults, environment and options."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from actors.core.choices import ImageFormat
from actors.core.ranges import FrameRange
from actors.core.worker_reports import FrameFailure
from jobs.inputs.options import CompositeOptions
from jobs.number_format import number, seconds, size
from jobs.report.run_data import Run
from jobs.run.failures import listed
from jobs.run.figures import Totals
from jobs.run.record import RunRecord
from jobs.run.statistics import face_stats

MOST_LISTED = 50

# Values of options that Python and people spell differently.
WORDS = {"None": "not given", "True": "yes", "False": "no"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its name and what it means."""

    name: str
    value: str
    note: str = ""


def remarks(run: Run, shown: int) -> list[str]:
    """What a reader must know before the figures."""
    record = run.record
    found = []
    if record.status == "running":
        found.append(
            "The record was never closed: the run is still at work, or its driver was killed; then the same command"
            " goes on."
        )
    if record.status == "interrupted":
        found.append("It was interrupted. The same command goes on.")
    if record.reason:
        found.append(f"It ended with: {record.reason}")
    if not shown:
        found.append("The table of timings lists no frame yet, so there are no figures.")
    elif not run.session.by_command:
        found.append(
            "The last command rendered nothing: all it asked for was there. The figures below are about the newest"
            f" {_frames(shown)} in the table."
        )
    elif run.shown.started_at != record.started_at:
        found.append("The last command rendered nothing. The figures below are about the last one that did.")
    elif run.session.earlier:
        found.append(f"Rendered by earlier commands: {_frames(run.session.earlier)}; the figures below leave them out.")
    first, stop = record.frames
    missing = stop - first - run.done - len(record.failures)
    if missing > 0 and record.status in {"complete", "frames_failed"}:
        found.append(f"No longer in the table of timings: {_frames(missing)}; mouthpiece verify says more.")
    return found


def _frames(count: int) -> str:
    return f"{count:,} {'frame' if count == 1 else 'frames'}"


def headline(run: Run, totals: Totals | None, workers: int, shown: int, length: float) -> list[Fact]:
    """The first figures that people look for.

    Args:
        run: the run.
        totals: of the command that rendered what is shown, if it came to its end.
        workers: how many there were.
        shown: frames that the figures are about.
        length: seconds from the first batch to the last frame.
    """
    record, plan = run.record, run.record.plan
    first, stop = record.frames
    failed = f"{len(record.failures):,} failed" if record.failures else ""
    here = f"{shown:,} rendered by the last command" if run.session.by_command else "all rendered by earlier commands"
    faces = face_stats(run.frames["face"])
    note = ", ".join(filter(None, [here, failed, faces.sentence if faces else ""]))
    found = [Fact("frames", f"{run.done:,} of {stop - first:,}", note)]
    if totals:
        found += [
            Fact(
                "fps_steady",
                number(totals.fps_steady),
                f"first range given out to last file, {seconds(totals.steady_s)}",
            ),
            Fact("fps_total", number(totals.fps_total), f"command start to exit, {seconds(totals.seconds)}"),
        ]
    elif shown:
        found.append(Fact("fps", number(shown / length), f"by the table of timings, over {seconds(length)}"))
    device = "CPU" if not record.device.on_gpus else "CUDA"
    gpus = sorted({report.device for report in record.workers_ready if report.device != "cpu"})
    threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
    found.append(
        Fact(
            "workers",
            f"{workers or f'{plan.workers} planned'} on {device}",
            ", ".join([*gpus, f"batch {plan.batch}", f"{threads} each"]),
        )
    )
    made = [str(run.image_format)] if run.image_format is not ImageFormat.NONE else []
    made += ["video"] if record.options.get("video") is True else []
    none = "no frame files" if run.image_format is ImageFormat.NONE else "nothing written yet"
    each = f"{size(run.written)}, {size(run.written / run.done)} a frame" if run.written else ""
    found.append(Fact("output", " + ".join(made) or "timings only", each or none))
    return found


def memory(run: Run) -> list[Fact]:
    """What the backgrounds and the files take."""
    record, blocks = run.record, run.record.plan.blocks
    found = [
        Fact(
            "backgrounds",
            size(record.plan.background_bytes),
            f"{record.clip.backgrounds:,} of them, in {blocks.count} block{'s' if blocks.count > 1 else ''} of up to"
            f" {size(blocks.bytes)}; held once per node, shared by its workers",
        ),
        Fact(
            "object store",
            size(record.cluster.store),
            "holds all blocks at once"
            if blocks.capacity >= blocks.count
            else f"holds {blocks.capacity} of {blocks.count} blocks at a time",
        ),
    ]
    if record.plan.faces:
        found.append(Fact("face encoder", "run once per background", "what it makes is held with the background"))
    if record.cache_bytes:
        again = record.cache_bytes / max(record.plan.background_bytes, 1)
        found.append(
            Fact(
                "loaded",
                size(record.cache_bytes),
                f"{number(again)} times the clip: blocks were dropped or lost, and loaded again"
                if again > 1.01
                else "",
            )
        )
    if run.written:
        found.append(Fact("frame files", size(run.written), f"{size(run.written / run.done)} each on average"))
    return found


def faults(record: RunRecord) -> list[tuple[str, list[str]]]:
    """What went wrong in all of its commands and was dealt with, by kind."""
    happened = record.happened
    kinds = {
        "Workers that died": [str(death) for death in happened.deaths],
        "Ranges given out again": [str(FrameRange(*frames)) for frames in happened.retried],
        "Ranges cut in two after killing twice": [str(FrameRange(*frames)) for frames in happened.split],
        "Blocks of backgrounds that were lost": [str(happened.blocks_lost)] if happened.blocks_lost else [],
        "Frames that failed": listed(FrameFailure(one.frame, one.reason, one.values) for one in record.failures),
    }
    return [(name, _at_most(lines)) for name, lines in kinds.items() if lines]


def _at_most(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    return [*lines[:MOST_LISTED], *more]


def environment(record: RunRecord) -> list[tuple[str, list[Fact]]]:
    """Machines, versions, inputs and options, by group."""
    cluster = record.cluster
    hosts = list(dict.fromkeys(report.host for report in record.workers_ready))
    nodes = "node" if len(cluster.nodes) == 1 else "nodes"
    machine = [
        Fact("device", record.device.provider, record.device.reason),
        Fact("cluster", f"{len(cluster.nodes)} {nodes}, {cluster.cpus:g} CPUs, {cluster.gpus:g} GPUs"),
        *([Fact("workers on", ", ".join(hosts))] if hosts else []),
        *(Fact("processor", kind) for kind in dict.fromkeys(report.cpu for report in record.workers_ready) if kind),
        *(Fact(f"driver's {name}", str(value)) for name, value in record.hardware.items()),
    ]
    inputs = [
        Fact("clip", record.clip.id, f"{record.clip.form}, {record.clip.backgrounds:,} backgrounds"),
        Fact("model", record.model.path, f"sha256 {record.model.sha256}"),
        Fact("kind", str(record.identity.get("kind", ""))),
    ]
    notes = dict.fromkeys([*record.warnings, *(note for report in record.workers_ready for note in report.notes)])
    warnings = [Fact("warning", text) for text in _at_most(list(notes))]
    return [
        ("Machine", machine),
        ("Versions", [Fact(name, version) for name, version in record.versions.items()]),
        ("Inputs", [*inputs, *warnings]),
        ("Options given", options(record, given=True)),
    ]


def options(record: RunRecord, *, given: bool) -> list[Fact]:
    """The options that differ from their defaults, or those that do not."""
    fields = CompositeOptions.model_fields
    found = []
    for name, value in record.options.items():
        usual = name in fields and not fields[name].is_required() and value == fields[name].default
        if usual != given:
            found.append(Fact(name.replace("_", "-"), WORDS.get(str(value), str(value))))
    return found


def date(moment: float) -> str:
    """Unix seconds as a date."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
