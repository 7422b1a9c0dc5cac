"""A CUDA session with options by which it may be quicker, where its answers are those of a plain one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.core.choices import PLAIN, GpuTuning
from actors.core.errors import InputError, error_text, one_line
from actors.network.batch_check import Sample, noise_like, stacked

if TYPE_CHECKING:
    from actors.network.prediction import Prediction
    from actors.network.session import Session


def tuned_session(
    build: Callable[[GpuTuning], Session],
    tuning: GpuTuning,
    right: Sequence[Prediction],
    samples: Sequence[Sample],
    agree: Callable[[Sequence[Prediction], Sequence[Prediction]], bool],
) -> tuple[Session, str]:
    """A session that is warm: with the options, without the graph among them, or plain, and then why.

    One of them is on the GPU at a time.

    Args:
        build: builds a session for the batch of the plain one.
        tuning: the options that are wanted.
        right: the `replies` of a plain session.
        samples: what it replied to.
        agree: whether replies are close enough to those that are right.

    Raises:
        InputError: not even a plain session can be had.
    """
    reasons: list[str] = []
    for wanted in dict.fromkeys((tuning, replace(tuning, graph=False))):
        if wanted == PLAIN:
            break
        session, reason = _tried(build, wanted, right, samples, agree)
        if session is not None:
            return session, "; ".join(reasons)
        reasons.append(f"the session goes without {wanted}: {reason}")
    plain = build(PLAIN)
    plain.warm_up()
    return plain, "; ".join(reasons)


def replies(session: Session, samples: Sequence[Sample]) -> list[Prediction]:
    """Answers to batches that differ, sent through all bindings at once, each binding twice.

    Args:
        session: the session.
        samples: frames, at least one.
    """
    # Where batches are alike it would not be seen that one is taken for another.
    frames = samples if len(samples) > 1 else (*samples, noise_like(samples[0]))
    size, bindings = session.batch, session.bindings
    batches = [stacked([frames[(start + i) % len(frames)] for i in range(size)]) for start in range(len(bindings))]
    answers = []
    for turn in range(2):
        # Each binding gets another batch in the second turn. Whoever ran first is fetched last, so that whatever writes
        # into another's outputs is seen.
        for i, binding in enumerate(bindings):
            binding.load(*batches[(i + turn) % len(batches)])
        for binding in bindings:
            binding.run()
        answers += [binding.fetch() for binding in reversed(bindings)]
    return answers


def _tried(
    build: Callable[[GpuTuning], Session],
    tuning: GpuTuning,
    right: Sequence[Prediction],
    samples: Sequence[Sample],
    agree: Callable[[Sequence[Prediction], Sequence[Prediction]], bool],
) -> tuple[Session | None, str]:
    """The session with some options, or why there is none."""
    try:
        session = build(tuning)
        session.warm_up()
        found = replies(session, samples)
    except InputError as error:
        return None, one_line(error.problem)
    except Exception as error:  # noqa: BLE001 - the runtime's errors share no base class below Exception
        return None, error_text(error)
    return (session, "") if agree(found, right) else (None, "its answers are not those of a plain session")
