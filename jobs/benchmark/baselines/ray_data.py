"""Ray Data: `from_numpy -> map_batches(actor pool, fractional GPU)`, as Ray's documentation recommends it.

Rows are numbers of output frames (Ray calls the column ``data``), so blocks are tiny; the clip is put into the object
store once and every actor reads it there without a copy. One actor pool gathers, infers, pastes and writes.

Ray Data keeps no actors from one dataset to the next to be warmed beforehand. Instead the execution waits until every
actor is up and warm (`wait_for_min_actors_s`), each batch reports when it began and ended, and the clock runs from a
beginning to the last end: starting and ending the pool costs nothing, nor does filling the pipeline, see `settled`.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared

Rows = dict[str, NDArray[Any]]

LONGEST_START = 600  # seconds that a pool may take to come up
FILLING = 2.0  # seconds until the pipeline is full and the actors are at their pace
MOST_IN_BLOCK = 128  # frames
IN_FLIGHT = 2  # tasks queued per actor


class Rendering:
    """An actor with a warm session."""

    def __init__(self, clip: ray.ObjectRef[shared.BaselineClip], threads: int) -> None:
        cv2.setNumThreads(1)
        self._network = shared.BaselineNetwork(ray.get(clip), threads)

    def __call__(self, rows: Rows) -> Rows:
        """Renders the frames in ``data``; adds when that ``began`` and ``ended``."""
        began = time.perf_counter()
        shared.render_batch(self._network, rows["data"].tolist())
        ended, count = time.perf_counter(), len(rows["data"])
        return {"data": rows["data"], "began": np.full(count, began), "ended": np.full(count, ended)}


def start_ray() -> None:
    """Starts a cluster on this machine."""
    # Otherwise Ray leaves one in the user's home that everybody can read.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.wait_for_min_actors_s = LONGEST_START


def settled(rows: Rows) -> Rows:
    """The rows of the batches that began when the pipeline was full; of the later half where those are fewer.

    While Ray Data fills its pipeline, 1.3 s on two cores however large the batches are, actors take several times as
    long for one. In the long runs that it is made for nobody would see that.
    """
    begun = np.unique(rows["began"])
    late = begun[begun >= begun[0] + FILLING]
    first = late[0] if 2 * len(late) >= len(begun) else begun[len(begun) // 2]
    counted = rows["began"] >= first
    return {name: values[counted] for name, values in rows.items()}


def render(spec: shared.Spec, clip: ray.ObjectRef[shared.BaselineClip]) -> shared.Done:
    """Runs the dataset."""
    # Whole batches; fewer where every actor would otherwise have less than 16 blocks to take.
    size = spec.batch * max(1, min(MOST_IN_BLOCK, spec.frames // (16 * spec.workers)) // spec.batch)
    blocks = [np.array(frames) for frames in shared.batches(range(spec.frames), size)]
    rendered = ray.data.from_numpy(blocks).map_batches(
        Rendering,
        fn_constructor_args=(clip, spec.threads),
        batch_size=spec.batch,
        compute=ray.data.ActorPoolStrategy(size=spec.workers, max_tasks_in_flight_per_actor=IN_FLIGHT),
        # All actors must be up at once, on however few cores.
        num_cpus=1 / math.ceil(spec.workers / (os.cpu_count() or 1)),
        num_gpus=0 if spec.provider == shared.CPU else 1 / spec.workers,
    )
    rows = rendered.take_all()
    counted = settled({name: np.array([row[name] for row in rows]) for name in ("data", "began", "ended")})
    began = np.unique(counted["began"])
    return shared.Done(len(counted["data"]), len(began), float(began[0]), float(counted["ended"].max()))


if __name__ == "__main__":
    told = shared.Spec.from_command_line()
    loaded = shared.load_clip(told)
    start_ray()
    done = render(told, ray.put(loaded))
    ray.shutdown()
    shared.report([done])
