"""Searching footage for faces on a cluster, a task for each range."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import ray
import ray.exceptions

from actors.core.clip import FrameSource
from actors.core.errors import StoppedError, error_text
from actors.core.faces import FoundFaces
from actors.core.ranges import FrameRange
from actors.faces.search import find_range
from actors.faces.weights import FaceWeights
from jobs.cluster.program_files import program_digest
from jobs.scheduling.ray_errors import raise_if_run_must_stop

# Tasks beyond those that run, so that no CPU waits for the driver.
WAITING = 2

# How often a range is tried again whose process or node is gone.
RETRIES = 3

POLL_SECONDS = 0.5


def search(
    frames: FrameSource,
    ranges: Sequence[FrameRange],
    weights: FaceWeights,
    cpus: int,
    keep: Callable[[FoundFaces], None],
    tick: Callable[[int], None],
    *,
    thorough: bool,
    share: float = 1.0,
) -> None:
    """Finds the faces of some ranges on the connected cluster.

    Args:
        frames: of the whole footage.
        ranges: which of them to search.
        weights: of the networks that find faces; they lie in the object store once.
        cpus: of the cluster.
        keep: called with what was found on each range, in any order.
        tick: called with the number of frames that are done, several times a second.
        thorough: whether to look closer at all frames for smaller faces.
        share: CPUs that each task asks for.

    Raises:
        InputError: a frame cannot be read, or a node runs other files than this process.
        StoppedError: the footage is not what it was, or ranges fail again and again.
    """
    find = ray.remote(find_range).options(num_cpus=share, max_retries=RETRIES)
    shared, code = ray.put(weights), program_digest()
    waiting = deque(ranges)
    pending: dict[ray.ObjectRef[FoundFaces], FrameRange] = {}
    done = 0
    try:
        while waiting or pending:
            while waiting and len(pending) < cpus + WAITING:
                given = waiting.popleft()
                part = frames.part(given.start, given.stop)
                pending[find.remote(part, given.start, shared, code, thorough)] = given
            ready, _ = ray.wait(list(pending), timeout=POLL_SECONDS)
            for reference in ready:
                given = pending.pop(reference)
                keep(_found(reference, given))
                done += len(given)
            tick(done)
    except ray.exceptions.RayError as error:
        raise StoppedError(f"Ray failed ({error_text(error)})", "then run the same command again") from error
    finally:
        # A cluster that is lost answers nothing, and neither do its tasks.
        with suppress(ray.exceptions.RayError):
            for reference in pending:
                ray.cancel(reference, force=True)


def _found(reference: ray.ObjectRef[FoundFaces], given: FrameRange) -> FoundFaces:
    try:
        found: FoundFaces = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise_if_run_must_stop(error)
        problem = f"frames {given} could not be searched for faces ({error_text(error)})"
        raise StoppedError(problem, "run the same command again") from error
    return found
