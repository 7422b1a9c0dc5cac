"""The oracle itself against the facts: real expected values where they are at hand, self-made pictures everywhere."""

import ast
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest
import reference
import reference_blend
from numpy.typing import NDArray

NUMBERS = Path(__file__).parents[2] / "shared" / "data" / "avatar_numbers"
needs_shared_data = pytest.mark.skipif(
    not NUMBERS.is_dir(), reason="the real avatar's numbers (../shared/data/avatar_numbers) are not on this machine"
)

# Where crop and square have the same size no filter changes a pixel, so expected values can be read off the frame.
UNSCALED = (20, 12, 348, 340)
HALF = 127  # 0.5 x 255 = 127.5, truncated


def textured(height: int, width: int, detail: float = 3.0) -> NDArray[np.uint8]:
    """Noise blurred over so many pixels, away from black and white."""
    noise = np.random.default_rng(328).normal(size=(height, width, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), detail), dtype=np.float32)
    picture: NDArray[np.uint8] = np.clip(128 + 30 * smooth / smooth.std(), 20, 235).astype(np.uint8)
    return picture


def write_model(path: Path, first_plane: int, planes: int = 6) -> Path:
    """Answers three of its planes times the first number of the feature row in the middle of the window.

    Row 8 of 16 is channel 16 of 32. The inputs' names and order mislead whoever binds by them.
    """
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    scaled_planes (float[n,32,16,16] input, float[n,{planes},320,320] audio) => (float[n,3,320,320] picture)
    <int64[1] p0 = {{{first_plane}}}, int64[1] p1 = {{{first_plane + 3}}}, int64[1] channel = {{1}},
     int64[3] n0 = {{16,0,0}}, int64[3] n1 = {{17,1,1}}, int64[3] all = {{1,2,3}}> {{
        three = Slice(audio, p0, p1, channel)
        number = Slice(input, n0, n1, all)
        picture = Mul(three, number)
    }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def features_with(first_numbers: list[float]) -> NDArray[np.float32]:
    features = np.full((len(first_numbers), 512), 7.0, dtype=np.float32)
    features[:, 0] = first_numbers
    return features


def imports_of(path: str) -> set[str]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + str(node.module).split(".")[0])
    return imported


def test_the_references_import_nothing_of_ours() -> None:
    for module, others in ((reference, {"cv2", "onnxruntime"}), (reference_blend, {"cv2", "reference"})):
        imported = imports_of(str(module.__file__))
        assert imported - sys.stdlib_module_names == {"numpy", *others}
        assert "importlib" not in imported


def test_loops() -> None:
    orders = ["bounce 4 123210123", "bounce 2 1010", "bounce 1 000", "mirror 3 01221001", "wrap 3 01201", "once 3 012"]
    for loop, n, order in map(str.split, orders):
        assert [reference.background_index(loop, t, int(n)) for t in range(len(order))] == [int(i) for i in order]
    with pytest.raises(IndexError, match="only 3"):
        reference.background_index("once", 3, 3)


def test_stepping_equals_the_closed_form_of_the_facts() -> None:
    for n in range(2, 30):
        for t in range(130):
            k = (t + 1) % (2 * (n - 1))
            assert reference.bounce(t, n) == (k if k <= n - 1 else 2 * (n - 1) - k)


@needs_shared_data
def test_bounce_order_of_the_real_clip() -> None:
    for n, order in json.loads((NUMBERS / "pingpong_expected.json").read_text()).items():
        assert [reference.bounce(t, int(n)) for t in range(len(order))] == order


def test_square_comes_from_three_points() -> None:
    points = np.full((110, 2), 999, dtype=np.int32)
    points[1], points[52], points[31] = (100, 5), (6, 40), (160, 7)
    assert reference.square_from_landmarks(points) == (100, 40, 160, 100)


def test_landmarks_are_truncated(tmp_path: Path) -> None:
    path = tmp_path / "0.lms"
    path.write_text("1.9 -1.9\n" + "3 4\n" * 109, encoding="ascii")
    points = reference.read_landmarks(path)
    assert points[0].tolist() == [1, -1]
    assert points[109].tolist() == [3, 4]


