"""Rendering what is missing of a run on a cluster: from the decision to what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import ray
import ray.exceptions
from rich.console import Console

from actors.core.errors import InputError, NoCudaError, StoppedError, error_text
from actors.core.worker_reports import FrameFailure
from actors.rendering.blocks import load_block
from jobs.cluster.connection import Cluster, ClusterResources
from jobs.cluster.layout import Layout
from jobs.cluster.local_ray import LONGEST_MESSAGE
from jobs.cluster.placement import ChosenDevice, wait_for_resources
from jobs.cluster.tuned_layout import profile_key, read_profile
from jobs.console import say
from jobs.inputs.options import DeviceChoice
from jobs.progress_meter import Meter, meter
from jobs.run.audio_features import load_audio
from jobs.run.decide import Decision, RenderRequest, choose_run_device, decide
from jobs.run.engine import Crew, Engine
from jobs.run.opening import Opening, prepare_folder
from jobs.run.record import RunRecord
from jobs.run.resume import Remaining
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.open_clip import OpenClip

# What ends a run early, besides inputs that cannot be used.
ENDINGS = (KeyboardInterrupt, StoppedError, ray.exceptions.RayError, OSError)


@dataclass(slots=True)
class Outcome:
    """How far a run came.

    Attributes:
        record: as it was written when the run began, with what has become known since.
        clip: its final state.
        milestones: when things happened.
        error: why it ended early, or ``None``.
    """

    record: RunRecord
    clip: OpenClip
    milestones: Milestones = field(default_factory=Milestones)
    error: StoppedError | KeyboardInterrupt | None = None

    @property
    def failures(self) -> list[FrameFailure]:
        """Frames that could not be delivered."""
        return self.clip.failures

    @property
    def status(self) -> str:
        """One word for run.json: complete, frames_failed, stopped or interrupted."""
        if self.error is not None:
            return "stopped" if isinstance(self.error, StoppedError) else "interrupted"
        return "frames_failed" if self.failures else "complete"


def execute(request: RenderRequest, remaining: Remaining, cluster: Cluster, console: Console) -> Outcome:
    """Renders what is missing.

    Raises:
        InputError: something given cannot be used; nothing has been written.
        StoppedError: it never came to rendering.
        KeyboardInterrupt: likewise.
    """
    wanted = request.options.device
    resources = wait_for_resources(cluster, wanted, request.options.wait, console)
    choice = choose_run_device(request, resources, started_here=cluster.started_here)
    try:
        return _attempt(request, remaining, cluster, resources, choice, console)
    except NoCudaError as error:
        if wanted is not DeviceChoice.AUTO:
            raise
        return _attempt(request, remaining, cluster, resources, choice.without_cuda(error), console)


def unwritable(error: OSError) -> StoppedError:
    """The output cannot be written."""
    return StoppedError(f"the output cannot be written ({error})", "mend it and run the same command again")


def _attempt(
    request: RenderRequest,
    remaining: Remaining,
    cluster: Cluster,
    resources: ClusterResources,
    choice: ChosenDevice,
    console: Console,
) -> Outcome:
    say(console, choice.line)
    try:
        tuned = _tuned_layout(request, resources, choice)
        decision = decide(request, remaining.frames, resources, choice, tuned, console)
        if remaining.audit is not None:
            request.ledger.mend(remaining.audit)
    except ENDINGS as error:
        # It never came to rendering: an earlier run's record stays, and a new one would lack its plan.
        told = ending(error, cluster)
        raise told from (None if told is error else error)
    opening = Opening.of(request, decision)
    outcome = Outcome(decision.record, OpenClip.of(opening.job(), opening.capacity))
    try:
        prepare_folder(request, decision.record)
        _render(request, decision, opening, outcome, cluster, console)
    except InputError as error:
        if outcome.clip.done == 0 and request.earlier is None:
            raise
        # Frames have been delivered, so this is no longer a run that never began.
        outcome.error = StoppedError(str(error), "then run the same command again")
    except ENDINGS as error:
        outcome.error = ending(error, cluster)
    return outcome


def ending(error: BaseException, cluster: Cluster) -> StoppedError | KeyboardInterrupt:
    """Why a run ended early, in words for users; what was lost with the cluster says more than what followed."""
    if isinstance(error, KeyboardInterrupt):
        cluster.hurry()
        return cluster.lost or error
    if isinstance(error, StoppedError):
        return cluster.lost or error
    # Before OSError, which some of Ray's are as well.
    if isinstance(error, ray.exceptions.RayError):
        text = error_text(error, LONGEST_MESSAGE)
        return cluster.lost or StoppedError(f"Ray failed ({text})", "then run again")
    if isinstance(error, OSError):
        return unwritable(error)
    raise error


def _tuned_layout(request: RenderRequest, resources: ClusterResources, choice: ChosenDevice) -> Layout | None:
    options = request.options
    if not options.tuned or options.layout_given:
        return None
    profile = read_profile(profile_key(request.inputs, options, resources, choice.device))
    return None if profile is None else profile.best


def _render(
    request: RenderRequest,
    decision: Decision,
    opening: Opening,
    outcome: Outcome,
    cluster: Cluster,
    console: Console,
) -> None:
    """Renders the clip; what is known of it comes into the outcome.

    Raises:
        InputError: something given cannot be used.
        StoppedError: it cannot go on.
    """
    plan, options = decision.plan, request.options
    track, warnings = load_audio(plan, decision.resources, console)
    if warnings:
        outcome.record = outcome.record.model_copy(update={"warnings": (*outcome.record.warnings, *warnings)})
    clip = ray.put(plan.clip(track))
    crew = Crew(decision.resources, decision.choice, plan.placement, plan.calls, opening.capacity)
    with meter(console, outcome.clip.total) as shown:
        engine = Engine(crew, cluster, options, load_block, console, lambda: _tick(opening, engine, outcome, shown))
        outcome.clip = engine.open(opening, clip, lambda block: (plan.block(block.number), plan.inputs.kind))
        outcome.milestones = engine.milestones(opening.clip)
        engine.run()
    if outcome.clip.fault is not None:
        raise outcome.clip.fault


def _tick(opening: Opening, engine: Engine, outcome: Outcome, shown: Meter) -> None:
    """Shows how far the run is.

    Raises:
        StoppedError: there is no frame yet that could be delivered, and no hope of one.
    """
    clip, scheduler = outcome.clip, engine.scheduler
    waiting = f"{scheduler.ready_workers} of {scheduler.open_slots} workers ready"
    shown.update(clip.done + len(clip.failures), waiting)
    if error := opening.hopeless(clip):
        raise error
