"""Fixtures: one small Ray cluster for the whole session, and a clip and a model that are quick to render."""

from __future__ import annotations

import os

# Read by Ray when it is imported.
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_memory_usage_threshold"] = "0.98"  # noqa: SIM112 - Ray spells its settings so
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Every node's agent looks at all processes once in that many milliseconds, for a dashboard.
os.environ["REPORTER_UPDATE_INTERVAL_MS"] = "600000"
# Read by ONNX Runtime, likewise.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Read by NumPy: threads of every process for every core wait for each other where other tests run.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Read by Rich: what is printed is as wide here as in the processes that tests start.
os.environ["COLUMNS"] = "200"
# Workers find the suite's own modules, such as the workers that fail on demand.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [os.path.join(os.path.dirname(__file__), "support"), os.path.dirname(os.path.dirname(__file__))]  # noqa: PTH118, PTH120
)

# Read by the C library when a process begins (see the Makefile): what tests start is as users have it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("MALLOC_MMAP_THRESHOLD_", None)
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)

import gc
import re
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import grouping
import hypothesis
import pytest
from examples import ALL, FEW, MANY
from xdist.remote import Producer

if TYPE_CHECKING:
    # Imported where they are needed: the process that only gives tests to others has no use for them.
    import small
    from ray.cluster_utils import Cluster

# A suite that is started in the background inherits an ignored SIGINT, and would hand it on to the programs it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Under `nohup` the same goes for SIGHUP: what is started gets the default in place of a handler that does nothing.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# A busy machine is slow now and then; pytest's own time limit catches what hangs.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=MANY)
# Those of `make check` and `make test-long`.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=FEW)
hypothesis.settings.register_profile("all", deadline=None, max_examples=ALL)
hypothesis.settings.load_profile("suite")


# What these give is a cluster, or runs on one.
CLUSTERS = {"cluster", "bare_cluster"}

# Where nodes and workers are killed, Ray takes a slow one for a dead one.
FAULTS = {"undisturbed", "bare_cluster"}

# With one of these a test finds this process connected as the test before it left it.
JOINED = {"on_cluster", "undisturbed"}

# Where a command of ours looks for Ray in a test that has no marker `cluster`: it is refused there.
NO_CLUSTER = "a-test-without-the-marker-cluster.invalid:6379"

# Of folders that tests are given.
_numbers = count()


def pytest_configure(config: pytest.Config) -> None:
    """Brings the fixtures of `tests/support` into the processes that run tests."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        for name in ("stage", "face_networks", "card"):
            config.pluginmanager.import_plugin(name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what uses a cluster, a browser or a full network, and puts it into the order in which `make test` wants it.

    Faults come first, in one process, nodes before others; the other process runs what starts no Ray meanwhile. What is
    left is for both, first what joins a cluster by itself.
    """
    places: dict[pytest.Item, int] = {}
    for item in items:
        fixtures = fixtures_of(item)
        if fixtures & CLUSTERS:
            item.add_marker("cluster")
        if "browser" in fixtures:
            item.add_marker("browser")
        if item.nodeid.startswith(grouping.STAND_INS):
            item.add_marker("full_network")
        if fixtures & FAULTS and not item.nodeid.startswith(grouping.FAULTS):
            raise pytest.UsageError(
                f"{item.nodeid} disturbs nodes or workers: its place is in one of {grouping.FAULTS}"
            )
        if "bare_cluster" in fixtures:
            places[item] = 0
        elif fixtures & FAULTS:
            places[item] = 1
        elif item.get_closest_marker("cluster") is None:
            places[item] = 2
        else:
            places[item] = 4 if "on_cluster" in fixtures else 3
    items.sort(key=places.__getitem__)


def pytest_collection_finish() -> None:
    """Takes what has been imported and collected out of every later garbage collection."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> grouping.GroupScheduling | None:
    """How `make test` and `make check` give tests to processes."""
    return grouping.GroupScheduling(config, log) if config.getvalue("dist") in {"loadscope", "loadfile"} else None


def fixtures_of(item: pytest.Item) -> set[str]:
    """Names of the fixtures that a test uses, those of its fixtures included."""
    return set(getattr(item, "fixturenames", ()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Sees to it that no test starts a Ray of its own without saying so, or finds the connection of another test."""
    ray = sys.modules.get("ray")
    if ray is not None and not fixtures_of(item) & JOINED and ray.is_initialized():
        ray.shutdown()
    if item.get_closest_marker("cluster") is None:
        os.environ["RAY_ADDRESS"] = NO_CLUSTER
    else:
        os.environ.pop("RAY_ADDRESS", None)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pytest's own gives, without a link to the latest folder, which is made anew for each test."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}{next(_numbers)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one core each; the head also has a GPU that exists for Ray's books only."""
    from clusters import two_nodes

    with two_nodes(num_gpus=1, include_dashboard=False) as started:
        yield started


@pytest.fixture
def on_cluster(cluster: Cluster) -> Callable[..., small.Result]:
    """Runs a command of ours against the cluster, in this process, which stays connected to it."""
    import in_process
    from clusters import join

    join(cluster.address)

    def command(*arguments: object) -> small.Result:
        return in_process.command(*arguments, "--address", cluster.address)

    return command


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> small.SmallClip:
    """A dataset-form clip of 20 textured frames with moving squares, and 45 rows of features."""
    import small

    return small.write_dataset(tmp_path_factory.mktemp("clips") / "walker")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that honours the contract and depends on every input, with any batch."""
    import small

    return small.write_model(tmp_path_factory.mktemp("models") / "light.onnx")


@pytest.fixture(scope="session")
def demo_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's own clip; drawing it takes seconds."""
    from jobs.demo.demo_clip import write_demo_clip

    folder = tmp_path_factory.mktemp("demo") / "clip"
    write_demo_clip(folder)
    return folder
