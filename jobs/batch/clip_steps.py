"""The steps of a clip beside those of others: read, begin, describe, end. Each needs nothing but what it is given."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from actors.core.audio_track import AudioTrack
from actors.core.errors import InputError, StoppedError
from actors.files import storage
from actors.files.digests import text_digest
from actors.files.run_folder import FACES, RECORD, RunFolder
from actors.files.storage import StoragePath
from actors.rendering.blocks import BlockRequest
from actors.rendering.worker_config import ClipConfig
from jobs.audio.encoder_actor import SharedEncoders
from jobs.audio.feature_making import load_features
from jobs.audio.feature_source import FeatureSource
from jobs.cluster.connection import Cluster, ClusterResources
from jobs.cluster.layout import Layout
from jobs.cluster.placement import ChosenDevice
from jobs.cluster.ray_thread import RayConnection
from jobs.cluster.tuned_layout import profile_key, read_profile
from jobs.console import silent
from jobs.inputs.inputs import Inputs, read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.inputs.shared_reads import SharedReads
from jobs.planning.preparation import BackgroundSizes, Demand, background_set, background_sizes, demand_of
from jobs.planning.render_plan import RenderPlan
from jobs.run.audio_features import load_audio
from jobs.run.clip_faces import ClipFaces
from jobs.run.decide import RenderRequest, SharedPlan, decide
from jobs.run.execute import Outcome
from jobs.run.failures import listed
from jobs.run.finish import StartTimes, finish, finish_rendered
from jobs.run.folder import clear, find_folder, holds_record
from jobs.run.opening import Opening, prepare_folder
from jobs.run.record_file import find_run, read_run_record
from jobs.run.resume import Remaining, audit_run
from jobs.scheduling.milestones import Milestones

# Blocks whose requests lie together in the object store: a loader reads all of these for one of them.
CHUNK = 16


@dataclass(frozen=True, slots=True)
class Site:
    """Where clips are rendered.

    Attributes:
        resources: of the cluster.
        choice: what networks run on, and why.
        faces: folder in which faces that are found for several clips are kept.
    """

    resources: ClusterResources
    choice: ChosenDevice
    faces: StoragePath


@dataclass(frozen=True, slots=True)
class ReadClip:
    """A clip that can be rendered, as far as reading it tells."""

    options: CompositeOptions
    inputs: Inputs
    folder: RunFolder


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the driver learns of a clip that was read.

    Attributes:
        frames: output frames that are asked for.
        demand: what these need of its backgrounds.
        sizes: what its backgrounds take.
        backgrounds: names what blocks hold of them; clips of one name can share them.
        network: names its network.
        own_batch: the batch to which the network's export is fixed, if it is.
        tuned: the layout that `tune` has found for it, if any.
        seconds: how long reading took.
    """

    frames: int
    demand: Demand
    sizes: BackgroundSizes
    backgrounds: str
    network: str
    own_batch: int | None
    tuned: Layout | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Start:
    """What is decided of a clip when its turn comes.

    Attributes:
        mark: name of the driver's file in its folder.
        shared: what it has in common with others.
        started_at: when its turn came, in Unix seconds.
    """

    mark: str
    shared: SharedPlan
    started_at: float


@dataclass(frozen=True, slots=True)
class Rendered:
    """A clip of which nothing was left to render.

    Attributes:
        frames: output frames that are there.
        seconds: what the command took that rendered the last of them; 0 where it came to no end.
        fps: frames per second while it did.
        started: when that began, in Unix seconds.
        ended: when it ended.
    """

    frames: int
    seconds: float
    fps: float
    started: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a clip.

    Attributes:
        status: as in its record.
        frames: output frames that are there.
        failed: output frames that could not be rendered.
        seconds: from its turn to its end.
        fps: frames per second while it was rendered.
        error: what went wrong, in one line; empty where nothing did.
    """

    status: str
    frames: int
    failed: int
    seconds: float
    fps: float
    error: str


def read(options: CompositeOptions, site: Site, shared: SharedReads) -> tuple[Verdict, ReadClip]:
    """Reads and checks all that a clip is made of, and what an earlier run left of it. Nothing of the run is written.

    Args:
        options: of the clip, whose ``out`` is its folder.
        site: where it is to be rendered.
        shared: what was read for other clips.

    Raises:
        InputError: something cannot be used, or the run in its folder is one of other pixels.
        StoppedError: faces could not be found.
    """
    began = time.perf_counter()
    folder = find_folder(options.out, options.inputs)
    cluster = Cluster(RayConnection(), started_here=False)
    found = site.faces / faces_name(options)
    # Beside workers no task of the search would ever get a CPU of its own.
    faces = ClipFaces(options, folder, lambda: None, lambda: cluster, silent(), found, share=0.0)
    inputs = read_inputs(options, faces.boxes, shared)
    if holds_record(folder.path, RECORD, "run", {FACES}) and not options.restart:
        request = RenderRequest(options, inputs, folder, "", time.time(), read_run_record(folder))
        request.check_same_pixels(request.given_device)
    device = site.choice.device
    profile = None
    if options.tuned and not options.layout_given:
        profile = read_profile(profile_key(inputs, options, site.resources, device))
    network = (inputs.digest, inputs.kind.name, inputs.tensors.output, options.precision.value)
    verdict = Verdict(
        frames=len(inputs.frames),
        demand=demand_of(inputs, list(inputs.frames)),
        sizes=background_sizes(options, inputs, device),
        backgrounds=background_set(options, inputs),
        network=text_digest(repr(network)),
        own_batch=inputs.tensors.batch,
        tuned=None if profile is None else profile.best,
        seconds=time.perf_counter() - began,
    )
    return verdict, ReadClip(options, inputs, folder)


def faces_name(options: CompositeOptions) -> str:
    """Names the folder of the faces of a clip's footage, and of the clip that its boxes are to be like."""
    path = storage.absolute(options.clip)
    others = [given and storage.absolute(given) for given in (options.detector, options.like)]
    return f"{PurePosixPath(path).stem[:80]}-{text_digest(repr((path, *others)))[:12]}"


