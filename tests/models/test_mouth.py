"""The demo's model keeps the contract and leaves alone what no mouth would move."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from reference import open_session

from jobs.models import feature_channels
from jobs.models.mouth import CENTRE_X, CENTRE_Y, FACE, HALF_WIDTH, LIPS, STILL, build_mouth_model, save_model

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    path = tmp_path_factory.mktemp("model") / "mouth.onnx"
    save_model(build_mouth_model(), path)
    return open_session(path)


@pytest.fixture(scope="module")
def picture() -> Floats:
    """Six planes whose every level between 60 and 255 occurs: bright, so that a dark mouth shows."""
    rng = np.random.default_rng(7)
    reference = rng.integers(60, 256, (1, 3, 320, 320)).astype(np.float32) / 255
    masked = reference.copy()
    masked[:, :, 5:310, 5:315] = 0
    return np.concatenate([reference, masked], axis=1)


def window(opening: float, spread: float = 0.0, row: int = 8) -> Floats:
    rows = np.zeros((16, 512), np.float32)
    rows[row, feature_channels.OPENING], rows[row, feature_channels.SPREAD] = opening, spread
    return rows.reshape(1, 32, 16, 16)


def run(session: ort.InferenceSession, picture: Floats, audio: Floats) -> Floats:
    (out,) = session.run(None, {"input": picture, "audio": audio})
    return np.asarray(out, np.float32)


def dark(out: Floats) -> int:
    return int((out.max(axis=1) < 0.2).sum())


def test_shapes_are_the_contract() -> None:
    graph = build_mouth_model().graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.output)}
    assert shapes == {"input": [0, 6, 320, 320], "audio": [0, 32, 16, 16], "output": [0, 3, 320, 320]}
    assert all(v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT for v in (*graph.input, *graph.output))


def test_a_mouth_at_rest_gives_the_reference_back_level_for_level(
    session: ort.InferenceSession, picture: Floats
) -> None:
    out = run(session, picture, window(0.0))
    np.testing.assert_array_equal((out * 255).astype(np.uint8), np.round(picture[:, :3] * 255).astype(np.uint8))


def test_the_mouth_opens_with_its_feature(session: ort.InferenceSession, picture: Floats) -> None:
    areas = [dark(run(session, picture, window(opening))) for opening in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert areas[0] == 0
    assert all(later > earlier + 100 for earlier, later in itertools.pairwise(areas))


def test_only_the_output_frames_own_row_counts(session: ort.InferenceSession, picture: Floats) -> None:
    closed = run(session, picture, window(0.0))
    for row in (7, 9):
        np.testing.assert_array_equal(run(session, picture, window(1.0, row=row)), closed)


def test_the_dark_is_where_the_mouth_is_and_rounding_narrows_it(session: ort.InferenceSession, picture: Floats) -> None:
    widths = []
    for spread in (-1.0, 0.0, 1.0):
        _, _, columns = np.nonzero(run(session, picture, window(1.0, spread)).max(axis=1) < 0.2)
        rows = np.nonzero((run(session, picture, window(1.0, spread)).max(axis=1) < 0.2)[0])[0]
        assert abs(columns.mean() - CENTRE_X) < 2
        assert CENTRE_Y - 15 < rows.min() < rows.max() < CENTRE_Y + 50
        widths.append(int(np.ptp(columns)))
    assert widths[0] < widths[1] < widths[2] < 2.4 * HALF_WIDTH


def test_nothing_changes_where_the_network_sees_the_original(session: ort.InferenceSession, picture: Floats) -> None:
    out = run(session, picture, window(1.0, 1.0))
    visible = np.ones((320, 320), bool)
    visible[5:310, 5:315] = False
    np.testing.assert_array_equal(out[:, :, visible], picture[:, :3, visible])
    # Above the nose and beside the cheeks nothing moves either.
    np.testing.assert_array_equal(np.round(out[:, :, :30] * 255), np.round(picture[:, :3, :30] * 255))


def seen_at(opening: float, spread: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Row and column of the reference that the skin around the lips is read from, ``(320, 320)`` each."""

    def smooth(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.clip(x, 0, 1) ** 2 * (3 - 2 * np.clip(x, 0, 1))

    y, x = np.mgrid[0:320, 0:320].astype(np.float64)
    dx, dy = x - CENTRE_X, y - CENTRE_Y
    reach = np.clip(1 - (dx / 115) ** 2, 0, 1) ** 2 * np.clip(1 - (dy / 85) ** 2, 0, 1) ** 2
    column = dx * (1 + (-0.26 * min(spread, 0) - 0.10 * max(spread, 0)) * reach)
    inside = np.clip(1 - (column / HALF_WIDTH) ** 2, 0, None)
    line = CENTRE_Y + 6.5 * (inside - 0.5)
    jaw, lift = 0.8 * 48 * opening, 0.2 * 48 * opening
    lip = jaw * inside * (0.25 + 0.75 * (2 - inside))
    below = smooth((y - line - lip) / 80)
    chin = jaw * 0.72 * smooth((118 - np.abs(dx)) / 85)
    drop = (lip + (chin - lip) * below) * (1 - smooth((y - 222) / 80))
    rise = lift * inside * (1 - smooth((line - lift * inside - y) / 46))
    return np.where(y > line, y - drop, y + rise), column + CENTRE_X


@pytest.mark.parametrize(("opening", "spread"), [(0.0, -1.0), (1.0, 0.0), (0.7, -0.6), (0.4, 1.0)])
def test_the_skin_is_bent_as_the_formulas_say(
    session: ort.InferenceSession, picture: Floats, opening: float, spread: float
) -> None:
    row, column = seen_at(opening, spread)
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = row - top, column - left
    under, beside = np.minimum(top + 1, 319), np.minimum(left + 1, 319)
    p = picture[0, :3].astype(np.float64)
    above = p[:, top, left] * (1 - right) + p[:, top, beside] * right
    below = p[:, under, left] * (1 - right) + p[:, under, beside] * right
    expected = above * (1 - down) + below * down
    skin = np.ones((320, 320), bool)
    # Around the lips there is shade and paint.
    skin[LIPS.top : LIPS.bottom, LIPS.left : LIPS.right] = False
    out = run(session, picture, window(opening, spread))[0]
    assert np.abs(out - expected)[:, skin].max() < 1.01 / 255


def test_what_is_behind_the_lips_hides_the_picture(session: ort.InferenceSession, picture: Floats) -> None:
    first, second = (run(session, p, window(1.0))[0] for p in (picture, picture[:, :, ::-1].copy()))
    middle = np.s_[:, int(CENTRE_Y) : int(CENTRE_Y) + 20, int(CENTRE_X) - 15 : int(CENTRE_X) + 15]
    np.testing.assert_array_equal(first[middle], second[middle])


@pytest.mark.parametrize("opening", [0.3, 1.0])
def test_nothing_shows_where_its_areas_meet(session: ort.InferenceSession, opening: float) -> None:
    wave = np.sin(np.arange(320, dtype=np.float32) / 10)
    smooth = np.stack(
        [0.5 + 0.2 * np.add.outer(wave, wave), 0.5 + 0.4 * np.outer(wave, wave[::-1]), 0.3 + 0 * np.outer(wave, wave)]
    )
    out = run(session, np.concatenate([smooth, smooth])[np.newaxis].astype(np.float32), window(opening, -0.7))[0] * 255
    # How much a step differs from the mean of the steps before and behind it; whole levels alone make it up to 2.
    for axis, edges in (
        (1, (FACE.top, STILL, FACE.bottom, LIPS.top, LIPS.bottom)),
        (2, (FACE.left, FACE.right, LIPS.left, LIPS.right)),
    ):
        steps = np.diff(out, axis=axis)
        for edge in edges:
            before, across, behind = (np.take(steps, edge - 1 + k, axis=axis) for k in (-1, 0, 1))
            assert np.abs(across - (before + behind) / 2).max() < 2.5, (axis, edge)


@pytest.mark.parametrize("level", [-50.0, 0.5, 50.0, 1e30])
def test_outputs_stay_in_range_for_any_features(session: ort.InferenceSession, picture: Floats, level: float) -> None:
    out = run(session, picture, np.full((1, 32, 16, 16), level, np.float32))
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1


def test_a_frame_is_the_same_alone_and_in_a_batch(session: ort.InferenceSession, picture: Floats) -> None:
    images = np.concatenate([picture, picture[:, :, ::-1]])
    audio = np.concatenate([window(0.3, -0.5), window(0.9, 0.5)])
    both = run(session, images, audio)
    for i in range(2):
        np.testing.assert_array_equal(both[i : i + 1], run(session, images[i : i + 1], audio[i : i + 1]))


def test_building_twice_gives_the_same_bytes() -> None:
    first, second = (build_mouth_model().SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
