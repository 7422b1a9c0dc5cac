"""Calls with a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The answer of a call that is made in a thread of its own, so that signals are heard meanwhile.

    Raises:
        TimeoutError: there was none in time; the call goes on for nothing.
        Exception: whatever the call raises.
    """
    answers: list[T] = []
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001 - raised below, where somebody waits for it
            failures.append(error)

    thread = threading.Thread(target=ask, name="within", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]
