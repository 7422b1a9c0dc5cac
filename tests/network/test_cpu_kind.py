"""The kind of a machine's processor: told by name, generation and the instructions that kernels use."""

from __future__ import annotations

from typing import Any

import pytest

from actors.network.cpu_kind import cpu_kind, described
from jobs.run.attempts import cpu_kinds
from jobs.run.record import Attempt, ReadyWorker

GENOA = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD  EPYC
cpu MHz\t\t: 3700.1
flags\t\t: fpu sse2 avx avx2 fma avx512f avx512_vnni rdpid

processor\t: 1
model\t\t: 99
"""
GRAVITON = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm asimddp sve i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GENOA, "AMD EPYC, cpu family 25, model 17 (avx avx2 fma avx512f avx512_vnni)"),
        (GRAVITON, "CPU implementer 0x41, CPU part 0xd40 (asimd asimddp i8mm bf16 sve)"),
        ("model name : some maker's words\n", "some maker's words"),
        ("", ""),
    ],
)
def test_a_kind_is_told_from_what_linux_says(text: str, kind: str) -> None:
    assert described(text) == kind


def test_generations_of_one_name_are_different_kinds() -> None:
    assert described(GENOA) != described(GENOA.replace("model\t\t: 17", "model\t\t: 2"))
    assert described(GENOA) != described(GENOA.replace(" avx512_vnni", ""))
    # Clocks and cores are not.
    assert described(GENOA) == described(GENOA.replace("3700.1", "2400").partition("\n\n")[0])


def test_this_machine_has_one() -> None:
    assert cpu_kind()
    assert "\n" not in cpu_kind()


def test_kinds_of_all_attempts_count_but_not_those_of_gpus() -> None:
    workers: list[list[dict[str, Any]]] = [
        [{"device": "cpu", "cpu": "old"}, {"device": "cpu", "cpu": "old"}],
        [{"device": "cpu"}, {"device": "H200", "cpu": "other"}],
        [{"device": "cpu", "cpu": "new"}],
        [],
    ]
    ready: dict[str, Any] = {"worker": 0, "node": "n", "host": "h", "pid": 1, "provider": "CPUExecutionProvider"}
    attempts = [
        Attempt(status="complete", started_at=1.0, workers_ready=tuple(ReadyWorker(**ready, **one) for one in each))
        for each in workers
    ]
    assert cpu_kinds(attempts) == ["old", "new"]
    assert cpu_kinds(attempts[:2]) == ["old"]
