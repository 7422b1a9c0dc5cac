"""What a command is to render, how and where: from its inputs, an earlier run's record and what a cluster has.

No file of the run is read or written here, and nothing is started. What is decided is said on the console.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from actors.core.choices import Device
from actors.core.ranges import FrameRange
from actors.files.run_folder import RunFolder
from jobs.cluster.connection import ClusterResources
from jobs.cluster.environment import hardware, versions
from jobs.cluster.layout import Layout
from jobs.cluster.placement import ChosenDevice, Placement, check_share, choose_device, place, place_layout
from jobs.console import say
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions, DeviceChoice
from jobs.planning.preparation import Preparation, plan_preparation
from jobs.planning.range_plan import plan_ranges
from jobs.planning.render_plan import RenderPlan
from jobs.run.attempts import attempts_until
from jobs.run.identity_check import check_same_pixels
from jobs.run.ledger import Ledger
from jobs.run.record import VERSION, RunRecord
from jobs.scheduling.open_clip import MAX_RANGE


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One command, before any cluster is asked.

    Attributes:
        options: of the command.
        inputs: what it renders.
        folder: the run's, which this process has locked.
        mark: name of the driver's file there, by which a node knows the folder.
        started_at: when the inputs had been read, in Unix seconds.
        earlier: the record of the run that is gone on with, or ``None``.
    """

    options: CompositeOptions
    inputs: Inputs
    folder: RunFolder
    mark: str
    started_at: float
    earlier: RunRecord | None

    @property
    def ledger(self) -> Ledger:
        """The run's ledger."""
        return Ledger(self.folder, self.options.image_format, self.inputs.frames if self.options.video else None)

    @property
    def given_device(self) -> Device | None:
        """The device that the user named, or else that of the earlier run."""
        if self.options.device is not DeviceChoice.AUTO:
            return Device(self.options.device.value)
        return None if self.earlier is None else self.earlier.began_on

    def check_same_pixels(self, device: Device | None) -> None:
        """Makes sure that the frames of an earlier run are those that this command would render.

        Raises:
            InputError: they are not.
        """
        if self.earlier is not None:
            check_same_pixels(self.earlier, self.options, self.inputs.identity(self.options, device))


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """What a clip has in common with others that are rendered beside it.

    Attributes:
        placement: of the workers; the batch is that of the clip's own network.
        preparation: of its backgrounds.
        backgrounds: names these among those in the object store.
    """

    placement: Placement
    preparation: Preparation
    backgrounds: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is rendered, how and where.

    Attributes:
        plan: of which workers and loaders are told their parts.
        ranges: of the frames that are missing.
        choice: what the network runs on, and why.
        resources: what the cluster had.
        record: the run's, as it stands while the run goes on.
    """

    plan: RenderPlan
    ranges: tuple[FrameRange, ...]
    choice: ChosenDevice
    resources: ClusterResources
    record: RunRecord


def choose_run_device(request: RenderRequest, resources: ClusterResources, *, started_here: bool) -> ChosenDevice:
    """The device that was asked for; where none was, that of the earlier run, or the best there is."""
    options, earlier = request.options, request.earlier
    if earlier is not None and options.device is DeviceChoice.AUTO:
        return ChosenDevice(earlier.began_on or Device.CPU, "as the run in this folder began")
    return choose_device(options.device, resources, started_here=started_here)


def decide(
    request: RenderRequest,
    missing: list[int],
    resources: ClusterResources,
    choice: ChosenDevice,
    tuned: Layout | None,
    console: Console,
    shared: SharedPlan | None = None,
) -> Decision:
    """Lays out a run.

    Args:
        request: the command.
        missing: the frames that are to be rendered, ascending.
        resources: what the cluster has.
        choice: what the network is to run on, and why.
        tuned: the layout that `tune` found for this, if it is to be used.
        console: where to say what is decided.
        shared: what is decided already, where the clip is one of several.

    Raises:
        InputError: the earlier run is one of other pixels, or the cluster cannot hold what one worker needs.
    """
    request.check_same_pixels(choice.device)
    software = versions()
    if request.earlier is not None:
        for change in _differences(request.earlier.versions, software):
            say(console, f"warning: other software than this run began with: {change}", style="yellow")
    options, inputs = request.options, request.inputs
    _say_untouched("silence", inputs.silence, inputs.frames, console)
    _say_untouched("no face", inputs.presence, inputs.frames, console)
    if shared is None:
        preparation = plan_preparation(options, inputs, choice.device, missing, resources.store)
        _say_backgrounds(inputs, preparation, resources, console)
        placement = place_workers(options, inputs.tensors.batch, resources, choice, tuned, len(missing), console)
        shared = SharedPlan(placement, preparation, "")
    placement, blocks = shared.placement, shared.preparation.blocks
    place = request.folder, request.mark, shared.backgrounds
    plan = RenderPlan(options, inputs, choice.device, placement, shared.preparation, *place)
    # A range needs only those blocks at once that can be held at once.
    longest = MAX_RANGE if blocks.fits else max(1, blocks.frames // inputs.pairing.step)
    ranges = plan_ranges(missing, placement.workers, placement.batch, longest, inputs.reach)
    record = _new_record(request, plan, choice, resources, len(ranges), software)
    return Decision(plan, ranges, choice, resources, record)


def _differences(earlier: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs between two sets of versions, one text each."""
    return [
        f"{name} was {earlier.get(name)}, is {now.get(name)}"
        for name in sorted({*earlier, *now})
        if earlier.get(name) != now.get(name)
    ]


