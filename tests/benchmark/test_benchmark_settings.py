"""What each system gets of what was found out on the bare network."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.choices import Device, Precision
from jobs.benchmark.matrix import Regime, System
from jobs.benchmark.settings import (
    FINALISTS,
    LONE,
    POOLED,
    Setting,
    alternatives,
    best,
    candidates,
    finalists,
    setting_for,
)

MANY = {System.WORKERS_INFERENCE, System.WORKERS_STATIC, System.PLAIN_LOOP, System.RAY_DATA}


@given(st.integers(1, 64), st.sampled_from([None, 1, 3]))
def test_on_cpus_every_candidate_uses_the_cores_and_no_more(cores: int, fixed: int | None) -> None:
    found = candidates(Device.CPU, cores, fixed)
    assert len(set(found)) == len(found)
    assert all(cores / 2 < setting.workers * setting.threads <= cores for setting in found)
    assert {setting.batch for setting in found} == ({fixed} if fixed else {1, 2, 4})
    assert {setting.workers for setting in found} >= {1, cores}


def test_on_a_gpu_precision_and_batch_are_tried() -> None:
    found = candidates(Device.CUDA, 16, None)
    assert {setting.precision for setting in found} == set(Precision)
    assert {setting.batch for setting in found} == {1, 4, 16, 32, 64}
    assert {setting.workers for setting in found} == {1, 4, 8}
    assert {setting.threads for setting in found} == {1}


settings = st.sampled_from(candidates(Device.CPU, 4, None) + candidates(Device.CUDA, 4, None))
measured = st.dictionaries(settings, st.floats(0.1, 1e4), min_size=1)


@given(measured, st.sampled_from(System))
def test_everybody_gets_what_fits_its_shape(found: dict[Setting, float], system: System) -> None:
    top = best(found)
    assert found[top] == max(found.values())
    setting = setting_for(system, found, 4, None)
    assert setting.precision is top.precision
    if system in {System.BARE, System.OURS}:
        assert setting == top
    if system is System.SINGLE:
        assert (setting.workers, setting.batch) == (1, 1)
    alike = {one: rate for one, rate in found.items() if one.precision is top.precision}
    several = {one: rate for one, rate in alike.items() if one.workers > 1}
    if system in MANY and several:
        assert found[setting] == max(several.values())
    alone = {one for one in alike if one.workers == 1 and one.batch > 1}
    if system in LONE - {System.SINGLE} and alone:
        # Several may be the fastest.
        assert found[replace(setting, workers=1)] == max(found[one] for one in alone)


@given(measured)
def test_finalists_are_the_fastest_that_run_the_same_file(found: dict[Setting, float]) -> None:
    best_two = finalists(found)
    assert best_two[0] == best(found)
    alike = {one: rate for one, rate in found.items() if one.precision is best_two[0].precision}
    assert len(set(best_two)) == len(best_two) == min(FINALISTS, len(alike))
    assert sorted((found[one] for one in best_two), reverse=True) == sorted(alike.values(), reverse=True)[:FINALISTS]


@pytest.mark.parametrize("system", System)
def test_a_fixed_batch_is_kept_to(system: System) -> None:
    found = dict(zip(candidates(Device.CPU, 2, 3), itertools.count(1.0)))
    assert setting_for(system, found, 2, 3).batch == 3


@given(
    settings,
    st.sampled_from(System),
    st.sampled_from(Device),
    st.sampled_from(Regime),
    st.sampled_from([None, 3]),
)
def test_a_friend_tries_more_than_one_setting(
    base: Setting, system: System, device: Device, regime: Regime, fixed: int | None
) -> None:
    found = alternatives(system, base, device, regime, fixed)
    assert len(set(found)) == len(found)
    assert all(setting.precision is base.precision for setting in found)
    assert found[0] == base
    on_cpu = device is Device.CPU
    if system is System.OURS and not on_cpu:
        layouts = {(base.workers, base.batch), (8, 16), (4, 16)}
        assert {(one.workers, one.batch) for one in found[1:]} == {(count, fixed or size) for count, size in layouts}
        assert all(one.told for one in found[1:])
        return
    assert all(setting.workers == base.workers and not setting.told for setting in found)
    more = {
        System.RAY_DATA: set() if on_cpu and regime is Regime.HEAVY else {32},
        **dict.fromkeys(POOLED, {4} if on_cpu else set()),
    }
    tried = more.get(system, set()) if fixed is None else set()
    assert {setting.batch for setting in found} == {base.batch} | tried
    if system in LONE and on_cpu:
        assert {setting.threads for setting in found} == {base.threads, 1}


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        setting_for(System.BATCH, {}, 2, None)
