"""``tune``: trials are renders, what is kept is what `composite` goes by, and on CPUs nothing is tried."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import small
from encoders import write_encoder
from mixing import write_mixing
from ray.cluster_utils import Cluster as Nodes
from rich.console import Console
from small import Result, SmallClip

import actors
from actors.core.choices import Device
from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import RunFolder, new_driver_mark
from jobs.cluster.connection import connect
from jobs.cluster.layout import Layout
from jobs.cluster.placement import place_layout
from jobs.cluster.tuned_layout import Profile, profile_key, write_profile
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import load_options
from jobs.planning.preparation import plan_preparation
from jobs.planning.render_plan import RenderPlan
from jobs.tune.trial import measure
from jobs.tune.tuning import keep

Command = Callable[..., Result]

NOTHING = "on CPUs there is nothing to tune"


def trial(nodes: Nodes, folder: Path, layout: Layout, **flags: object) -> tuple[float, str]:
    """A trial of a layout on the suite's cluster, whose networks run on CPUs."""
    options = load_options({**flags, "out": "unused", "format": "none"}, None)
    inputs = read_inputs(options)
    mark = new_driver_mark()
    storage.write_atomic(RunFolder.at(folder).path / mark, b"")
    with connect(nodes.address, (actors,), Console(file=io.StringIO())) as cluster:
        resources = cluster.resources()
        placement = place_layout(resources, Device.CPU, layout, frames=layout.workers)
        preparation = plan_preparation(options, inputs, Device.CPU, list(inputs.frames), resources.store)
        plan = RenderPlan(options, inputs, Device.CPU, placement, preparation, RunFolder.at(folder), mark)
        return measure(plan, cluster, seconds=0.3, limit=60)


@pytest.mark.usefixtures("on_cluster")
def test_a_trial_counts_frames_while_all_workers_render(
    clip: SmallClip, model: Path, tmp_path: Path, cluster: Nodes
) -> None:
    recording = small.write_tone(tmp_path / "voice.wav", 0.5)
    base = {"clip": str(clip.folder), "model": str(model)}
    fps, remark = trial(cluster, tmp_path, Layout(2, 1, 1), **base)
    assert fps > 0
    assert remark == ""
    # No features have to be made of a recording for that.
    source = {"audio": str(recording), "encoder": str(write_encoder(tmp_path / "ear.onnx"))}
    fps, remark = trial(cluster, tmp_path, Layout(1, 1, 2), **base, **source)
    assert fps > 0
    assert remark == ""


@pytest.mark.usefixtures("on_cluster")
def test_a_layout_at_which_frames_depend_on_each_other_is_skipped(
    clip: SmallClip, tmp_path: Path, cluster: Nodes
) -> None:
    mixing = write_mixing(tmp_path / "m.onnx", "quantised")
    fps, remark = trial(cluster, tmp_path, Layout(1, 1, 2), clip=str(clip.folder), model=str(mixing))
    assert fps == 0
    assert remark.startswith("skipped: the model's answers change")
    assert "DynamicQuantizeLinear" in remark


def test_what_is_kept_is_used_until_told_otherwise(
    clip: SmallClip, model: Path, tmp_path: Path, cluster: Nodes, on_cluster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = load_options({"clip": str(clip.folder), "model": str(model), "out": "unused"}, None)
    with connect(cluster.address, (), Console(file=io.StringIO())) as joined:
        key = profile_key(read_inputs(options), options, joined.resources(), Device.CPU)
    kept = Path(write_profile(Profile(best=Layout(1, 1, 3), fps=1.0, trials=(), key=key)))
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--frames", ":6", "--format", "none"]

    def plan(name: str, *flags: str) -> tuple[int, int]:
        result = on_cluster(*base, "--out", tmp_path / name, *flags)
        assert result.code == 0, result.output
        assert ("tuned: 1 workers x 1 threads, batch 3" in result.output) == (name in {"tuned", "older"})
        found = json.loads((tmp_path / name / "run.json").read_text())["plan"]
        return found["workers"], found["batch"]

    assert plan("tuned") == (1, 3)
    assert plan("plain", "--no-tuned") == (2, 1)
    assert plan("told", "--workers", "2") == (2, 1)
    # As earlier versions wrote it.
    profile = json.loads(kept.read_text())
    profile["best"] = {"workers": 1, "threads": 1, "batch": 3, "gpus_per_worker": None}
    kept.write_text(json.dumps(profile))
    assert plan("older") == (1, 3)
    # A damaged profile is no reason not to render.
    kept.write_text("{")
    assert plan("damaged") == (2, 1)


def test_what_cannot_be_kept_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    profile = Profile(best=Layout(1, 1, 3), fps=1.0, trials=(), key={})
    with pytest.raises(InputError, match=r"what it found cannot be kept .*XDG_CACHE_HOME"):
        keep(profile, Console(file=io.StringIO()))


def test_on_cpus_nothing_is_tried(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file, which nothing can be kept in, and which is no reason not to render.
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scratch = tmp_path / "scratch"
    tune = ("tune", clip.folder, "--model", model, "--scratch", scratch)
    asked = on_cluster(*tune, "--device", "cpu")
    assert asked.code == 0, asked.output
    assert f"device: cpu (asked for)\n{NOTHING}" in asked.output
    # Where the cluster has a GPU that gives no CUDA it is the same as for `composite`.
    refused = on_cluster(*tune)
    assert refused.code == 0, refused.output
    assert "device: cpu (the cluster has 1 GPUs, but a CUDA session was asked for" in refused.output
    assert NOTHING in refused.output
    assert not list(scratch.iterdir())
    run = ("composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--frames", ":4", "--format", "none")
    assert on_cluster(*run).code == 0


def test_a_scratch_folder_that_cannot_be_is_one_line(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    (tmp_path / "file").touch()
    tuned = on_cluster("tune", clip.folder, "--model", model, "--scratch", tmp_path / "file")
    assert tuned.code == 2
    assert f"--scratch {tmp_path / 'file'}: cannot be written" in tuned.output
    assert "Traceback" not in tuned.output
