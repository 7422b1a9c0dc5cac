"""How many frames a session may run at once: whether it can, and whether its answers then depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.core.errors import InputError, one_line
from actors.network.batch_independence import Arrangement, depends_on_batch
from actors.network.session import Session, rounding_levels

if TYPE_CHECKING:
    from actors.core.pixels import Planes
    from actors.network.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame as the network is fed it.

    Attributes:
        image: ``(1, 3, inner, inner)`` uint8, or ready planes in float32.
        audio: ``(1, *kind.audio)`` float32.
        faces: for each face tensor ``(1, *sides)`` float32; empty where the whole network is run.
    """

    image: NDArray[Any]
    audio: Planes
    faces: tuple[Planes, ...]


def session_with_safe_batch(
    session: Session, build_single: Callable[[], Session], samples: Callable[[], Sequence[Sample]]
) -> tuple[Session, str]:
    """The session to render with, warm: the given one, or one that runs frames alone, and then why.

    Args:
        session: as it was built, for the frames at once that are wanted.
        build_single: builds the one that runs frames alone.
        samples: frames to compare the answers to, if there are any; called where they are compared.

    Raises:
        InputError: the network cannot be run, or a sample cannot be had.
    """
    try:
        session.warm_up()
    except InputError as error:
        if session.batch == 1:
            raise
        single = build_single()
        try:
            single.warm_up()
        except InputError:
            raise error from None
        return single, f"the model {one_line(error.problem)}, so frames are run alone"
    frames = samples() if session.batch > 1 else ()
    if not frames:
        return session, ""
    single = build_single() if session.rewritten else session
    if not mixes_frames(session, single, frames):
        return session, ""
    if single is session:
        single = build_single()
    single.warm_up()
    problem = (
        f"the model's answers change with what else is in a batch, so frames are run alone, not {session.batch} at once"
    )
    return single, f"{problem}; {session.mixing}"


def mixes_frames(session: Session, single: Session, samples: Sequence[Sample]) -> bool:
    """Whether a session's answers depend on what else is in the batch, or on the place there.

    Args:
        session: the one that is to be used.
        single: the one whose answers to frames alone are right.
        samples: frames, at least one.
    """
    noise = noise_like(samples[0])

    def run(rows: Arrangement) -> list[Prediction]:
        answer = session.run(*stacked([noise if row is None else samples[row] for row in rows]))
        return [answer.frame(place) for place in range(len(rows))]

    def same(one: Prediction, other: Prediction) -> bool:
        return one.equals(other, rounding_levels(session.device))

    alone = [single.run_single(sample.image, sample.audio, sample.faces) for sample in samples]
    return depends_on_batch(run, alone, session.batch, same=same, near=same)


def stacked(batch: Sequence[Sample]) -> tuple[NDArray[Any], Planes, list[Planes]]:
    """The frames of a batch as `Session.run` takes them."""
    faces = [np.concatenate(parts) for parts in zip(*(sample.faces for sample in batch), strict=True)]
    image, sound = (np.concatenate(parts) for parts in zip(*((s.image, s.audio) for s in batch), strict=True))
    return image, sound, faces


def noise_like(sample: Sample) -> Sample:
    """A frame of noise that is further from all others than these are from each other."""
    rng = np.random.default_rng(0)

    def loud(given: Planes) -> Planes:
        return rng.standard_normal(given.shape, np.float32) * np.float32(1 + np.abs(given).max())

    image = rng.integers(0, 256, sample.image.shape).astype(np.uint8)
    planes = rng.random(sample.image.shape, np.float32) if sample.image.dtype == np.float32 else image
    return Sample(planes, loud(sample.audio), tuple(map(loud, sample.faces)))
