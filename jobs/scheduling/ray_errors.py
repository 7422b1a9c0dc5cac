"""What Ray's errors mean for a run: a worker is gone, a block is gone, or the run cannot go on."""

from __future__ import annotations

import ray.exceptions

from actors.core.errors import InputError, ProgramError, StoppedError
from jobs.process.refusals import EXHAUSTED

# The worker, its node or its memory is gone; these share no base class of their own. Ranges go back.
WORKER_GONE = (
    ray.exceptions.RayActorError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.LocalRayletDiedError,
)

# A block's content is gone and could not be rebuilt. An actor's call that needed it fails with one of these, or with
# one of `WORKER_GONE`, as the *cause* of a RayTaskError.
BLOCK_GONE = (ray.exceptions.ObjectLostError, ray.exceptions.TaskUnschedulableError)

# Ray has neither memory nor disk left for blocks.
STORE_FULL = (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError)


def remote_error(error: ray.exceptions.RayError) -> Exception:
    """What was raised where the call ran; the error itself where that is all there is."""
    return getattr(error, "cause", None) or error


def needed_block_gone(error: ray.exceptions.RayError) -> bool:
    """Whether an actor's call failed because a block that it needed is gone."""
    cause = remote_error(error)
    needed_block = isinstance(error, ray.exceptions.RayTaskError) and isinstance(cause, WORKER_GONE)
    return isinstance(cause, BLOCK_GONE) or needed_block


def raise_if_run_must_stop(error: ray.exceptions.RayError) -> None:
    """Raises what a failure of one part of something means for the whole, if it concerns more than that part.

    Raises:
        InputError: something the user gave cannot be used.
        StoppedError: nothing can be written, Ray has no room for blocks, or the clip is not what it was.
    """
    raise_if_all_must_stop(error)
    fault = clip_fault(error)
    if fault is not None:
        raise fault from error


def clip_fault(error: ray.exceptions.RayError) -> InputError | StoppedError | None:
    """What a worker's or loader's failure means for its clip: why that cannot go on, or ``None`` where it can."""
    cause = remote_error(error)
    if isinstance(cause, (InputError, StoppedError)):
        return cause
    if isinstance(cause, OSError) and not isinstance(cause, ray.exceptions.RayError):
        # It would fail the whole clip in the same way, frame by frame.
        return StoppedError(f"the output cannot be written ({cause})", "mend it and run the same command again")
    return None


def raise_if_all_must_stop(error: ray.exceptions.RayError) -> None:
    """Raises what a worker's or loader's failure means for all clips, if it concerns more than its own.

    Raises:
        ProgramError: a node runs other files of this program.
        StoppedError: Ray has no room for blocks, or the disk none for frames.
    """
    cause = remote_error(error)
    if isinstance(cause, ProgramError):
        raise cause from error
    if isinstance(cause, STORE_FULL):
        # Ray's own text gives the lost object's bytes, and neither the node nor what to do.
        raise StoppedError(
            "Ray's object store is full, and it cannot move anything to disk",
            "free the disk or start Ray with a larger --object-store-memory, then run the same command again",
        ) from error
    exhausted = isinstance(cause, OSError) and cause.errno in EXHAUSTED
    if exhausted and not isinstance(cause, ray.exceptions.RayError):
        fix = "mend it and run the same command again"
        raise StoppedError(f"the output cannot be written ({cause})", fix) from error
