"""One render, from options to exit code."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import av
import av.error
import ray
import ray.exceptions
from rich.console import Console

import actors
from actors.core.audio_track import AudioTrack
from actors.core.choices import Device, ImageFormat, Precision
from actors.core.errors import ExitCode, InputError, NoCudaError, StoppedError, error_text
from actors.core.ranges import ClipRange
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.network.audio_encoder import EncoderConfig
from actors.rendering.blocks import load_block
from actors.rendering.compositor import Compositor
from jobs.audio.feature_making import encoder_actor, feature_rows, load_features, make_features, window_rows
from jobs.audio.feature_source import EncoderSource
from jobs.cluster.connection import Cluster, ClusterResources, connect
from jobs.cluster.local_ray import LONGEST_MESSAGE
from jobs.cluster.placement import (
    CPU,
    CUDA,
    ChosenDevice,
    Placement,
    choose_device,
    place,
    place_layout,
    wait_for_resources,
    worker_capacity,
)
from jobs.cluster.tuned_layout import profile_key, read_profile
from jobs.console import say
from jobs.inputs.inputs import Inputs, read_inputs
from jobs.inputs.options import CompositeOptions, DeviceChoice
from jobs.planning.preparation import Preparation, plan_preparation
from jobs.planning.range_plan import plan_ranges
from jobs.planning.render_plan import RenderPlan
from jobs.progress_meter import Meter, meter
from jobs.run import record_file
from jobs.run.failures import hopeless, listed
from jobs.run.folder import clear, clear_data, find_folder, holds_run, sweep
from jobs.run.folder_lock import lock_folder
from jobs.run.half_precision import check_precision
from jobs.run.identity_check import check_same_pixels
from jobs.run.ledger import Audit, Ledger
from jobs.run.outcome import Clock, Outcome
from jobs.run.record import RunRecord, Scalar, read_run_record
from jobs.run.record_file import differences
from jobs.run.resume import audit_run
from jobs.run.video_file import is_joined, join_video
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import JobSpec
from jobs.scheduling.scheduler import MAX_RANGE, Patience, Scheduler


def render(options: CompositeOptions, console: Console, started: float) -> ExitCode:
    """Renders what the options say; see `ExitCode` for what the answer means.

    Args:
        options: what to render, and how.
        console: where to print.
        started: when the command began, on `time.perf_counter`: the record's times count from there.

    Raises:
        InputError: something given cannot be used; nothing has been written.
        StoppedError: the run cannot go on; what is finished stays valid.
        KeyboardInterrupt: the run was interrupted; what is finished stays valid.
    """
    clock = Clock(started)
    folder = find_folder(options.out, options.inputs)
    inputs = read_inputs(options)
    for warning in inputs.warnings:
        say(console, f"warning: {warning}", style="yellow")
    exists = holds_run(folder)
    clock.read = time.perf_counter()
    with lock_folder(folder) as lock:
        if not lock.by_file_system:
            say(
                console, f"warning: {folder} has no locks: nobody else must write there until this ends", style="yellow"
            )
        before = read_run_record(folder) if exists and not options.restart else None
        run = _Run(options, inputs, folder, lock.mark, before, clock, console)
        if not run.look():
            run.finish()
            return ExitCode.COMPLETE
        try:
            with connect(options.address, actors, console) as cluster:
                clock.joined = time.perf_counter()
                outcome = run.execute(cluster)
        except InputError:
            # Only now has every worker ended that might still have been writing.
            if not exists:
                with suppress(OSError):
                    clear(folder)
            raise
        run.report(outcome)
    if outcome.error is not None:
        raise outcome.error
    return ExitCode.FRAMES_FAILED if outcome.failures else ExitCode.COMPLETE


class _Run:
    """The parts of one render that share its inputs."""

    def __init__(
        self,
        options: CompositeOptions,
        inputs: Inputs,
        folder: RunFolder,
        mark: str,
        before: RunRecord | None,
        clock: Clock,
        console: Console,
    ) -> None:
        self._options = options
        self._inputs = inputs
        self._folder = folder
        self._mark = mark
        self._before = before
        self._clock = clock
        self._console = console
        self._ledger = Ledger(folder, options.image_format, inputs.frames if options.video else None)
        self._audit: Audit | None = None
        self._todo = list(inputs.frames)
        # But for the device, which the cluster may have to decide.
        self._identity = inputs.identity(options, "")
        self._record = record_file.opening(options, inputs, before)
        if before is not None and before.video is not None and not options.video:
            # It stays part of the run when nobody asks for another.
            self._record["video"] = before.as_written()["video"]

    def look(self) -> list[int]:
        """Finds the frames that are to be rendered. Nothing is started or written.

        Raises:
            InputError: the earlier run in the folder is one of other pixels, or cannot be read.
        """
        before = self._before
        if before is None:
            return self._todo
        given = {DeviceChoice.CPU: CPU, DeviceChoice.CUDA: CUDA}.get(self._options.device)
        self._check_same_pixels(given or before.identity.get("device"))
        self._audit, self._todo = audit_run(self._ledger, self._inputs.frames, self._folder, self._console)
        return self._todo

    def finish(self) -> None:
        """Ends a command that found every frame there: what really rendered them stays in the record.

        Raises:
            StoppedError: the video could not be joined, or the folder cannot be written.
        """
        before = self._before
        if before is None:
            raise RuntimeError("nothing was rendered before")
        said = before.as_written()
        asked = {name: self._record[name] for name in ("options", "frames", "attempts")}
        now = {**said, **asked, "status": "complete", "reason": "", "failures": []}
        try:
            self._mend()
            sweep(self._folder, self._mark)
            if self._options.video and not is_joined(self._folder, self._inputs, before):
                storage.remove_file(self._folder.video)
                now["video"] = self._joined()
            if now != said:
                record_file.write_record(self._folder, now)
        except OSError as error:
            raise _unwritable(error) from error
        self._where()

    def _check_same_pixels(self, device: Scalar) -> None:
        if self._before is not None:
            check_same_pixels(self._before, self._options, {**self._identity, "device": device})

    def _mend(self) -> None:
        if self._audit is not None:
            self._ledger.mend(self._audit)

    def execute(self, cluster: Cluster) -> Outcome:
        """Renders what is missing.

        Raises:
            InputError: something given cannot be used; nothing has been written.
        """
        there = wait_for_resources(cluster, self._options.device, self._options.wait, self._console)
        if self._before is not None and self._options.device is DeviceChoice.AUTO:
            choice = ChosenDevice(str(self._before.identity.get("device", CPU)), "as the run in this folder began")
        else:
            choice = choose_device(self._options.device, there, started_here=cluster.started_here)
        try:
            return self._attempt(cluster, there, choice)
        except NoCudaError as error:
            if self._options.device is not DeviceChoice.AUTO:
                raise
            return self._attempt(cluster, there, choice.without_cuda(error))

    def _attempt(self, cluster: Cluster, there: ClusterResources, choice: ChosenDevice) -> Outcome:
        say(self._console, choice.line)
        before, todo = self._before, self._todo
        if before is not None:
            self._check_same_pixels(choice.provider)
            for change in differences(before.versions, self._record["versions"]):
                say(self._console, f"warning: other software than this run began with: {change}", style="yellow")
        identity = {**self._identity, "device": choice.provider}
        self._record |= {"identity": identity, "device": asdict(choice), "cluster": asdict(there)}
        self._say_silence()
        outcome = Outcome()
        try:
            self._mend()
            ahead = plan_preparation(self._options, self._inputs, choice.provider, todo, there.store)
            self._tell_backgrounds(ahead, there)
            placement = self._place(there, choice, len(todo))
            plan = RenderPlan(self._options, self._inputs, choice.provider, placement, ahead, self._folder, self._mark)
            outcome.scheduler = self._schedule(todo, plan, there)
            self._prepare_folder(clear=self._options.restart)
            self._dispatch(outcome, plan, choice, cluster, there)
        except InputError as error:
            if outcome.scheduler is None or (outcome.scheduler.done == 0 and before is None):
                raise
            # Frames have been delivered, so this is no longer a run that never began.
            outcome.error = StoppedError(str(error), "then run the same command again")
        except KeyboardInterrupt as error:
            cluster.hurry()
            outcome.error = cluster.lost or error
        except StoppedError as error:
            outcome.error = cluster.lost or error
        # Before OSError, which some of Ray's are as well.
        except ray.exceptions.RayError as error:
            said = error_text(error, LONGEST_MESSAGE)
            outcome.error = cluster.lost or StoppedError(f"Ray failed ({said})", "then run again")
        except OSError as error:
            outcome.error = _unwritable(error)
        if outcome.scheduler is None and outcome.error is not None:
            # It never came to rendering: an earlier run's record stays, and a new one would lack its plan.
            raise outcome.error
        return outcome

    def report(self, outcome: Outcome) -> None:
        """Joins the video where every frame is there, writes the final record and says what came of the run.

        Ray is disconnected by now, so nobody writes into the folder any more.
        """
        try:
            sweep(self._folder, self._mark)
            self._ledger.drop_orphans()
            if outcome.error is None and not outcome.failures and self._options.video:
                self._record["video"] = self._joined()
        except OSError as error:
            outcome.error = outcome.error or _unwritable(error)
        except (StoppedError, KeyboardInterrupt) as error:
            outcome.error = outcome.error or error
        try:
            outcome.close(self._console, self._clock, self._record, self._ledger.table(), self._folder)
        except OSError as error:
            outcome.error = outcome.error or _unwritable(error)
            return
        for line in listed(outcome.failures):
            say(self._console, line)
        if outcome.failures and self._options.video:
            say(self._console, "no video: it would have holes where frames failed")
        if outcome.error is None and not outcome.failures:
            self._where()

    def _prepare_folder(self, *, clear: bool) -> None:
        sweep(self._folder, self._mark)
        if clear:
            clear_data(self._folder)
        if self._options.video:
            # What stands there was joined of other frames than those this run will have.
            storage.remove_file(self._folder.video)
        # The record comes before anything that only makes sense with it.
        record_file.write_record(self._folder, self._record)
        self._folder.make_folders(
            frames=self._options.image_format is not ImageFormat.NONE, segments=self._options.video
        )

    def _place(self, there: ClusterResources, choice: ChosenDevice, frames: int) -> Placement:
        options, inputs = self._options, self._inputs
        profile = None
        if options.tuned and not options.layout_given:
            profile = read_profile(profile_key(inputs, options, there, choice.provider))
        if profile is not None:
            say(self._console, f"tuned: {profile.best} (as `tune` found; --no-tuned ignores it)")
            return place_layout(there, choice.provider, profile.best, frames=frames)
        # On CPUs another batch than the export's own gains nothing: it is rewritten only when that is asked for.
        own = inputs.tensors.batch if choice.provider == CPU else None
        return place(
            there,
            choice.provider,
            workers=options.workers,
            threads=options.threads,
            batch=options.batch or own,
            gpus_per_worker=options.gpus_per_worker,
            frames=frames,
        )

    def _say_silence(self) -> None:
        opacities, frames = self._inputs.opacities, self._inputs.frames
        if opacities is not None:
            shown = opacities[frames.start : frames.stop]
            silent, mixed = int((shown == 0).sum()), int(((shown > 0) & (shown < 255)).sum())
            say(self._console, f"silence: {silent} of {len(frames)} frames show the background alone, {mixed} fade")

    def _tell_backgrounds(self, ahead: Preparation, there: ClusterResources) -> None:
        """Says how backgrounds are held, and puts it down."""
        blocks, count = ahead.blocks, self._inputs.clip.backgrounds
        held = "at once" if blocks.fits else f"{blocks.capacity} of {blocks.count} blocks at a time"
        kept = ", what the face encoder makes of them included" if ahead.faces else ""
        say(
            self._console,
            f"backgrounds: {count}, {ahead.bytes / 2**20:.0f} MiB{kept}, held {held}"
            f" (object store {there.store / 2**20:.0f} MiB)",
        )
        self._record["plan"] = {"blocks": asdict(blocks), "background_bytes": ahead.bytes, "faces": ahead.faces}

    def _schedule(self, todo: list[int], plan: RenderPlan, there: ClusterResources) -> Scheduler:
        inputs, placement, blocks = self._inputs, plan.placement, plan.preparation.blocks
        # A range needs only those blocks at once that can be held at once.
        longest = MAX_RANGE if blocks.fits else max(1, blocks.frames // inputs.pairing.step)
        ranges = plan_ranges(todo, placement.workers, placement.batch, longest, inputs.reach)
        self._record["plan"] |= {"ranges": len(ranges), **asdict(placement)}
        return Scheduler(
            [ClipRange(plan.clip_id, frames) for frames in ranges],
            plan.blocks_of,
            workers=placement.workers,
            capacity=blocks.capacity,
            loaders=max(2, int(there.cpus)),
            patience=Patience(),
        )

    def _dispatch(
        self,
        outcome: Outcome,
        plan: RenderPlan,
        choice: ChosenDevice,
        cluster: Cluster,
        there: ClusterResources,
    ) -> None:
        scheduler = outcome.scheduler
        if scheduler is None:
            raise RuntimeError("nothing is scheduled")
        options, placement = self._options, plan.placement
        clip = ray.put(plan.clip(self._heard(placement, choice, there)))
        if options.precision is not Precision.FP32:
            report = check_precision(plan, clip)
            self._record["precision"] = asdict(report)
            say(self._console, f"precision: {options.precision.value}, at most {report.worst} levels from fp32")
        job = JobSpec(
            worker_class=Compositor,
            worker_config=plan.network,
            clip=clip,
            loader=load_block,
            loader_arguments=lambda block: (plan.block(block), plan.inputs.kind),
            nodes=there.rendering,
            worker_resources=placement.resources,
            wait=options.wait,
            cluster_resources=cluster.resources,
            capacity=None
            if options.workers
            else lambda now: min(
                worker_capacity(now, choice.provider, placement.gpus, placement.threads), scheduler.remaining
            ),
            device_flag=choice.asked,
            on_death=lambda death: say(self._console, death.line, style="yellow"),
        )
        with meter(self._console, scheduler.total) as shown:
            Dispatcher(scheduler, job, outcome.moments, self._ledger.record, lambda: self._look(shown, scheduler)).run()

    def _look(self, shown: Meter, scheduler: Scheduler) -> None:
        """Shows how far the run is.

        Raises:
            StoppedError: there is no frame yet that could be delivered, and no hope of one.
        """
        waiting = f"{scheduler.ready_workers} of {scheduler.open_slots} workers ready"
        shown.update(scheduler.done + len(scheduler.failures), waiting)
        first = scheduler.done == 0 and scheduler.total == len(self._inputs.frames)
        if first and (error := hopeless(scheduler.failures, scheduler.remaining, self._inputs.kind.value_range)):
            raise error

    def _heard(self, placement: Placement, choice: ChosenDevice, there: ClusterResources) -> AudioTrack:
        """What drives the mouth: as it was given, as an earlier run kept it, or as the recording is heard now."""
        audio, kind = self._inputs.audio, self._inputs.kind
        if isinstance(audio, AudioTrack):
            return replace(audio, opacities=self._inputs.opacities)
        folder = str(self._folder.features)
        rows = load_features(folder, audio, kind)
        if rows is not None:
            say(self._console, f"features: {len(rows)} rows, kept by an earlier run")
            return AudioTrack(rows, None, self._inputs.opacities)
        if isinstance(audio, EncoderSource):
            # Nobody renders yet: on CPUs the encoder may have all cores of a node.
            threads = max(1, int(there.smallest_node_cpus)) if choice.provider == CPU else 1
            cpus = float(threads) if there.cpus and choice.provider == CPU else placement.resources["num_cpus"]
            config = EncoderConfig(
                audio.encoder, audio.tensors, Device.of_provider(choice.provider), threads, placement.gpus
            )
            with encoder_actor(config, cpus=cpus, wait=self._options.wait) as encode:
                rows = make_features(folder, audio, kind, feature_rows(audio, kind, encode))
                if remark := encode.remark():
                    self._record["warnings"].append(remark)
                    say(self._console, f"warning: {remark}", style="yellow")
        else:
            rows = make_features(folder, audio, kind, window_rows(audio, kind))
        say(self._console, f"features: {len(rows)} rows of {audio.recording.path}")
        return AudioTrack(rows, None, self._inputs.opacities)

    def _joined(self) -> dict[str, Any]:
        try:
            return join_video(self._folder, self._inputs, self._ledger.table())
        except (InputError, ValueError, av.error.FFmpegError) as error:
            raise StoppedError(f"the video could not be joined ({error})", "then run the same command again") from error

    def _where(self) -> None:
        rows = {"video": self._folder.video if self._options.video else None, "timings": self._folder.timings}
        if self._options.image_format is not ImageFormat.NONE:
            rows["frames"] = self._folder.frames
        for name, path in rows.items():
            if path:
                say(self._console, f"{name}: {path}")


def _unwritable(error: OSError) -> StoppedError:
    return StoppedError(f"the output cannot be written ({error})", "mend it and run the same command again")
