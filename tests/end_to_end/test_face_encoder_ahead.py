"""The face encoder run ahead on each background: the same files, byte for byte, and only where it is right and pays."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import small
from lone import plan_of, worker_and_block
from numpy.typing import NDArray
from small import Result, SmallClip

from actors.core.choices import Device
from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from actors.core.worker_reports import RangeReport
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model
from actors.network.session import FaceEncoder, Session, SessionOptions
from actors.rendering.batching import RangeBackgrounds
from actors.rendering.blocks import load_block
from jobs.inputs.inputs import Inputs, read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.preparation import plan_preparation

Command = Callable[..., Result]

# Every background is shown four times.
ROWS = 4 * small.BACKGROUNDS
FRAMES = FrameRange(15, 36)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_face_model(tmp_path_factory.mktemp("networks") / "face.onnx")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "long.npy"
    np.save(path, small.feature_rows(ROWS))
    return path


def options_of(clip: SmallClip, network: Path, features: Path, out: Path, **given: object) -> CompositeOptions:
    base = {"clip": str(clip.folder), "model": str(network), "out": str(out), "features": str(features)}
    return CompositeOptions.model_validate({**base, **given})


def rendered(options: CompositeOptions, out: Path, *, faces: bool) -> RangeReport:
    inputs = read_inputs(options)
    plan = plan_of(options, inputs, out, batch=options.batch or 1, prepare=True, faces=faces)
    worker, block = worker_and_block(plan)
    assert bool(block.face_tensors) == faces
    return worker.render(plan.clip_id, FRAMES.start, FRAMES.stop, block)


@pytest.mark.parametrize(
    "given",
    [
        {"format": "png"},
        {"format": "jpg", "batch": 4},
        {"video": True, "format": "none", "batch": 2},
        {"colour_match": True, "blend": "feather", "smooth_crops": True, "batch": 3},
    ],
    ids=str,
)
def test_no_byte_changes(
    clip: SmallClip, network: Path, features: Path, tmp_path: Path, given: dict[str, object]
) -> None:
    runs = {}
    for faces in (False, True):
        out = tmp_path / str(faces)
        report = rendered(options_of(clip, network, features, out, **given), out, faces=faces)
        assert not report.failures
        runs[faces] = {path.name: path.read_bytes() for path in out.glob("*/*") if not path.name.startswith(".")}
    assert runs[True] == runs[False]
    assert runs[True]


@pytest.mark.parametrize("ready_planes", [False, True])
@pytest.mark.parametrize("fixed", [None, 1])
def test_sessions_give_the_same_bits(tmp_path: Path, fixed: int | None, ready_planes: bool) -> None:
    path = str(small.write_face_model(tmp_path / "m.onnx", batch=fixed))
    tensors = read_model(path, UNET_328)
    options = SessionOptions(Device.CPU, batch=2, ready_planes=ready_planes)
    whole, decoder = (Session(path, tensors, UNET_328, replace(options, faces=faces)) for faces in (False, True))
    assert whole.batch == decoder.batch == 2
    decoder.warm_up()
    encoder = FaceEncoder(path, tensors, UNET_328, ready_planes=ready_planes)
    rng = np.random.default_rng(1)
    images: NDArray[Any] = rng.integers(0, 256, (3, 3, 320, 320), np.uint8)
    if ready_planes:
        images = rng.random((3, 6, 320, 320), np.float32)
    sounds = rng.random((3, 32, 16, 16), np.float32)
    made = [np.concatenate(parts) for parts in zip(*(encoder.run(image[None]) for image in images), strict=True)]
    # Two at once, and one that is padded.
    for some in (slice(0, 2), slice(2, 3)):
        wanted = whole.run(images[some], sounds[some])
        got = decoder.run(images[some], sounds[some], [values[some] for values in made])
        assert np.array_equal(got.planes, wanted.planes)
        assert got.faults == wanted.faults
    # It is the face tensors that decide.
    other = decoder.run(images[:2], sounds[:2], [values[1:] for values in made])
    assert not np.array_equal(other.planes, whole.run(images[:2], sounds[:2]).planes)


def test_faces_come_from_the_frames_own_backgrounds(
    clip: SmallClip, network: Path, features: Path, tmp_path: Path
) -> None:
    options = options_of(clip, network, features, tmp_path)
    inputs = read_inputs(options)
    _, block = worker_and_block(plan_of(options, inputs, tmp_path, prepare=True, faces=True))
    assert [array.shape for array in block.face_tensors] == [(small.BACKGROUNDS, 16, 40, 40)]
    places = RangeBackgrounds(inputs.pairing.backgrounds_of(FRAMES), FRAMES, (block,))
    found = places.faces(FRAMES)[0]
    shown = [reference.bounce(frame, small.BACKGROUNDS) for frame in FRAMES]
    assert np.array_equal(found, block.face_tensors[0][shown])
    # A single one is read where it lies.
    assert np.shares_memory(places.faces(FrameRange(17, 18))[0], block.face_tensors[0])


def test_a_node_that_sees_another_model_says_so(clip: SmallClip, network: Path, features: Path, tmp_path: Path) -> None:
    options = options_of(clip, network, features, tmp_path)
    inputs = replace(read_inputs(options), digest="0" * 64)
    request = plan_of(options, inputs, tmp_path, faces=True).block(0)
    with pytest.raises(InputError, match="does not see the same model"):
        load_block(request, inputs.kind)


def test_it_runs_ahead_only_where_that_is_right_and_pays(
    clip: SmallClip, network: Path, model: Path, features: Path, tmp_path: Path
) -> None:
    options = options_of(clip, network, features, tmp_path)
    inputs = read_inputs(options)
    every = list(inputs.frames)

    def runs(options: CompositeOptions, inputs: Inputs, on: Device = Device.CPU, todo: Sequence[int] = every) -> bool:
        return plan_preparation(options, inputs, on, todo, 1 << 30).faces

    assert runs(options, inputs)
    # In half of the frames each background is shown twice.
    assert not runs(options, inputs, todo=every[: ROWS // 2])
    # All backgrounds of a block are loaded, though few of them may be shown.
    assert not runs(options, inputs, todo=[t for t in every if reference.bounce(t, small.BACKGROUNDS) == 5])
    assert not runs(options, inputs, Device.CUDA)
    assert not runs(options.model_copy(update={"precision": "fp16"}), inputs)
    for batch, right in ((1, True), (2, False)):
        tensors = replace(inputs.tensors, batch=batch)
        assert runs(options, replace(inputs, tensors=tensors)) == right
    silent = np.zeros(ROWS, np.uint8)
    silent[::2] = 255
    assert not runs(options, replace(inputs, silence=silent))
    other = options_of(clip, model, features, tmp_path)
    assert not runs(other, read_inputs(other))


def test_it_runs_ahead_only_where_the_store_holds_everything(
    clip: SmallClip, network: Path, features: Path, tmp_path: Path
) -> None:
    options = options_of(clip, network, features, tmp_path)
    inputs = read_inputs(options)
    every = list(inputs.frames)
    large = plan_preparation(options, inputs, Device.CPU, every, 1 << 30)
    assert large.faces
    assert large.blocks.fits
    assert large.bytes == small.BACKGROUNDS * large.blocks.bytes // large.blocks.frames
    # Six tenths of the store are for blocks.
    small_store = plan_preparation(options, inputs, Device.CPU, every, int(large.bytes / 0.6) - 2)
    assert small_store.blocks.fits
    assert not small_store.faces
    # What a background takes without is what it takes with it, less the network's numbers.
    assert large.bytes - small_store.bytes == small.BACKGROUNDS * 4 * 16 * 40 * 40


def test_a_run_equals_the_reference(
    clip: SmallClip, network: Path, features: Path, tmp_path: Path, on_cluster: Command
) -> None:
    base = ["composite", clip.folder, "--model", network, "--device", "cpu", "--features", features]
    long, short = tmp_path / "long", tmp_path / "short"
    result = on_cluster(*base, "--out", long)
    assert result.code == 0, result.output
    assert "what the face encoder makes of them included" in result.output
    rows = small.feature_rows(ROWS)
    wanted = {i: frame for i, _, frame in reference.render(clip.frames, clip.boxes, rows, network)}
    got = small.read_frames(long)
    assert list(got) == list(range(ROWS))
    assert all(np.array_equal(got[i], wanted[i]) for i in got)
    record = json.loads((long / "run.json").read_text())
    assert record["plan"]["faces"] is True
    options = options_of(clip, network, features, long)
    planned = plan_preparation(options, read_inputs(options), Device.CPU, range(ROWS), 1 << 30)
    assert record["plan"]["background_bytes"] == planned.bytes

    result = on_cluster(*base, "--out", short, "--frames", "0:20")
    assert result.code == 0, result.output
    assert json.loads((short / "run.json").read_text())["plan"]["faces"] is False
    assert "face encoder" not in result.output
    few = small.contents(short)
    assert len(few) == 20
    assert few == {name: content for name, content in small.contents(long).items() if name in few}
