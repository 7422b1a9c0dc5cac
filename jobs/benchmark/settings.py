"""How systems are set: what is tried on the bare network, and what each system gets of the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from actors.core.choices import Device, Precision
from jobs.benchmark.matrix import Regime, System


@dataclass(frozen=True, slots=True)
class Setting:
    """How a system runs the network."""

    workers: int  # sessions, each in a process or thread of its own; for a program of one session, pool threads
    threads: int  # intra-op threads of each session
    batch: int  # frames per inference
    precision: Precision = Precision.FP32  # which of the network's files
    told: bool = False  # whether ours is told workers and batch too, instead of deciding for itself


# So many settings of the bare network are measured beside the systems.
FINALISTS = 2
CPU_BATCHES: tuple[int, ...] = (1, 2, 4)
CUDA_BATCHES: tuple[int, ...] = (1, 4, 16, 32, 64)
# One session, as many as the published program has workers, or as many as ours.
CUDA_SESSIONS = (1, 4, 8)
# Workers and batch that ours is told beside its own layout and what suits the bare network.
CUDA_LAYOUTS = ((8, 16), (4, 16))
POOL_THREADS, POOL_BATCH = 4, 4  # of the published program
RAY_DATA_BATCH = 32
POOLED = frozenset({System.THREAD_POOL, System.THREAD_POOL_OVERLAPPED})
# Programs with one session.
LONE = POOLED | {System.SINGLE, System.BATCH}


def candidates(device: Device, cores: int, fixed_batch: int | None) -> tuple[Setting, ...]:
    """What is tried on the bare network.

    On CPUs all cores are used each time: by one session, by one session per core, and on larger machines by sessions
    of two and four threads between. On a GPU: one session or several, in either precision.
    """
    if device is Device.CUDA:
        batches = (fixed_batch,) if fixed_batch else CUDA_BATCHES
        return tuple(
            Setting(sessions, 1, batch, precision)
            for precision in Precision
            for sessions in CUDA_SESSIONS
            for batch in batches
        )
    threads = sorted({1, cores, *(n for n in (2, 4) if n < cores)})
    batches = (fixed_batch,) if fixed_batch else CPU_BATCHES
    return tuple(Setting(cores // n, n, batch) for n in threads for batch in batches)


def best(rates: Mapping[Setting, float]) -> Setting:
    """The setting with the highest rate; ValueError where none was measured."""
    return max(rates, key=lambda setting: rates[setting])


def finalists(rates: Mapping[Setting, float]) -> tuple[Setting, ...]:
    """The best settings of the best one's precision, the best first.

    Which of them is the fastest may change within minutes on a machine that others use too, and the bare network must
    not be told too slow.
    """
    alike = _alike(rates)
    return tuple(sorted(alike, key=lambda setting: -alike[setting])[:FINALISTS])


def setting_for(system: System, rates: Mapping[Setting, float], cores: int, fixed_batch: int | None) -> Setting:
    """A system's share of what was found out on the bare network, so that nobody runs at a worse setting than needed.

    The bare network runs at the best of all. Programs of one session get that session's threads and its best batch
    (one frame where that is their nature, else two frames or more), programs of several sessions the best setting
    of several sessions. Ours decides for itself and is told the precision alone, but see `alternatives`. All run the
    same network file: the one of the best setting's precision.

    Args:
        system: the system.
        rates: frames per second of the bare network by setting, at least one.
        cores: of the machine.
        fixed_batch: the only batch that the network takes, if it is so exported.
    """
    top, alike = best(rates), _alike(rates)
    if system in {System.BARE, System.OURS}:
        return top
    if system not in LONE:
        return best({one: rate for one, rate in alike.items() if one.workers > 1} or {top: 0.0})
    lone = {one: rate for one, rate in alike.items() if one.workers == 1} or {top: 0.0}
    if system is System.SINGLE:
        return Setting(1, best(lone).threads, fixed_batch or 1, top.precision)
    batched = best({one: rate for one, rate in lone.items() if one.batch > 1 or fixed_batch} or lone)
    return replace(batched, workers=max(cores, POOL_THREADS) if system in POOLED else 1)


def alternatives(
    system: System, base: Setting, device: Device, regime: Regime, fixed_batch: int | None
) -> tuple[Setting, ...]:
    """Settings that may suit a system better than ``base``, what `setting_for` gives it, which stands first.

    A session that leaves cores to the rest of its program, for the thread pools the published batch, and for Ray Data
    batches whose calls weigh less (not with a heavy network on CPUs, where no call weighs anything and such a batch
    takes gigabytes and minutes). Ours on GPUs, where users tune it: the best of the bare network, and usual layouts.
    Nothing else, because the other systems do at every moment what the bare network does or what their nature says.
    """
    tried = [base]
    if system is System.OURS and device is Device.CUDA:
        layouts = ((base.workers, base.batch), *CUDA_LAYOUTS)
        tried += [Setting(workers, 1, fixed_batch or batch, base.precision, told=True) for workers, batch in layouts]
    if system in LONE and device is Device.CPU:
        tried.append(replace(base, threads=1))
        if system in POOLED and fixed_batch is None:
            tried.append(replace(base, threads=1, batch=POOL_BATCH))
    large = device is Device.CUDA or regime is Regime.LIGHT
    if system is System.RAY_DATA and fixed_batch is None and large:
        tried.append(replace(base, batch=RAY_DATA_BATCH))
    return tuple(dict.fromkeys(tried))


def _alike(rates: Mapping[Setting, float]) -> dict[Setting, float]:
    """Those of the best one's precision: all systems run the same file."""
    precision = best(rates).precision
    return {setting: rate for setting, rate in rates.items() if setting.precision is precision}
