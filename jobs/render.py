"""One render, from options to exit code."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from rich.console import Console

import actors
from actors import storage
from actors.backgrounds import BlockRequest
from actors.compositor import WorkerConfig
from actors.core.errors import ExitCode, InputError, StoppedError
from actors.encoding import ImageFormat
from actors.layout import frames_folder, segments_folder, timings_folder, video_path
from actors.proof import NodeProof
from jobs import folder, mux, record, summary
from jobs.clock import STARTED
from jobs.cluster import Offer, connect, offer
from jobs.dispatch import Dispatcher, Moments, Work
from jobs.inputs import Inputs, read_inputs, sources
from jobs.ledger import Ledger, missing
from jobs.options import CompositeOptions
from jobs.placement import Choice, Placement, choose_device, place, room
from jobs.plan import BlockPlan, background_bytes, plan_blocks, plan_ranges
from jobs.progress import Meter, meter
from jobs.scheduler import Patience, Scheduler
from jobs.sound import cut, read_sound


@dataclass(slots=True)
class _Clock:
    """Moments of this process, on `time.perf_counter`."""

    imported: float = field(default_factory=time.perf_counter)
    read: float = 0.0
    joined: float = 0.0


def render(options: CompositeOptions, console: Console) -> ExitCode:
    """Renders what the options say; see `ExitCode` for what the answer means.

    Raises:
        InputError: something given cannot be used; nothing has been written.
        StoppedError: the run cannot go on; what is finished stays valid.
    """
    clock = _Clock()
    out = folder.resolve_out(options.out)
    inputs = read_inputs(options)
    for warning in inputs.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True, highlight=False)
    clock.read = time.perf_counter()
    with connect(options.address, actors) as own_cluster:
        clock.joined = time.perf_counter()
        there = offer()
        choice = choose_device(options.device, there, own_cluster=own_cluster)
        console.print(f"device: {_device_name(choice)} ({choice.reason})", soft_wrap=True, highlight=False)
        identity = inputs.identity(options, choice.provider)
        resumes = folder.check_folder(out, identity, restart=options.restart)
        with folder.held(out) as token:
            run = _Run(options, inputs, out, token, identity, there, choice, clock, console)
            return run.execute(resumes=resumes)


def _device_name(choice: Choice) -> str:
    return choice.provider.removesuffix("ExecutionProvider").lower()


class _Run:
    """The parts of one render that share its inputs; ray is connected and the folder is held."""

    def __init__(
        self,
        options: CompositeOptions,
        inputs: Inputs,
        out: str,
        token: str,
        identity: dict[str, Any],
        there: Offer,
        choice: Choice,
        clock: _Clock,
        console: Console,
    ) -> None:
        self._options = options
        self._inputs = inputs
        self._out = out
        self._token = token
        self._offer = there
        self._choice = choice
        self._clock = clock
        self._console = console
        self._ledger = Ledger(out, options.image_format, inputs.frames if options.video else None)
        self._record: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "status": "running",
            "started_at": time.time(),
            "options": options.model_dump(mode="json"),
            "identity": identity,
            "frames": [inputs.frames.start, inputs.frames.stop],
            "model": {"path": inputs.model, "sha256": inputs.digest, **asdict(inputs.tensors)},
            "clip": {"id": inputs.clip.id, "form": inputs.clip.form, "backgrounds": inputs.clip.backgrounds},
            "warnings": list(inputs.warnings),
            "device": {"provider": choice.provider, "reason": choice.reason},
            "versions": record.versions(),
            "hardware": record.hardware(),
            "cluster": asdict(there),
        }

    def execute(self, *, resumes: bool) -> ExitCode:
        """Renders what is missing and reports it."""
        wanted = range(self._inputs.frames.start, self._inputs.frames.stop)
        todo = self._resume(wanted) if resumes else list(wanted)
        placement = self._place(max(1, len(todo)))
        blocks = self._plan_blocks()
        scheduler = self._schedule(todo, placement, blocks)
        if self._options.restart:
            folder.clear(self._out)
        moments = Moments()
        try:
            folder.make_folders(
                self._out,
                frames=self._options.image_format is not ImageFormat.NONE,
                segments=self._options.video,
            )
            record.write_record(self._out, self._record)
            if todo:
                moments = self._dispatch(scheduler, placement, blocks, len(todo))
        except InputError as error:
            if scheduler.done == 0 and not resumes:
                folder.clear(self._out)
                raise
            # Frames have been delivered, so this is no longer a run that never began.
            self._close("stopped", scheduler, moments, reason=str(error))
            raise StoppedError(str(error), "then run the same command again") from error
        except StoppedError as error:
            self._close("stopped", scheduler, moments, reason=error.reason)
            raise
        except OSError as error:
            raise StoppedError(f"the output cannot be written ({error})", "mend it and run again") from error
        except KeyboardInterrupt:
            self._close("interrupted", scheduler, moments, reason="interrupted")
            raise
        if scheduler.failures:
            self._close("frames_failed", scheduler, moments, reason=f"{len(scheduler.failures)} frames failed")
            self._report_failures(scheduler)
            return ExitCode.FRAMES_FAILED
        if self._options.video:
            self._join()
        self._close("complete", scheduler, moments, reason="")
        self._where()
        return ExitCode.COMPLETE

    def _resume(self, wanted: range) -> list[int]:
        audit = self._ledger.audit()
        for fault in audit.faults:
            self._console.print(f"frame {fault.frame}: {fault.reason}", soft_wrap=True, highlight=False)
        self._ledger.mend(audit)
        todo = missing(wanted, audit)
        self._console.print(f"{len(wanted) - len(todo)} of {len(wanted)} done, rendering {len(todo)}", highlight=False)
        return todo

    def _place(self, frames: int) -> Placement:
        options = self._options
        batch = self._inputs.tensors.batch or options.batch
        return place(
            self._offer,
            self._choice.provider,
            workers=options.workers,
            batch=batch,
            gpus_per_worker=options.gpus_per_worker,
            frames=frames,
        )

    def _plan_blocks(self) -> BlockPlan:
        clip = self._inputs.clip
        each = background_bytes(clip, self._inputs.kind, keep_frames=self._options.composite)
        blocks = plan_blocks(clip.backgrounds, each, self._offer.store)
        total = clip.backgrounds * each
        held = "at once" if blocks.fits else f"{blocks.capacity} of {blocks.count} blocks at a time"
        self._console.print(
            f"backgrounds: {clip.backgrounds}, {total / 2**20:.0f} MiB, held {held}"
            f" (object store {self._offer.store / 2**20:.0f} MiB)",
            highlight=False,
        )
        self._record["plan"] = {"blocks": asdict(blocks), "background_bytes": total}
        return blocks

    def _schedule(self, todo: list[int], placement: Placement, blocks: BlockPlan) -> Scheduler:
        ranges = plan_ranges(todo, placement.workers, placement.batch, blocks.frames)
        self._record["plan"] |= {"ranges": len(ranges), **asdict(placement)}
        return Scheduler(
            ranges,
            lambda frames: self._inputs.pairing.blocks_of(frames, blocks),
            workers=placement.workers,
            capacity=blocks.capacity,
            loaders=max(2, int(self._offer.cpus)),
            patience=Patience(),
        )

    def _dispatch(self, scheduler: Scheduler, placement: Placement, blocks: BlockPlan, todo: int) -> Moments:
        options, inputs = self._options, self._inputs
        config = WorkerConfig(
            model=inputs.model,
            tensors=inputs.tensors,
            kind=inputs.kind,
            provider=self._choice.provider,
            threads=placement.threads,
            batch=placement.batch,
            gpus=placement.gpus,
            interpolation=options.interpolation,
            composite=options.composite,
            image_format=options.image_format,
            quality=options.image_quality,
            video=options.video,
            out=self._out,
            proof=NodeProof(inputs.model, inputs.digest, sources(inputs.clip), self._out, self._token),
        )
        work = Work(
            config=config,
            audio=ray.put(inputs.audio),
            pair=inputs.pairing.backgrounds_of,
            request=lambda block: self._request(block, blocks),
            placement=placement.resources,
            wait=options.wait,
            room=None if options.workers else lambda: room(offer(), self._choice.provider, options.gpus_per_worker),
        )
        with meter(self._console, todo) as shown:
            dispatcher = Dispatcher(scheduler, work, self._ledger.record, lambda: _show(shown, scheduler))
            try:
                dispatcher.run()
            finally:
                self._record["workers_ready"] = [asdict(report) for report in dispatcher.moments.workers]
        for note in dict.fromkeys(note for report in dispatcher.moments.workers for note in report.notes):
            self._console.print(f"warning: {note}", style="yellow", soft_wrap=True, highlight=False)
        return dispatcher.moments

    def _request(self, block: int, blocks: BlockPlan) -> BlockRequest:
        clip = self._inputs.clip
        start, stop = blocks.bounds(block, clip.backgrounds)
        source = clip.frames if clip.frames is not None else clip.planes
        if source is None:
            raise ValueError("a clip has frames or planes")
        rects = (clip.rects or ())[start:stop]
        return BlockRequest(
            start, source.part(start, stop), rects, self._options.interpolation, self._options.composite
        )

    def _join(self) -> None:
        """Joins the segments of this run's frames, and the sound that belongs to them, into the video."""
        inputs = self._inputs
        table = self._ledger.table()
        first, last = inputs.frames.start, inputs.frames.stop
        names = [
            name
            for frame, name in zip(table["frame"].to_pylist(), table["segment"].to_pylist(), strict=True)
            if first <= frame < last
        ]
        segments = [storage.join(segments_folder(self._out), name) for name in dict.fromkeys(names)]
        fps = inputs.kind.fps
        sound = cut(read_sound(inputs.sound), first, last, fps) if inputs.sound else None
        with TemporaryDirectory(prefix="mouthpiece-") as scratch:
            joined = Path(scratch) / "video.mp4"
            mux.join(joined, segments, sound, fps)
            storage.place_file(joined, video_path(self._out))

    def _close(self, status: str, scheduler: Scheduler, moments: Moments, *, reason: str) -> None:
        """Writes the final record and prints the summary."""
        now = time.perf_counter()
        table = summary.frames_of(self._ledger.table())
        since = moments.first_dispatch_unix or time.time()
        rendered = table[table["started_at"] >= since]
        steady = (moments.last_file or since) - since
        reports = moments.workers
        clock = self._clock
        first_dispatch = moments.first_dispatch or now
        cold = summary.ColdStart(
            import_s=clock.imported - STARTED,
            read_s=clock.read - clock.imported,
            ray_s=clock.joined - clock.read,
            session_s=max((report.import_seconds + report.session_seconds for report in reports), default=0.0),
            warm_s=max((report.warm_seconds for report in reports), default=0.0),
            cache_s=moments.load_seconds,
            wait_s=first_dispatch - clock.joined,
            finish_s=max(0.0, now - first_dispatch - steady) if reports else 0.0,
        )
        seconds = now - STARTED
        totals = summary.Totals(
            frames=len(self._inputs.frames),
            rendered=len(rendered),
            failed=len(scheduler.failures),
            seconds=seconds,
            steady_s=steady,
            fps_total=len(rendered) / seconds,
            fps_steady=len(rendered) / steady if steady > 0 else 0.0,
            cold=cold,
        )
        stages = summary.stage_stats(rendered, len(reports), steady)
        workers = summary.worker_stats(rendered)
        self._record |= {
            "status": status,
            "reason": reason,
            "finished_at": time.time(),
            **summary.as_record(totals, stages, workers),
            "failures": [asdict(failure) for failure in scheduler.failures],
            "deaths": scheduler.accounts.deaths,
            "retried": [str(frames) for frames in scheduler.accounts.retried],
            "split": [str(frames) for frames in scheduler.accounts.split],
            "blocks_lost": scheduler.accounts.blocks_lost,
            "cache_bytes": moments.loaded_bytes,
        }
        record.write_record(self._out, self._record)
        summary.print_summary(self._console, totals, stages, workers)

    def _report_failures(self, scheduler: Scheduler) -> None:
        for failure in sorted(scheduler.failures, key=lambda failure: failure.frame):
            self._console.print(f"frame {failure.frame} failed: {failure.reason}", soft_wrap=True, highlight=False)
        if self._options.video:
            self._console.print("no video: it would have holes where frames failed", highlight=False)

    def _where(self) -> None:
        rows = {"video": video_path(self._out) if self._options.video else "", "timings": timings_folder(self._out)}
        if self._options.image_format is not ImageFormat.NONE:
            rows["frames"] = frames_folder(self._out)
        for name, path in rows.items():
            if path:
                self._console.print(f"{name}: {path}", soft_wrap=True, highlight=False)


def _show(shown: Meter, scheduler: Scheduler) -> None:
    waiting = f"{scheduler.ready_workers} of {scheduler.open_slots} workers ready"
    shown.update(scheduler.done + len(scheduler.failures), waiting)