def _say_untouched(reason: str, opacities: NDArray[np.uint8] | None, frames: FrameRange, console: Console) -> None:
    if opacities is not None:
        shown = opacities[frames.start : frames.stop]
        untouched, mixed = int((shown == 0).sum()), int(((shown > 0) & (shown < 255)).sum())
        say(console, f"{reason}: {untouched} of {len(frames)} frames show the background alone, {mixed} fade")


def _say_backgrounds(inputs: Inputs, preparation: Preparation, resources: ClusterResources, console: Console) -> None:
    blocks = preparation.blocks
    held = "at once" if blocks.fits else f"{blocks.capacity} of {blocks.count} blocks at a time"
    kept = ", what the face encoder makes of them included" if preparation.faces else ""
    say(
        console,
        f"backgrounds: {inputs.clip.backgrounds}, {preparation.bytes / 2**20:.0f} MiB{kept}, held {held}"
        f" (object store {resources.store / 2**20:.0f} MiB)",
    )


def place_workers(
    options: CompositeOptions,
    own_batch: int | None,
    resources: ClusterResources,
    choice: ChosenDevice,
    tuned: Layout | None,
    frames: int,
    console: Console,
) -> Placement:
    """How workers are laid out on a cluster.

    Args:
        options: of the command.
        own_batch: the batch to which the network's export is fixed, if it is.
        resources: what the cluster has.
        choice: what the network is to run on.
        tuned: the layout that `tune` found for this, if it is to be used.
        frames: to be rendered; more workers are useless.
        console: where to say what is decided.

    Raises:
        InputError: the share of a GPU that the user gave has no room for CUDA.
    """
    if tuned is not None:
        say(console, f"tuned: {tuned} (as `tune` found; --no-tuned ignores it)")
        return place_layout(resources, choice.device, tuned, frames=frames)
    placement = place(
        resources,
        choice.device,
        workers=options.workers,
        threads=options.threads,
        # On CPUs another batch than the export's own gains nothing: it is rewritten only when that is asked for.
        batch=options.batch or (own_batch if choice.device is Device.CPU else None),
        gpus_per_worker=options.gpus_per_worker,
        frames=frames,
    )
    share = options.gpus_per_worker if choice.device is Device.CUDA else None
    if share is not None and (tight := check_share(resources.gpu_memory, share, placement.batch)):
        say(console, f"warning: {tight}", style="yellow")
    return placement


def _new_record(
    request: RenderRequest,
    plan: RenderPlan,
    choice: ChosenDevice,
    resources: ClusterResources,
    ranges: int,
    software: dict[str, str],
) -> RunRecord:
    options, inputs, earlier = request.options, request.inputs, request.earlier
    record = RunRecord.model_validate(
        {
            "version": VERSION,
            "id": uuid.uuid4().hex,
            "status": "running",
            "started_at": request.started_at,
            "options": options.model_dump(mode="json"),
            "frames": (inputs.frames.start, inputs.frames.stop),
            "model": {"path": inputs.model, "sha256": inputs.digest, **asdict(inputs.tensors)},
            "clip": {"id": inputs.clip.id, "form": inputs.clip.form, "backgrounds": inputs.clip.backgrounds},
            "warnings": inputs.warnings,
            "versions": software,
            "hardware": hardware(),
            "identity": inputs.identity(options, choice.device),
            "device": {"provider": choice.device.provider, "reason": choice.reason},
            "cluster": asdict(resources),
            "plan": {
                "blocks": asdict(plan.preparation.blocks),
                "background_bytes": plan.preparation.bytes,
                "faces": plan.preparation.faces,
                "ranges": ranges,
                **asdict(plan.placement),
            },
            "attempts": () if earlier is None else attempts_until(earlier),
        }
    )
    if earlier is not None and earlier.video is not None and not options.video:
        # It stays part of the run when nobody asks for another.
        return record.model_copy(update={"video": earlier.video})
    return record
