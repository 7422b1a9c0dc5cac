"""What is known of a GPU, and what of its memory a worker may take."""

from __future__ import annotations

from pathlib import Path

import cuda_stand_in
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.network import device
from actors.network.device import CONTEXT_BYTES, USABLE, arena_limit, least_gpu_memory


@given(st.integers(1, 300 << 30), st.integers(1, 64))
def test_all_workers_of_a_gpu_fit_into_its_memory(memory: int, workers: int) -> None:
    limit = arena_limit(memory, 1 / workers)
    assert limit >= 1
    if limit > 1:
        assert workers * (limit + CONTEXT_BYTES) <= memory * USABLE


def test_several_gpus_are_one_worker_s_and_nothing_is_made_of_nothing() -> None:
    assert arena_limit(16 << 30, 2.0) == arena_limit(16 << 30, 1.0) == int((16 << 30) * USABLE) - CONTEXT_BYTES
    assert arena_limit(0, 0.5) == 0


def cards(monkeypatch: pytest.MonkeyPatch, folder: Path, *mebibytes: object) -> None:
    """Lets NVIDIA's tool tell of cards with so much memory."""
    told = [{"name": f"card {number}", "memory_mib": each} for number, each in enumerate(mebibytes)]
    for name, value in cuda_stand_in.environment(folder, cards=told).items():
        monkeypatch.setenv(name, value)


def test_the_smallest_gpu_of_a_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, tmp_path, 24576, 15360)
    assert least_gpu_memory() == 15360 << 20


@pytest.mark.parametrize("told", [(), ("[N/A]",), (24576, "[N/A]")])
def test_a_gpu_that_does_not_tell_is_unknown(
    told: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards(monkeypatch, tmp_path, *told)
    assert least_gpu_memory() == 0


def test_a_tool_that_fails_hangs_or_is_missing_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    for script in ("echo 24576; exit 9", "exec sleep 60"):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(device, "TOOL_SECONDS", 0.2)
        assert least_gpu_memory() == 0
    monkeypatch.setenv("PATH", "")
    assert least_gpu_memory() == 0
