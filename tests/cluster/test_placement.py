"""Which device is chosen, and what the workers ask Ray for."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.core.choices import Device
from actors.core.errors import InputError
from jobs.cluster.connection import ClusterResources
from jobs.cluster.layout import CUDA_BATCH
from jobs.cluster.placement import (
    CPU_BATCH,
    PRECISION,
    check_share,
    choose_device,
    network_bytes,
    place,
    worker_capacity,
    workers_per_gpu,
)
from jobs.inputs.options import DeviceChoice

LAPTOP = ClusterResources(
    gpu_node_cpus=0.0, cpus=8.0, gpus=0.0, nodes=("a",), rendering=("a",), store=1 << 30, smallest_node_cpus=8.0
)
WORKSTATION = ClusterResources(
    gpu_node_cpus=16.0, cpus=16.0, gpus=2.0, nodes=("a",), rendering=("a",), store=1 << 30, smallest_node_cpus=16.0
)
HEAD_ONLY = ClusterResources(
    gpu_node_cpus=0.0, cpus=0.0, gpus=0.0, nodes=("a",), rendering=(), store=1 << 30, smallest_node_cpus=0.0
)

clusters = st.builds(
    ClusterResources,
    cpus=st.integers(1, 512).map(float),
    gpus=st.integers(0, 64).map(float),
    nodes=st.just(("a",)),
    rendering=st.just(("a",)),
    store=st.just(1 << 30),
    smallest_node_cpus=st.just(1.0),
    gpu_node_cpus=st.integers(0, 512).map(float),
)


@pytest.mark.parametrize(
    ("wanted", "resources", "device"),
    [
        (DeviceChoice.CPU, WORKSTATION, Device.CPU),
        (DeviceChoice.CUDA, WORKSTATION, Device.CUDA),
        (DeviceChoice.AUTO, WORKSTATION, Device.CUDA),
        (DeviceChoice.AUTO, LAPTOP, Device.CPU),
    ],
)
def test_the_device(wanted: DeviceChoice, resources: ClusterResources, device: Device) -> None:
    choice = choose_device(wanted, resources, started_here=False)
    assert choice.device is device
    assert choice.reason
    assert "\n" not in choice.reason


def test_cuda_without_a_gpu_is_refused_where_none_can_come() -> None:
    with pytest.raises(InputError) as caught:
        choose_device(DeviceChoice.CUDA, LAPTOP, started_here=True)
    assert caught.value.subject == "--device cuda"
    assert "--device cpu" in caught.value.fix
    # An autoscaling cluster may still bring one.
    assert choose_device(DeviceChoice.CUDA, LAPTOP, started_here=False).device is Device.CUDA


@pytest.mark.parametrize(
    ("resources", "device", "share", "workers"),
    [
        (LAPTOP, Device.CPU, 0.25, 8),
        (WORKSTATION, Device.CPU, 0.25, 16),
        (WORKSTATION, Device.CUDA, 0.25, 8),
        (WORKSTATION, Device.CUDA, 1 / 3, 6),
        (WORKSTATION, Device.CUDA, 0.3, 6),
        # No worker spans two GPUs, so a share above a half is a GPU each.
        (WORKSTATION, Device.CUDA, 0.7, 2),
        (WORKSTATION, Device.CUDA, 1.0, 2),
        (WORKSTATION, Device.CUDA, 2.0, 1),
        # One worker at least: it waits for the GPU that the autoscaler brings.
        (LAPTOP, Device.CUDA, 0.25, 1),
        (HEAD_ONLY, Device.CPU, 0.25, 1),
    ],
)
def test_worker_capacity(resources: ClusterResources, device: Device, share: float, workers: int) -> None:
    assert worker_capacity(resources, device, share, 1) == workers


def test_a_core_each_is_the_layout_on_cpus() -> None:
    placement = place(LAPTOP, Device.CPU, workers=None, threads=None, batch=None, gpus_per_worker=0.25, frames=1000)
    assert (placement.workers, placement.threads, placement.batch, placement.gpus) == (8, 1, CPU_BATCH, 0.0)
    assert placement.resources == {"num_cpus": 1}


def test_fewer_workers_get_more_threads() -> None:
    placement = place(LAPTOP, Device.CPU, workers=2, threads=None, batch=3, gpus_per_worker=0.25, frames=1000)
    assert (placement.workers, placement.threads, placement.batch) == (2, 4, 3)
    assert placement.resources == {"num_cpus": 4}


def test_threads_do_not_outgrow_the_smallest_node() -> None:
    resources = replace(LAPTOP, cpus=12.0, nodes=("a", "b"), rendering=("a", "b"), smallest_node_cpus=4.0)
    assert (
        place(resources, Device.CPU, workers=2, threads=None, batch=None, gpus_per_worker=0.25, frames=10).threads == 4
    )


def test_a_share_of_a_gpu_is_the_layout_on_gpus() -> None:
    placement = place(
        WORKSTATION, Device.CUDA, workers=None, threads=None, batch=None, gpus_per_worker=0.25, frames=1000
    )
    assert (placement.workers, placement.threads, placement.batch, placement.gpus) == (8, 1, CUDA_BATCH, 0.25)
    assert placement.resources == {"num_cpus": 1.0, "num_gpus": 0.25}


# As NVIDIA's tool tells them.
T4, L4, H200 = 15360 << 20, 23034 << 20, 143771 << 20


@pytest.mark.parametrize(
    ("memory", "cores", "gpus", "batch", "workers"),
    [
        (T4, 4, 1, 16, 2),
        (L4, 8, 1, 16, 4),
        (H200, 16, 1, 16, 8),
        # A container may have a core less.
        (H200, 15, 1, 16, 8),
        (H200, 13, 1, 16, 4),
        (H200, 192, 1, 16, 8),
        (H200, 2, 1, 16, 1),
        (H200, 1, 1, 16, 1),
        # A node's cores are for all its GPUs.
        (L4, 48, 4, 16, 4),
        (H200, 192, 8, 16, 8),
        (T4, 8, 4, 16, 1),
        # 8 fit on a T4 and 4 on 8 GB, at batch 16; larger batches need more.
        (T4, 64, 1, 16, 8),
        (T4, 64, 1, 32, 4),
        (T4, 64, 1, 64, 2),
        (8 << 30, 64, 1, 16, 4),
        (4 << 30, 64, 1, 16, 2),
        (2 << 30, 64, 1, 16, 1),
        (H200, 16, 1, 64, 8),
        (H200, 16, 1, 1, 8),
        # Of which nothing is known.
        (0, 64, 1, 16, 4),
        (0, 4, 1, 16, 2),
        (0, 0, 0, 16, 4),
    ],
)
def test_how_many_workers_share_a_gpu(memory: int, cores: float, gpus: float, batch: int, workers: int) -> None:
    assert workers_per_gpu(memory, cores, gpus, batch) == workers


@given(st.integers(0, 300 << 30), st.floats(0, 512), st.integers(1, 16), st.integers(1, 256))
def test_workers_by_default_have_memory_and_cores(memory: int, cores: float, gpus: int, batch: int) -> None:
    workers = workers_per_gpu(memory, cores, gpus, batch)
    if workers > 1:
        assert cores / gpus / workers >= 1.75
        # All networks, with what CUDA takes of every process.
        assert not memory or workers * (network_bytes(batch) + 600_000_000) <= memory


def test_the_default_layout_on_a_large_gpu() -> None:
    big = replace(WORKSTATION, gpus=1.0, gpu_memory=H200)
    placement = place(big, Device.CUDA, workers=None, threads=None, batch=None, gpus_per_worker=None, frames=1000)
    assert (placement.workers, placement.batch, placement.gpus, placement.compositing_threads) == (8, 16, 0.125, 2)
    assert placement.resources == {"num_cpus": 1.0, "num_gpus": 0.125}
    # What the user gives is taken as it is.
    told = place(big, Device.CUDA, workers=3, threads=None, batch=4, gpus_per_worker=0.5, frames=1000)
    assert (told.workers, told.batch, told.gpus, told.compositing_threads) == (3, 4, 0.5, 5)
    # A batch that needs more memory leaves room for fewer.
    small = replace(big, gpu_memory=L4)
    assert (
        place(small, Device.CUDA, workers=None, threads=None, batch=64, gpus_per_worker=None, frames=1000).gpus == 0.25
    )


def test_a_share_that_is_too_small_for_the_memory() -> None:
    assert check_share(T4, 0.125, 16) == check_share(T4, 1.0, 64) == check_share(0, 0.01, 64) == ""
    assert check_share(T4, 0.125, 64) == (
        "--gpus-per-worker 0.125 leaves the network 1.3 of the GPU's 16 GB, at batch 64 it may need 4.8 GB:"
        " give 0.5 or more, or a smaller --batch, if it fails"
    )
    # Nothing is enough for that.
    assert "give 1 or more" in check_share(2 << 30, 0.5, 64)
    with pytest.raises(InputError) as caught:
        check_share(T4, 0.02, 16)
    assert str(caught.value) == (
        "--gpus-per-worker 0.02: that share of the GPU's 16 GB is less than the 0.6 GB that CUDA itself takes;"
        " give 0.125 or more"
    )


def test_gpus_wanted_from_an_autoscaler_are_asked_for_with_a_core_each() -> None:
    placement = place(HEAD_ONLY, Device.CUDA, workers=4, threads=None, batch=None, gpus_per_worker=0.25, frames=1000)
    assert placement.workers == 4
    assert placement.resources == {"num_cpus": 1.0, "num_gpus": 0.25}


@given(
    clusters,
    st.sampled_from([Device.CPU, Device.CUDA]),
    st.one_of(st.none(), st.integers(1, 200)),
    st.one_of(st.none(), st.integers(1, 64)),
    st.integers(1, 500),
)
@example(replace(LAPTOP, cpus=51.0), Device.CPU, 75, None, 500)
def test_all_workers_fit_at_once(
    resources: ClusterResources, device: Device, workers: int | None, threads: int | None, frames: int
) -> None:
    placement = place(
        resources, device, workers=workers, threads=threads, batch=None, gpus_per_worker=0.25, frames=frames
    )
    assert 1 <= placement.workers <= frames
    if workers is not None:
        assert placement.workers == min(workers, frames)
    assert placement.threads >= 1
    cpus = placement.resources["num_cpus"]
    assert cpus > 0
    cores = resources.cpus if device is Device.CPU else resources.gpu_node_cpus
    # Ray counts in ten-thousandths, and refuses more decimals and parts of more than one core.
    assert placement.workers * round(cpus * PRECISION) <= cores * PRECISION or cores == 0
    assert cpus < 1 or cpus == int(cpus)
    assert cpus * PRECISION == pytest.approx(round(cpus * PRECISION), abs=1e-6)
    assert ("num_gpus" in placement.resources) == (device is Device.CUDA)


def test_more_threads_than_cores_share_them() -> None:
    def asked(workers: int, threads: int) -> float:
        layout = {"workers": workers, "threads": threads, "batch": None, "gpus_per_worker": None}
        return float(place(LAPTOP, Device.CPU, frames=100, **layout).resources["num_cpus"])

    assert [asked(8, 4), asked(3, 4), asked(16, 4), asked(2, 4)] == [1, 2, 0.5, 4]


def test_a_cluster_without_cpus_is_asked_for_one_each() -> None:
    assert place(
        HEAD_ONLY, Device.CPU, workers=2, threads=None, batch=None, gpus_per_worker=0.25, frames=10
    ).resources == {"num_cpus": 1}