@needs_shared_data
def test_squares_of_all_real_landmarks() -> None:
    sets = np.load(NUMBERS / "landmarks_523x110x2.npy", allow_pickle=False)
    squares = [reference.square_from_landmarks(points) for points in sets]
    assert len(squares) == 523
    assert squares[0] == (532, 210, 714, 392)
    assert squares == reference.read_rects(NUMBERS / "crop_rectangles.json")
    assert squares == reference.read_rects(NUMBERS / "crop_rects.json")
    for index in (0, 1, 100):
        assert reference.read_landmarks(NUMBERS / f"{index}.lms").tolist() == sets[index].tolist()


def test_window_is_padded_with_zeros() -> None:
    features = np.repeat(np.arange(1, 21, dtype=np.float32)[:, np.newaxis], 512, axis=1)
    expected = {
        0: [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        10: [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18],
        19: [12, 13, 14, 15, 16, 17, 18, 19, 20, 0, 0, 0, 0, 0, 0, 0],
    }
    for i, rows in expected.items():
        window = reference.audio_window(features, i)
        assert (window.shape, window.dtype.name) == ((32, 16, 16), "float32")
        assert window[0::2, 0, 0].tolist() == window[1::2, 15, 15].tolist() == rows
    assert reference.audio_window(features[:1], 0)[:, 0, 0].nonzero()[0].tolist() == [16, 17]


def test_window_is_a_flat_view() -> None:
    features = np.zeros((40, 512), dtype=np.float32)
    features[20, 256 + 3 * 16 + 5] = 1  # step 8, second half: channel 17
    assert np.argwhere(reference.audio_window(features, 20)).tolist() == [[17, 3, 5]]


@needs_shared_data
def test_windows_of_the_real_features() -> None:
    features = np.load(NUMBERS / "aud_ave.npy", allow_pickle=False)
    expected = json.loads((NUMBERS / "audio_window_expected.json").read_text())["expected"]
    assert {"0", "8", "100", "514", "521"} <= set(expected)
    for i, values in expected.items():
        window = reference.audio_window(features, int(i)).astype(np.float64)
        found = {"nonzero": np.count_nonzero(window), "max": window.max(), "mean": window.mean()}
        found |= {"t_17_3_5": window[17, 3, 5]} | {f"ch{c}_sum": window[c].sum() for c in (0, 16, 31)}
        assert found == pytest.approx(values, rel=1e-9)


def test_planes_are_reference_then_masked_in_bgr() -> None:
    frame = textured(360, 380)
    planes, crop = reference.network_input(frame, UNSCALED, "cubic")
    assert (planes.shape, planes.dtype.name) == ((6, 320, 320), "float32")
    assert np.array_equal(crop, frame[12:340, 20:348])
    for channel in range(3):
        inner = frame[16:336, 24:344, channel].astype(np.float32) / np.float32(255)
        assert np.array_equal(planes[channel], inner)
        inner[5:310, 5:315] = 0
        assert np.array_equal(planes[3 + channel], inner)


def test_masked_area_is_zero_within_its_margins() -> None:
    planes, _ = reference.network_input(textured(300, 300), (50, 60, 232, 242), "cubic")
    assert planes[:3].min() > 0
    for plane in planes[3:]:
        rows, columns = np.nonzero(plane == 0)
        assert len(rows) == 94_550
        # Margins: 5 px at the left, the top and the right, 10 px at the bottom.
        assert (columns.min(), rows.min(), 319 - columns.max(), 319 - rows.max()) == (5, 5, 5, 10)


@pytest.mark.parametrize("side", [173, 182, 273, 400, 546])
def test_identity_comes_back_within_four_levels_and_outside_is_untouched(side: int) -> None:
    frame = textured(640, 700, detail=3.0 * side / 182)  # a face's detail grows with its square
    before = frame.copy()
    box = (90, 33, 90 + side, 33 + side)
    worst = {}
    for interpolation in ("cubic", "linear"):
        planes, crop = reference.network_input(frame, box, interpolation)
        result = reference.paste(frame, box, crop, planes[:3], interpolation)
        difference = np.abs(result.astype(np.int16) - frame)
        worst[interpolation] = int(difference.max())
        difference[33 : 33 + side, 90 : 90 + side] = 0
        assert not difference.any()
    assert worst["cubic"] <= 4
    assert worst["linear"] > worst["cubic"]
    assert np.array_equal(frame, before)


def test_levels_are_truncated_and_lossless() -> None:
    every_level = np.resize(np.arange(256, dtype=np.uint8), (3, 320, 320))
    image = reference.to_levels(every_level.astype(np.float32) / np.float32(255))
    assert np.array_equal(image.transpose(2, 0, 1), every_level)
    assert np.all(reference.to_levels(np.full((3, 320, 320), 0.5, dtype=np.float32)) == HALF)
    for wrong in (-0.01, 1.01, np.nan):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            reference.to_levels(np.full((3, 320, 320), wrong, dtype=np.float32))


def test_prediction_replaces_only_the_inner_square_of_the_crop() -> None:
    frame = textured(360, 380)
    crop = frame[12:340, 20:348].copy()
    expected = frame.copy()
    expected[16:336, 24:344] = (0, HALF, 255)
    prediction = np.stack([np.full((320, 320), value, dtype=np.float32) for value in (0.0, 0.5, 1.0)])
    assert np.array_equal(reference.paste(frame, UNSCALED, crop, prediction, "cubic"), expected)


@pytest.mark.parametrize("box", [(-1, 0, 99, 100), (0, 0, 101, 100), (0, 21, 80, 101), (50, 0, 50, 0)])
def test_rects_outside_of_the_frame_are_refused(box: reference.Rect) -> None:
    with pytest.raises(ValueError, match="not inside"):
        reference.network_input(textured(100, 100), box, "cubic")


def test_render_pairs_frames_rects_and_sound(tmp_path: Path) -> None:
    model = write_model(tmp_path / "reference_planes.onnx", first_plane=0)
    frames = [np.full((360, 380, 3), level, dtype=np.uint8) for level in (50, 100, 150)]
    boxes = [(x, 12, x + 328, 340) for x in (0, 10, 20)]
    features = features_with([1.0, 0.0, 1.0, 0.5])
    rendered = list(reference.render(frames, boxes, features, model))
    assert [(t, background) for t, background, _ in rendered] == [(0, 1), (1, 2), (2, 1), (3, 0)]
    black, half = frames[2].copy(), frames[0].copy()
    black[16:336, 24:344], half[16:336, 4:324] = 0, 25  # each at the rect of its own background
    for (_, _, picture), expected in zip(rendered, (frames[1], black, frames[1], half), strict=True):
        assert np.array_equal(picture, expected)

    part = list(reference.render(frames, boxes, features, model, start=2, stop=4))
    assert [t for t, _, _ in part] == [2, 3]
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(part, rendered[2:], strict=True))


def test_render_feeds_the_mask(tmp_path: Path) -> None:
    model = write_model(tmp_path / "masked_planes.onnx", first_plane=3)
    frame = textured(360, 380)
    [(_, _, picture)] = reference.render([frame], [UNSCALED], features_with([1.0]), model, loop="wrap")
    expected = frame.copy()
    expected[16 + 5 : 16 + 310, 24 + 5 : 24 + 315] = 0
    assert np.array_equal(picture, expected)


def test_render_refuses_what_does_not_fit(tmp_path: Path) -> None:
    model = write_model(tmp_path / "planes.onnx", first_plane=0)
    frame, features = textured(360, 380), features_with([1.0, 1.0])
    with pytest.raises(ValueError, match="1 frames but 2 rects"):
        next(reference.render([frame], [UNSCALED, UNSCALED], features, model))
    with pytest.raises(ValueError, match="0:3"):
        next(reference.render([frame], [UNSCALED], features, model, stop=3))
    four_planes = write_model(tmp_path / "four.onnx", first_plane=0, planes=4)
    with pytest.raises(ValueError, match="instead of 6 and 32"):
        next(reference.render([frame], [UNSCALED], features, four_planes))
