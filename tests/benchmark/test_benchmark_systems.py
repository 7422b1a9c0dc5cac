"""What each system is told, and how its answer is read."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import any_kind
import benched
import numpy as np
import pytest
import reference_kinds
import small

from actors.core.choices import Device, Precision
from actors.core.errors import InputError
from actors.core.kind import ModelTensors
from actors.kinds import all_kinds, kinds_named
from actors.network.recognition import read_model, recognise_model
from jobs.benchmark.baselines import shared
from jobs.benchmark.frame_check import Reference, check_frames
from jobs.benchmark.material import Material, prepare
from jobs.benchmark.matrix import Cell, Output, Regime, System
from jobs.benchmark.measurement import Assignment
from jobs.benchmark.networks import RegimeNetwork, make_network, networks_kind
from jobs.benchmark.settings import Setting
from jobs.benchmark.systems import Runner, read_baseline, read_ours
from jobs.demo.demo_clip import demo_kind
from jobs.inputs.options import CompositeOptions

TENSORS = ModelTensors("pictures", "sounds", "answer", None, 17, ())
FRAMES = 16


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Material, small.SmallClip]:
    return benched.material(tmp_path_factory.mktemp("systems"))


def runner(material: Material, model: Path, scratch: Path, device: Device = Device.CPU) -> Runner:
    return Runner(material, RegimeNetwork("light", str(model), "half.onnx", TENSORS), device, scratch, 120)


def task(system: System, output: Output, setting: Setting) -> Assignment:
    return Assignment(Cell(Regime.LIGHT, output, system), FRAMES, setting)


def test_baselines_are_told_what_they_ask_for(
    material: tuple[Material, small.SmallClip], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = runner(material[0], model, tmp_path).spec(
        task(System.BATCH, Output.JPG, Setting(2, 1, 4, Precision.FP16)), tmp_path / "out"
    )
    assert (told.system, told.format, told.seconds) == ("batch", "jpg", None)
    assert (told.workers, told.threads, told.batch, told.frames) == (2, 1, 4, FRAMES)
    assert told.rects == [list(box) for box in material[1].boxes]
    assert told.model == "half.onnx"
    assert told.provider == "CPUExecutionProvider"
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(dataclasses.asdict(told)))
    monkeypatch.setattr(sys, "argv", ["batch", str(path)])
    assert shared.Spec.from_command_line() == told


@pytest.mark.parametrize("device", Device)
@pytest.mark.parametrize("output", [Output.JPG, Output.PNG, Output.VIDEO])
@pytest.mark.parametrize("told", [False, True])
def test_ours_is_started_as_users_start_it(
    material: tuple[Material, small.SmallClip],
    model: Path,
    tmp_path: Path,
    device: Device,
    output: Output,
    told: bool,
) -> None:
    how = runner(material[0], model, tmp_path, device)
    command = how.command(task(System.OURS, output, Setting(4, 1, 8, told=told)), tmp_path / "run")
    assert command[1:4] == ["-P", str(small.ROOT / "mouthpiece.py"), "composite"]
    if output is Output.VIDEO:
        assert command.pop() == "--video"
    flags = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(command[5::2], command[6::2], strict=True)
    }
    options = CompositeOptions.model_validate({**flags, "clip": command[4], "video": output is Output.VIDEO})
    assert options.format.value == ("none" if output is Output.VIDEO else output)
    assert options.device.value == device
    assert options.frame_range(FRAMES + 8) == (0, FRAMES)
    assert (options.workers, options.batch) == ((4, 8) if told else (None, None))
    assert flags.get("gpus_per_worker") == ("0.2500" if told and device is Device.CUDA else None)
    if output is Output.JPG:
        assert options.image_quality == 95


def test_a_baseline_renders_what_the_reference_renders(
    material: tuple[Material, small.SmallClip], model: Path, tmp_path: Path
) -> None:
    ready, clip = material
    out = tmp_path / "out"
    answer = runner(ready, model, tmp_path).run(task(System.SINGLE, Output.PNG, Setting(1, 1, 1)), out)
    assert answer.fault == ""
    assert answer.frames == FRAMES
    assert answer.steady_s > 0
    right = benched.rendered(clip, np.load(ready.features(FRAMES)), model, FRAMES)
    folder = benched.write_frames(tmp_path / "right", right, "png")
    verdict = check_frames(out, Output.PNG, FRAMES, Reference(folder, FRAMES, ready), 0)
    assert (verdict.checked, verdict.worst, verdict.fault) == (FRAMES, 0, "")


@pytest.mark.parametrize("name", ["unet-160-hubert-8", "wav2lip-96"])
def test_baseline_and_ours_render_what_the_reference_of_their_kind_renders(
    name: str, tmp_path: Path, on_cluster: Callable[..., small.Result]
) -> None:
    facts, (kind,) = replace(reference_kinds.KINDS[name], loop="bounce"), kinds_named(name)
    clip = any_kind.write_clip(tmp_path / "clip", facts)
    np.save(clip.folder / "aud_hu.npy", np.random.default_rng(2).random((9, 2, 1024), np.float32))
    model = any_kind.write_model(tmp_path / "m.onnx", facts)
    (tmp_path / "scratch").mkdir()
    ready = prepare(tmp_path / "scratch", str(clip.folder), clip.flags[1], None, kind)
    network = RegimeNetwork("m", str(model), None, read_model(str(model), kind))
    how = Runner(ready, network, Device.CPU, tmp_path, 120)
    task_of = Assignment(Cell(Regime.LIGHT, Output.PNG, System.SINGLE), FRAMES, Setting(1, 1, 1))
    assert how.run(task_of, tmp_path / "baseline").fault == ""
    ours = on_cluster(*how.command(task_of, tmp_path / "ours")[3:], "--workers", 1)
    assert ours.code == 0, ours.output

    rows = np.load(ready.features(FRAMES))
    sounds = [
        row.reshape(facts.tensor) if any_kind.takes_mel(facts) else reference_kinds.audio_tensor(facts, rows, t)
        for t, row in enumerate(rows[:FRAMES])
    ]
    right = [frame for _, frame in any_kind.render(facts, clip, np.stack(sounds), model)]
    folder = benched.write_frames(tmp_path / "right", right, "png")
    for frames in (tmp_path / "baseline", tmp_path / "ours" / "frames"):
        verdict = check_frames(frames, Output.PNG, FRAMES, Reference(folder, FRAMES, ready), 0)
        assert (verdict.checked, verdict.worst, verdict.fault) == (FRAMES, 0, "")


def test_a_system_that_fails_is_one_line(material: tuple[Material, small.SmallClip], tmp_path: Path) -> None:
    missing = runner(material[0], tmp_path / "missing.onnx", tmp_path)
    answer = missing.run(task(System.SINGLE, Output.PNG, Setting(1, 1, 1)), tmp_path / "out")
    assert answer.fault.startswith("ended with 1: ")
    assert "\n" not in answer.fault
    assert str(tmp_path) not in answer.fault
    ours = missing.run(task(System.OURS, Output.PNG, Setting(1, 1, 1)), tmp_path / "run")
    assert ours.fault.startswith("ended with 2: ")
    assert "there is no such model" in ours.fault


def test_answers_are_read_from_the_last_line() -> None:
    answer = read_baseline('noise\n{"frames": 32, "runs": 8, "seconds": 2.5}\n')
    assert (answer.frames, answer.steady_s) == (32, 2.5)


def test_the_record_of_ours_says_what_it_rendered_and_prepared(tmp_path: Path) -> None:
    record = {
        "totals": {"rendered": 45, "steady_s": 1.5, "cold": {"ray_s": 4, "import_s": 0.5}},
        "plan": {"workers": 3, "threads": 2, "batch": 5, "ranges": 9, "faces": True},
        "cache_bytes": 77,
    }
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record))
    answer = read_ours(path)
    assert (answer.frames, answer.steady_s, answer.prepare_s, answer.cache_bytes) == (45, 1.5, 0, 77)
    assert answer.faces
    assert answer.cold == {"ray_s": 4.0, "import_s": 0.5}
    path.write_text(json.dumps({**record, "totals": {**record["totals"], "prepare_s": 0.75}}))  # type: ignore[dict-item]
    assert read_ours(path).prepare_s == 0.75


def test_the_networks_honour_the_contract(tmp_path: Path, model: Path) -> None:
    light = make_network(Regime.LIGHT, None, demo_kind(), tmp_path, half=False)
    assert (light.tensors.image, light.tensors.batch) == ("input", None)
    assert light.file(Precision.FP32) == light.file(Precision.FP16) == str(tmp_path / "light.onnx")
    given = make_network(Regime.HEAVY, str(model), demo_kind(), tmp_path, half=False)
    assert (given.name, given.path, given.tensors.image) == ("light.onnx", str(model), "pictures")
    # The user's model stands for the heavy regime alone.
    assert make_network(Regime.LIGHT, str(model), demo_kind(), tmp_path, half=False).path == light.path


def test_the_networks_are_of_the_kind_that_is_named_or_given(tmp_path: Path, model: Path) -> None:
    assert networks_kind(None, None) == networks_kind(str(model), None) == demo_kind()
    for kind in all_kinds():
        assert networks_kind(None, kind.name) == kind
        light = make_network(Regime.LIGHT, None, kind, tmp_path, half=False)
        assert recognise_model(light.path, all_kinds())[0] == kind
    with pytest.raises(InputError, match="are not those of wav2lip-96"):
        networks_kind(str(model), "wav2lip-96")
    # Nobody knows the layers of every kind that is added.
    other = replace(demo_kind(), name="other", crop=264, inner=256, mask=(5, 5, 246, 241))
    with pytest.raises(InputError, match="no layers are known"):
        make_network(Regime.HEAVY, None, other, tmp_path, half=False)


def test_half_precision_keeps_inputs_outputs_and_looks(tmp_path: Path, model: Path) -> None:
    import onnx
    import onnxruntime

    network = make_network(Regime.HEAVY, str(model), demo_kind(), tmp_path, half=True)
    half = network.file(Precision.FP16)
    assert half != network.path
    stored = {tensor.data_type for tensor in onnx.load(half).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in stored
    rng = np.random.default_rng(0)
    feed = {"pictures": rng.random((1, 6, 320, 320), np.float32), "sounds": rng.random((1, 32, 16, 16), np.float32)}
    outputs = [
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feed)[0]
        for path in (network.path, half)
    ]
    assert outputs[1].dtype == np.float32
    assert 0 < np.abs(outputs[0] - outputs[1]).max() < 2 / 255


def test_relative_paths_of_the_clip_mean_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run in folders of their own."""
    facts = reference_kinds.KINDS["wav2lip-96"]
    clip = any_kind.write_clip(tmp_path / "clip", facts)
    np.save(clip.folder / "aud_ave.npy", small.feature_rows())
    (tmp_path / "scratch").mkdir()
    boxes = Path(clip.flags[1])
    monkeypatch.chdir(boxes.parent)
    ready = prepare(tmp_path / "scratch", os.path.relpath(clip.folder), boxes.name, None, demo_kind())
    assert ready.clip == str(clip.folder)
    assert ready.box_flags == {"rects": str(boxes)}


def test_a_frame_without_a_face_is_nothing_that_other_programs_can_render(tmp_path: Path) -> None:
    clip = any_kind.write_clip(tmp_path / "clip", reference_kinds.KINDS["wav2lip-96"])
    boxes = Path(clip.flags[1])
    boxes.write_text(json.dumps([None, *json.loads(boxes.read_text())[1:]]))
    with pytest.raises(InputError, match="has frames without a face"):
        prepare(tmp_path, str(clip.folder), str(boxes), None, demo_kind())