def begin(clip: ReadClip, start: Start, site: Site, encoders: SharedEncoders) -> Opening | Rendered:
    """Takes up what an earlier command left, makes the folder ready, and the features of the recording.

    Args:
        clip: it.
        start: what is decided of it.
        site: where it is rendered.
        encoders: make features of its recording.

    Raises:
        InputError: it cannot be rendered; of a new run nothing stays.
        StoppedError: the features could not be made.
        OSError: the folder cannot be read or written.
    """
    new = not holds_record(clip.folder.path, RECORD, "run", {FACES})
    try:
        return _begin(clip, start, site, encoders, new=new)
    except InputError:
        if new:
            with suppress(OSError):
                clear(clip.folder)
        raise


def _begin(clip: ReadClip, start: Start, site: Site, encoders: SharedEncoders, *, new: bool) -> Opening | Rendered:
    options, folder, console = clip.options, clip.folder, silent()
    earlier = None if new or options.restart else read_run_record(folder)
    request = RenderRequest(options, clip.inputs, folder, start.mark, start.started_at, earlier)
    request.check_same_pixels(request.given_device)
    remaining = Remaining(list(clip.inputs.frames))
    if earlier is not None:
        remaining = audit_run(request.ledger, clip.inputs.frames, folder, console)
        if not remaining.frames:
            finish_rendered(request, earlier, remaining, console)
            totals = earlier.totals
            figures = (totals.seconds, totals.fps_steady) if totals is not None else (0.0, 0.0)
            return Rendered(len(clip.inputs.frames), *figures, earlier.started_at, earlier.finished_at)
    decision = decide(request, remaining.frames, site.resources, site.choice, None, console, start.shared)
    if earlier is not None and earlier.started_at == start.started_at:
        # The step is done again, because its process died: what that wrote is no command of its own.
        record = decision.record.model_copy(update={"attempts": earlier.attempts})
        decision = replace(decision, record=record)
    if remaining.audit is not None:
        request.ledger.mend(remaining.audit)
    prepare_folder(request, decision.record)
    _, warnings = load_audio(decision.plan, site.resources, console, encoders)
    opening = Opening.of(request, decision)
    if warnings:
        record = opening.record.model_copy(update={"warnings": (*opening.record.warnings, *warnings)})
        opening = replace(opening, record=record)
    return opening


def plan_of(clip: ReadClip, start: Start, site: Site) -> RenderPlan:
    """The plan of a clip that has begun."""
    shared = start.shared
    where = site.choice.device, shared.placement, shared.preparation, clip.folder, start.mark, shared.backgrounds
    return RenderPlan(clip.options, clip.inputs, *where)


def describe(clip: ReadClip, start: Start, site: Site) -> ClipConfig:
    """What workers are told of a clip that has begun.

    Raises:
        StoppedError: its features are gone.
    """
    audio, kind = clip.inputs.audio, clip.inputs.kind
    rows = load_features(clip.folder.features, audio, kind) if isinstance(audio, FeatureSource) else None
    if rows is not None:
        track = AudioTrack(rows, None, clip.inputs.opacities)
    elif isinstance(audio, AudioTrack):
        track = replace(audio, opacities=clip.inputs.opacities)
    else:
        raise StoppedError(f"{clip.folder.features}: the features are gone", "run the same command again")
    return plan_of(clip, start, site).clip(track)


def requests(clip: ReadClip, start: Start, site: Site) -> tuple[tuple[BlockRequest, ...], ...]:
    """What loaders are told of each block, `CHUNK` of them together."""
    plan = plan_of(clip, start, site)
    count = start.shared.preparation.blocks.count
    return tuple(
        tuple(plan.block(number) for number in range(first, min(first + CHUNK, count)))
        for first in range(0, count, CHUNK)
    )


def end(clip: ReadClip, start: Start, outcome: Outcome, times: StartTimes, sent: float) -> Ended:
    """Joins the video, writes the record, and tidies up after a clip that nobody renders any more.

    Args:
        clip: it.
        start: as it began.
        outcome: how far it came.
        times: when it came so far, by the driver's clock.
        sent: what the driver's clock showed when this was asked for.
    """
    here = time.perf_counter() - sent
    outcome.milestones = _shifted(outcome.milestones, here)
    times = replace(
        times,
        started=times.started + here,
        imported=times.imported + here,
        read=times.read + here,
        joined=times.joined + here,
    )
    request = RenderRequest(clip.options, clip.inputs, clip.folder, start.mark, start.started_at, None)
    finish(request, outcome, times, silent())
    record = find_run(clip.folder)
    totals = record.totals
    error = str(outcome.error or "") or "; ".join(listed(outcome.failures))
    failed, clip_state = len(outcome.failures), outcome.clip
    done = len(outcome.record.wanted) - clip_state.total + clip_state.done
    seconds, fps = (totals.seconds, totals.fps_steady) if totals is not None else (0.0, 0.0)
    return Ended(record.status, done, failed, seconds, fps, error)


def _shifted(milestones: Milestones, by: float) -> Milestones:
    """The same by another clock."""
    first, last = milestones.first_dispatch, milestones.last_file
    return replace(
        milestones,
        first_dispatch=None if first is None else first + by,
        last_file=None if last is None else last + by,
    )
