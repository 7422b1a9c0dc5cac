"""Memory: backgrounds are held once per node, and neither clip nor output length makes a worker grow."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import small
from block_reader import FRAME_BYTES, Reader, whole_block
from ray.cluster_utils import Cluster
from small import SmallClip
from small_worker import CLIP, block_of, worker_of

from actors.core.choices import Delivery, ImageFormat

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MIB = 1 << 20


def test_workers_of_a_node_share_one_copy_of_the_backgrounds(cluster: Cluster) -> None:
    connected: Any = ray.init(address=cluster.address, log_to_driver=False)
    try:
        node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            connected.address_info["node_id"], soft=False
        )
        block = whole_block.options(scheduling_strategy=node).remote()
        reader_type: Any = ray.remote(num_cpus=0.1)(Reader)
        readers = [reader_type.options(scheduling_strategy=node).remote() for _ in range(3)]
        ray.get([reader.read.remote(block) for reader in readers])
        for share in ray.get([reader.shares.remote() for reader in readers]):
            # Every reader has pages of the block, and counts for no more than its part of them.
            assert share["Rss"] > 0.9 * FRAME_BYTES
            assert share["Pss"] < FRAME_BYTES / 2
    finally:
        ray.shutdown()


def private_bytes() -> int:
    return int(psutil.Process().memory_full_info().uss)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_worker_does_not_grow_with_what_it_has_rendered(
    clip: SmallClip, model: Path, tmp_path: Path, threads: int
) -> None:
    delivery = Delivery(ImageFormat.JPG, 95, video=False)
    worker = worker_of(tmp_path, model, clip, delivery, batch=4, threads=threads)
    block = block_of(clip, delivery)

    def render(times: int) -> None:
        for _ in range(times):
            # As in a clip of so many blocks: none of them was there before.
            worker.render(CLIP, 0, 8, copy.deepcopy(block))

    # Threads get pools of memory of their own, once.
    render(15)
    before = private_bytes()
    render(20)
    # 160 frames of 92 kB each would be more; their six planes and answers would be hundreds of MiB, and so would 20
    # blocks be.
    assert private_bytes() - before < 12 * MIB
    assert 20 * block.crops.nbytes > 12 * MIB
    assert small.WIDTH * small.HEIGHT * 3 * 160 > 12 * MIB
