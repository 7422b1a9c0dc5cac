"""The benchmark's light network keeps the contract, depends on all of its input, and costs next to nothing."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from layers import open_session

from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.models.light import build_light_model

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return open_session(build_light_model(UNET_328))


@pytest.fixture(scope="module")
def inputs() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (2, 6, 320, 320)) / np.float32(255)
    image[:, 3:] = image[:, :3]
    image[:, 3:, 5:310, 5:315] = 0
    return image.astype(np.float32), rng.gamma(0.4, 1.0, (2, 32, 16, 16)).astype(np.float32)


def run(session: ort.InferenceSession, image: Floats, audio: Floats) -> Floats:
    (out,) = session.run(None, {"input": image, "audio": audio})
    return np.asarray(out, np.float32)


def test_shapes_are_the_contract() -> None:
    graph = build_light_model(UNET_328).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.output)}
    assert shapes == {"input": [0, 6, 320, 320], "audio": [0, 32, 16, 16], "output": [0, 3, 320, 320]}
    assert all(v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT for v in (*graph.input, *graph.output))


def test_it_is_next_to_nothing_beside_the_real_network() -> None:
    weights = sum(int(np.prod(t.dims)) for t in build_light_model(UNET_328).graph.initializer)
    assert weights < 12_186_935 / 100


@pytest.mark.parametrize("plane", range(6))
def test_every_output_plane_follows_every_input_plane(
    session: ort.InferenceSession, inputs: tuple[Floats, Floats], plane: int
) -> None:
    image, audio = inputs
    changed = image.copy()
    changed[:, plane] = 1 - changed[:, plane]
    moved = np.abs(run(session, changed, audio) - run(session, image, audio)).mean(axis=(2, 3))
    assert (moved > 1 / 255).all()


@pytest.mark.parametrize("channel", [0, 1, 16, 31])
def test_every_output_plane_follows_the_whole_window(
    session: ort.InferenceSession, inputs: tuple[Floats, Floats], channel: int
) -> None:
    image, audio = inputs
    changed = audio.copy()
    changed[:, channel] += 2
    assert (np.abs(run(session, image, changed) - run(session, image, audio)).max(axis=(2, 3)) > 1e-4).all()
    # One value alone changes it as well, if faintly.
    single = audio.copy()
    single[:, channel, 7, 9] += 100
    assert (np.abs(run(session, image, single) - run(session, image, audio)).max(axis=(2, 3)) > 1e-4).all()


def test_frames_that_follow_on_each_other_look_different(session: ort.InferenceSession) -> None:
    # Whoever pairs a frame with its neighbour's sound must be caught by its pixels.
    image = np.full((9, 6, 320, 320), 0.5, np.float32)
    rows = np.random.default_rng(4).gamma(0.4, 1.0, (24, 512)).astype(np.float32)
    audio = np.stack([rows[i : i + 16].reshape(32, 16, 16) for i in range(9)])
    levels = (run(session, image, audio) * 255).astype(np.uint8)
    assert all((a != b).any() for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("sound", [0.0, 20.0])
def test_outputs_stay_in_range(session: ort.InferenceSession, level: float, sound: float) -> None:
    audio = np.full((1, 32, 16, 16), sound, np.float32)
    out = run(session, np.full((1, 6, 320, 320), level, np.float32), audio)
    assert out.min() >= 0
    assert out.max() <= 1


def test_outputs_are_spread(session: ort.InferenceSession, inputs: tuple[Floats, Floats]) -> None:
    low, high = np.percentile(run(session, *inputs), [5, 95])
    assert high - low > 0.5


def test_a_frame_is_the_same_alone_and_in_a_batch(session: ort.InferenceSession, inputs: tuple[Floats, Floats]) -> None:
    image, audio = inputs
    both = run(session, image, audio)
    for i in range(2):
        np.testing.assert_array_equal(both[i : i + 1], run(session, image[i : i + 1], audio[i : i + 1]))


def test_building_twice_gives_the_same_bytes() -> None:
    first, second = (build_light_model(UNET_328).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
