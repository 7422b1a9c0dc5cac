"""The actors that read clips ahead of their rendering and finish them behind it, so that no worker waits for that."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any, TypeAlias

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.core.errors import InputError, StoppedError
from actors.rendering.blocks import BlockRequest
from actors.rendering.worker_config import ClipConfig
from jobs.audio.encoder_actor import SharedEncoders
from jobs.batch import clip_steps
from jobs.batch.clip_steps import Ended, ReadClip, Rendered, Site, Start, Verdict
from jobs.inputs.options import CompositeOptions
from jobs.inputs.shared_reads import SharedReads
from jobs.run.execute import Outcome
from jobs.run.finish import StartTimes
from jobs.run.opening import Opening

# Why a step could not be done.
Refusal: TypeAlias = InputError | StoppedError

# A step whose process or node is gone is tried again elsewhere so often.
RETRIES = 3


class Desk:
    """The steps of clips in one process, which remembers what clips have in common.

    Args:
        site: where clips are rendered.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shared = SharedReads()
        self._encoders = SharedEncoders()

    def read(self, options: CompositeOptions) -> tuple[Verdict | Refusal, ReadClip | None]:
        """As `clip_steps.read`; or why not, as Ray would tell of what is raised once for each reference."""
        try:
            return clip_steps.read(options, self._site, self._shared)
        except (InputError, StoppedError) as error:
            return error, None

    def begin(self, clip: ReadClip, start: Start) -> Opening | Rendered:
        """As `clip_steps.begin`."""
        return clip_steps.begin(clip, start, self._site, self._encoders)

    def describe(self, clip: ReadClip, start: Start) -> tuple[Refusal | None, ClipConfig | None]:
        """Nothing, by which the driver knows that it is done, or why not; and what `clip_steps.describe` gives."""
        try:
            return None, clip_steps.describe(clip, start, self._site)
        except (InputError, StoppedError) as error:
            return error, None

    def requests(self, clip: ReadClip, start: Start) -> tuple[tuple[BlockRequest, ...], ...]:
        """As `clip_steps.requests`; not in a tuple where there is but one chunk, as Ray has it."""
        chunks = clip_steps.requests(clip, start, self._site)
        return chunks if len(chunks) > 1 else chunks[0]  # type: ignore[return-value]

    def end(self, clip: ReadClip, start: Start, outcome: Outcome, times: StartTimes, sent: float) -> Ended:
        """As `clip_steps.end`."""
        return clip_steps.end(clip, start, outcome, times, sent)


class Desks:
    """Some desks, on the node of this process: it has the program, and sees every file.

    They ask for no CPUs: workers have these for as long as the command runs.

    Args:
        desk: the class.
        site: where clips are rendered.
        count: how many.
    """

    def __init__(self, desk: Callable[[Site], object], site: Site, count: int) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = ray.remote(desk).options(
            num_cpus=0, max_restarts=-1, max_task_retries=RETRIES, scheduling_strategy=here
        )
        self._actors = [actor.remote(site) for _ in range(count)]
        self._next = cycle(self._actors)

    def read(self, options: CompositeOptions) -> tuple[Any, Any]:
        """References of a verdict and of the clip."""
        verdict, clip = next(self._next).read.options(num_returns=2).remote(options)
        return verdict, clip

    def begin(self, clip: Any, start: Start) -> Any:  # noqa: ANN401 - Ray's references are generic
        """Reference of what `clip_steps.begin` gives."""
        return next(self._next).begin.remote(clip, start)

    def describe(self, clip: Any, start: Start) -> tuple[Any, Any]:  # noqa: ANN401
        """References of nothing, answered when it is there, and of what workers are told."""
        done, config = next(self._next).describe.options(num_returns=2).remote(clip, start)
        return done, config

    def requests(self, clip: Any, start: Start) -> list[Any]:  # noqa: ANN401
        """References of what loaders are told, one for each chunk."""
        chunks = -(-start.shared.preparation.blocks.count // clip_steps.CHUNK)
        found = next(self._next).requests.options(num_returns=chunks).remote(clip, start)
        return list(found) if chunks > 1 else [found]

    def end(self, clip: Any, start: Start, outcome: Outcome, times: StartTimes, sent: float) -> Any:  # noqa: ANN401
        """Reference of what became of the clip."""
        return next(self._next).end.remote(clip, start, outcome, times, sent)


def answer(ref: Any) -> Any:  # noqa: ANN401
    """What a step gave.

    Raises:
        InputError: why it could not be done.
        StoppedError: likewise.
        RayError: the step failed in a way that nobody foresaw.
    """
    try:
        found = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        # A full disk, say, is an error of the step's too, which all clips share.
        if isinstance(error.cause, (InputError, StoppedError)):
            raise error.cause from error
        raise
    if isinstance(found, (InputError, StoppedError)):
        raise found
    return found
