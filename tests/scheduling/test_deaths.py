"""What is said of a worker's death: who, why, and what happens next."""

from __future__ import annotations

from typing import Any

import pytest
import ray.exceptions

from jobs.scheduling.deaths import LONGEST_SAID, Death, brief_reason, recorded_text

UNEXPECTED = (
    "ActorDiedError: The actor died unexpectedly before finishing this task. class_name: Compositor actor_id: 12ab"
    " pid: 7 The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
    " Worker exit detail: {} Some common causes include: (1) the process was killed by the OOM killer due to high"
    " memory usage, (2) ray stop --force was called, or (3) the worker crashed unexpectedly."
)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (UNEXPECTED.format("Worker unexpectedly exits with a connection error code 2. End of file."), "without a word"),
        (UNEXPECTED.format("The node it lay on is gone."), "The node it lay on is gone."),
        ("OutOfMemoryError: Task was killed due to the node running low on memory.", "short of memory"),
        (f"ActorDiedError: {'x' * 500} Task was killed due to the node running low on memory.", "short of memory"),
        ("range 1:5 made no progress for 600 s", "range 1:5 made no progress for 600 s"),
    ],
)
def test_the_cause_stands_first(reason: str, said: str) -> None:
    assert said in brief_reason(reason)
    assert len(brief_reason(reason)) <= LONGEST_SAID
    assert "OOM killer" not in brief_reason(reason)


def test_a_line_says_who_died_and_what_comes_next() -> None:
    death = Death(3, 77, "killed", 2, replaced=True)
    assert death.line == "died: worker 3 (pid 77): killed; its 2 ranges go back, another is started in its place"
    last = Death(0, None, "no library", 0, replaced=False)
    assert last.line == "died: worker 0: no library; none is started in its place any more"


def test_all_that_ray_says_is_recorded() -> None:
    error: Any = ray.exceptions.OutOfMemoryError
    said = recorded_text(error("memory\n" * 300 + "the end"))
    assert said.startswith("OutOfMemoryError: memory memory")
    assert said.endswith("the end")
