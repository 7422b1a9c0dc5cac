"""A worker's session: batches where no frame depends on them, else frames alone; no network that answers by chance."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import in_process
import numpy as np
import onnx
import pandas as pd
import pytest
import small
from lone import plan_of
from mixing import SORTS, UNSTEADY, mix, write_mixing
from small import Result, SmallClip

import actors.rendering.worker_session
from actors.core.audio_track import AudioTrack
from actors.core.choices import PLAIN, GpuTuning, Precision
from actors.core.errors import InputError
from actors.network.cpu_kind import cpu_kind
from actors.network.operators import mixing_cause, quantised_operators, unsteady_operators
from actors.network.session import Session
from actors.rendering.worker_session import Ready, ready_session
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions

Command = Callable[..., Result]

CAUSES = {
    "quantised": "DynamicQuantizeLinear takes one scale",
    "training": "exported in training mode: export it after .eval()",
    "averaged": "the cause is unknown",
    "cumulated": "the cause is unknown",
}


def ready(
    clip: SmallClip,
    model: Path,
    batch: int,
    *,
    faces: bool = False,
    frames: str | None = None,
    composite: bool = True,
    tuning: GpuTuning = PLAIN,
    precision: Precision = Precision.FP32,
) -> Ready:
    options = CompositeOptions(
        clip=str(clip.folder), model=str(model), out="", frames=frames, composite=composite, precision=precision
    )
    inputs = read_inputs(options)
    assert isinstance(inputs.audio, AudioTrack)
    plan = plan_of(options, inputs, Path(), batch=batch, faces=faces)
    return ready_session(replace(plan.network, tuning=tuning), 0, plan.clip(inputs.audio))


def noise(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    loudness = np.linspace(0.2, 2, count, dtype=np.float32)[:, None, None, None]
    return rng.integers(0, 200, (count, 3, 320, 320)).astype(np.uint8), rng.random(
        (count, 32, 16, 16), np.float32
    ) * loudness


def one_by_one(session: Session) -> list[np.ndarray]:
    pictures, sounds = noise(3)
    order = (0, 1, 2, 1, 0)
    return [session.run(pictures[i : i + 1], sounds[i : i + 1]).planes for i in order]


@pytest.fixture(scope="module")
def alone(clip: SmallClip, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[np.ndarray]]:
    """What each sort of network answers to frames one by one, by the export that is not fixed to anything."""

    @cache
    def answers(sort: str) -> list[np.ndarray]:
        path = write_mixing(tmp_path_factory.mktemp("alone") / "open.onnx", sort)
        return one_by_one(ready(clip, path, 1).session)

    return answers


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("fixed", [None, 1, 3])
def test_frames_that_depend_on_their_batch_are_run_alone(
    clip: SmallClip, alone: Callable[[str], list[np.ndarray]], tmp_path: Path, sort: str, fixed: int | None
) -> None:
    path = write_mixing(tmp_path / "m.onnx", sort, fixed)
    found = ready(clip, path, 3)
    assert found.session.batch == 1
    if fixed == 1:
        assert any("could not be rewritten" in note for note in found.notes)
    else:
        assert any("answers change with" in note and CAUSES[sort] in note for note in found.notes)
    answers = one_by_one(found.session)
    if fixed is None or sort != "training":
        near = 1 if sort == "averaged" and fixed else 0
        for answer, right in zip(answers, alone(sort), strict=True):
            if sort != "cumulated" or fixed is None:
                assert np.abs(answer.astype(int) - right).max() <= near
    # Whatever was asked before.
    assert np.array_equal(answers[0], answers[4])
    assert np.array_equal(answers[1], answers[3])


@pytest.mark.parametrize("frames", [None, "7:8"])
@pytest.mark.parametrize("fixed", [None, 3])
def test_others_keep_their_batch(clip: SmallClip, tmp_path: Path, fixed: int | None, frames: str | None) -> None:
    found = ready(clip, small.write_model(tmp_path / "m.onnx", fixed), 3, frames=frames)
    assert (found.session.batch, found.notes) == (3, ())


def write_reshaping(path: Path, batch: int) -> Path:
    """A network that declares any batch and reshapes to a constant one."""
    proto = onnx.load(str(small.write_model(path)))
    flat = next(tensor for tensor in proto.graph.initializer if tensor.name == "flat")
    flat.CopyFrom(onnx.numpy_helper.from_array(np.array([batch, 32 * 256], np.int64), "flat"))
    onnx.save(proto, str(path))
    return path


def test_a_batch_that_a_network_declares_and_cannot_run_is_not_asked_of_it(clip: SmallClip, tmp_path: Path) -> None:
    alone = ready(clip, write_reshaping(tmp_path / "one.onnx", 1), 4)
    assert alone.session.batch == 1
    (note,) = [note for note in alone.notes if "frames are run alone" in note]
    assert "fails when it runs at batch 4" in note
    two = write_reshaping(tmp_path / "two.onnx", 2)
    assert ready(clip, two, 2).session.batch == 2
    for batch in (1, 4):
        with pytest.raises(InputError, match=f"fails when it runs at batch {batch}"):
            ready(clip, two, batch)


def test_inspect_compares_frames_at_the_batch_that_is_asked_for(clip: SmallClip, tmp_path: Path) -> None:
    path = write_mixing(tmp_path / "m.onnx", "training")
    result = in_process.command("inspect", clip.folder, "--model", path, "--batch", 2)
    assert result.code == 0, result.output
    assert "so frames are run alone, not 2 at once; it was exported in training mode" in result.output


def test_inspect_goes_by_the_batch_that_a_render_would_run(clip: SmallClip, tmp_path: Path) -> None:
    one = write_reshaping(tmp_path / "one.onnx", 1)
    result = in_process.command("inspect", clip.folder, "--model", one, "--batch", 4)
    assert result.code == 0, result.output
    assert "the network runs on the CPU here, at batch 1" in result.output
    assert "warning: the model fails when it runs at batch 4" in result.output
    two = write_reshaping(tmp_path / "two.onnx", 2)
    result = in_process.command("inspect", clip.folder, "--model", two, "--batch", 4)
    assert result.code == 2
    assert "fails when it runs at batch 4" in result.output


def test_a_single_frame_is_compared_with_a_stranger(clip: SmallClip, tmp_path: Path) -> None:
    assert ready(clip, write_mixing(tmp_path / "m.onnx", "quantised"), 3, frames="7:8").session.batch == 1


@pytest.mark.parametrize("sort", [None, "averaged"])
def test_the_part_behind_the_face_encoder_is_compared_too(clip: SmallClip, tmp_path: Path, sort: str | None) -> None:
    path = small.write_face_model(tmp_path / "m.onnx")
    if sort is not None:
        model = onnx.load(str(path))
        mix(model, "mixed", sort, channels=3)
        onnx.save(model, str(path))
    found = ready(clip, path, 3, faces=True)
    assert found.session.batch == (1 if sort else 3)


@pytest.mark.parametrize("sort", [None, "quantised"])
def test_ready_planes_are_compared_as_they_are(clip: SmallClip, tmp_path: Path, sort: str | None) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    rng = np.random.default_rng(8)
    (rng.random((4, 6, 320, 320), np.float32) / np.arange(1, 5, dtype=np.float32)[:, None, None, None]).tofile(
        folder / "visual_input.bin"
    )
    rng.random((4, 32, 16, 16), np.float32).tofile(folder / "audio_input.bin")
    said = {"num_frames": 4, "visual_shape": [4, 6, 320, 320], "audio_shape": [4, 32, 16, 16], "dtype": "float32"}
    (folder / "metadata.json").write_text(json.dumps({**said, "start_frame": 0, "format": "BGR"}))
    path = tmp_path / "m.onnx"
    if sort is None:
        small.write_model(path)
    else:
        write_mixing(path, sort)
    export = replace(clip, folder=folder)
    assert ready(export, path, 3, composite=False).session.batch == (1 if sort else 3)


def test_batches_of_one_are_not_compared(clip: SmallClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(actors.rendering.worker_session, "load_block")
    found = ready(clip, write_mixing(tmp_path / "m.onnx", "quantised"), 1)
    assert (found.session.batch, found.notes) == (1, ())


def test_an_export_in_training_mode_is_told_at_any_batch(clip: SmallClip, tmp_path: Path) -> None:
    found = ready(clip, write_mixing(tmp_path / "m.onnx", "training"), 1)
    assert any("export it after .eval()" in note for note in found.notes)


@pytest.mark.parametrize("sort", UNSTEADY)
@pytest.mark.parametrize("batch", [1, 3])
def test_networks_that_depend_on_chance_are_refused(clip: SmallClip, tmp_path: Path, sort: str, batch: int) -> None:
    path = write_mixing(tmp_path / "m.onnx", sort)
    with pytest.raises(InputError, match="answers differently when it is given the same frame again"):
        ready(clip, path, batch)
    said = in_process.command("inspect", clip.folder, "--model", path)
    assert said.code == 2
    assert "answers differently" in said.output
    assert "export it after .eval()" in said.output


def test_a_dropout_that_is_left_in_and_does_nothing_is_accepted(clip: SmallClip, tmp_path: Path) -> None:
    assert ready(clip, write_mixing(tmp_path / "m.onnx", "idle dropout"), 3).notes == ()


def test_a_quantised_network_is_not_halved(clip: SmallClip, tmp_path: Path) -> None:
    path = write_mixing(tmp_path / "m.onnx", "quantised")
    base = ["composite", clip.folder, "--model", path, "--out", tmp_path / "run", "--device", "cpu"]
    said = in_process.command(*base, "--precision", "fp16")
    assert said.code == 2
    assert "--precision fp16: the model is quantised already (DequantizeLinear, DynamicQuantizeLinear)" in said.output
    assert not (tmp_path / "run").exists()


def test_what_operators_say(tmp_path: Path) -> None:
    models = {s: onnx.load(str(write_mixing(tmp_path / "m.onnx", s))) for s in (*SORTS, *UNSTEADY)}
    assert {sort: mixing_cause(models[sort]) for sort in SORTS if CAUSES[sort] not in mixing_cause(models[sort])} == {}
    assert unsteady_operators(models["dropout"]) == ("Dropout",)
    assert unsteady_operators(models["drawn"]) == ("RandomNormalLike",)
    assert unsteady_operators(models["averaged"]) == ()
    assert quantised_operators(models["quantised"]) == ("DequantizeLinear", "DynamicQuantizeLinear")
    assert quantised_operators(models["training"]) == ()


def test_a_run_gives_the_same_frames_at_any_batch_and_says_why_it_is_slow(
    clip: SmallClip, tmp_path: Path, on_cluster: Command
) -> None:
    model = write_mixing(tmp_path / "m.onnx", "quantised")
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--workers", 1, "--frames", ":8"]
    for batch in (1, 4):
        result = on_cluster(*base, "--out", tmp_path / str(batch), "--batch", batch)
        assert result.code == 0, result.output
        assert ("warning: the model's answers change with" in result.output) == (batch == 4)
    assert small.contents(tmp_path / "4") == small.contents(tmp_path / "1")
    record = json.loads((tmp_path / "4" / "run.json").read_text())
    assert {worker["batch"] for worker in record["workers_ready"]} == {1}
    assert all("DynamicQuantizeLinear" in " ".join(worker["notes"]) for worker in record["workers_ready"])
    assert set(pd.read_parquet(tmp_path / "4" / "timings")["batch_size"]) == {1}
    assert all(worker["cpu"] == cpu_kind() for worker in record["workers_ready"])
    # As if another machine had rendered these.
    text = (tmp_path / "4" / "run.json").read_text()
    (tmp_path / "4" / "run.json").write_text(text.replace(json.dumps(cpu_kind()), '"another kind"'))
    resumed = on_cluster(*base[:-1], ":10", "--out", tmp_path / "4", "--batch", 4)
    assert resumed.code == 0, resumed.output
    assert (
        f"warning: frames come from CPUs of 2 kinds, which may differ in a value's last bit: another kind; {cpu_kind()}"
        in resumed.output
    )


# On a CPU they change nothing, so a session with them answers as one without. What they change on a GPU, as far as that
# can be told without one, stands in tests/network/test_cuda_session.py.
TUNED = GpuTuning(fused_nhwc=True, graph=True)


@pytest.mark.parametrize("precision", Precision)
def test_options_of_a_gpu_are_kept_where_answers_stay_the_same(
    clip: SmallClip, tmp_path: Path, precision: Precision
) -> None:
    found = ready(clip, small.write_model(tmp_path / "m.onnx"), 3, tuning=TUNED, precision=precision)
    assert (found.session.tuning, found.session.batch, found.notes) == (TUNED, 3, ())


def test_options_of_a_gpu_do_not_bring_back_a_batch_that_mixes_frames(clip: SmallClip, tmp_path: Path) -> None:
    found = ready(clip, write_mixing(tmp_path / "m.onnx", "averaged", None), 3, tuning=TUNED)
    assert (found.session.tuning, found.session.batch) == (TUNED, 1)
    assert [note for note in found.notes if "frames are run alone" in note]


def test_options_of_a_gpu_are_not_used_unseen(clip: SmallClip, tmp_path: Path) -> None:
    """A worker that was given no frames cannot compare."""
    found = ready(clip, small.write_model(tmp_path / "m.onnx"), 1, tuning=TUNED)
    assert found.session.tuning == PLAIN
    assert found.notes == (f"the session goes without {TUNED}: there is no frame to compare",)
