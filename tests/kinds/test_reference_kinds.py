"""The kinds' oracle against the facts: expected values read off pictures, and the older oracle where both speak."""

import ast
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnx.parser
import pytest
import reference
import reference_kinds as kinds
import small
from numpy.typing import NDArray

MEL = Path(__file__).parents[2] / "shared" / "data" / "mel"
TRAPS = MEL.parent / "traps"
needs_shared_data = pytest.mark.skipif(
    not MEL.is_dir(), reason="the real front end's numbers (../shared/data/mel) are not on this machine"
)

HALF = 127  # 0.5 x 255 = 127.5, truncated
NAMES = sorted(kinds.KINDS)
UNETS = [name for name in NAMES if name.startswith("unet")]


def side_of(facts: kinds.Facts) -> int:
    return facts.crop - 2 * facts.border


def unscaled(facts: kinds.Facts) -> tuple[NDArray[np.uint8], kinds.Rect]:
    """A frame and a rect of the crop's own size, where no filter changes a pixel."""
    box = (7, 5, 7 + facts.crop, 5 + facts.crop)
    return small.picture(3, facts.crop + 20, facts.crop + 15) | np.uint8(1), box


def write_copier(path: Path, facts: kinds.Facts, first_plane: int) -> Path:
    """A model that answers three of its planes times the mean of the audio; names and order mislead."""
    side = side_of(facts)
    sound = ",".join(str(n) for n in facts.tensor)
    text = f"""<ir_version: 8, opset_import: ["": 17]>
    copy (float[n,{sound}] face, float[n,6,{side},{side}] mel) => (float[n,3,{side},{side}] picture)
    <int64[1] a = {{{first_plane}}}, int64[1] b = {{{first_plane + 3}}}, int64[1] c = {{1}}> {{
        three = Slice(mel, a, b, c)
        mean = ReduceMean<axes = [1, 2, 3]>(face)
        picture = Mul(three, mean)
    }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def test_the_reference_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(kinds.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy", "cv2", "onnxruntime"}
    assert "importlib" not in imported


def test_every_window_fills_its_tensor_exactly() -> None:
    for facts in kinds.KINDS.values():
        assert facts.rows * np.prod(facts.row) == np.prod(facts.tensor)


def test_no_two_kinds_have_the_same_tensors() -> None:
    shapes = [(side_of(facts), facts.tensor) for facts in kinds.KINDS.values()]
    assert len(set(shapes)) == len(shapes)


# What the network sees


@pytest.mark.parametrize(
    ("name", "rows", "columns", "pixels"),
    [
        ("unet-328-ave", (5, 309), (5, 314), 94_550),
        ("unet-160-ave", (5, 149), (5, 154), 145 * 150),
        ("unet-160-hubert-8", (5, 149), (5, 154), 145 * 150),
        ("wav2lip-96", (48, 95), (0, 95), 48 * 96),
    ],
)
def test_the_masked_area_is_exactly_zero_and_nothing_else_is(
    name: str, rows: tuple[int, int], columns: tuple[int, int], pixels: int
) -> None:
    facts = kinds.KINDS[name]
    planes, _ = kinds.network_input(facts, *unscaled(facts))
    masked, whole = (planes[:3], planes[3:]) if facts.masked_first else (planes[3:], planes[:3])
    assert (whole > 0).all()
    ys, xs = np.nonzero(masked[0] == 0)
    assert (ys.min(), ys.max()) == rows
    assert (xs.min(), xs.max()) == columns
    assert len(ys) == pixels
    for plane in range(3):
        black = masked[plane] == 0
        assert black.sum() == pixels
        assert np.array_equal(masked[plane][~black], whole[plane][~black])


@pytest.mark.parametrize("name", UNETS)
def test_the_mask_is_the_rectangle_that_the_programs_draw(name: str) -> None:
    facts = kinds.KINDS[name]
    side = side_of(facts)
    drawn = np.full((side, side, 3), 255, np.uint8)
    # One tuple of four: x, y, width and height, not two corners.
    cv2.rectangle(drawn, (5, 5, side - 10, side - 15), (0, 0, 0), -1)
    left, top, right, bottom = facts.black
    expected = np.full_like(drawn, 255)
    expected[top:bottom, left:right] = 0
    assert np.array_equal(drawn, expected)


@pytest.mark.parametrize("name", NAMES)
def test_planes_are_the_crops_levels_in_the_kinds_order(name: str) -> None:
    facts = kinds.KINDS[name]
    frame, box = unscaled(facts)
    planes, crop = kinds.network_input(facts, frame, box)
    assert np.array_equal(crop, frame[5 : 5 + facts.crop, 7 : 7 + facts.crop])
    assert planes.shape == (6, side_of(facts), side_of(facts))
    assert planes.dtype == np.float32
    whole = planes[3:] if facts.masked_first else planes[:3]
    # Row 9, column 11 of what the network sees; blue, green, red.
    y, x = 5 + facts.border + 9, 7 + facts.border + 11
    assert [whole[c, 9, 11] for c in range(3)] == [np.float32(frame[y, x, c]) / np.float32(255) for c in range(3)]
    # The upper lip's height is black in one half and not in the other.
    middle = side_of(facts) // 2 + 4
    first_is_black = bool(planes[0, middle, middle] == 0)
    assert first_is_black is facts.masked_first
    assert bool(planes[3, middle, middle] == 0) is not facts.masked_first


def test_a_rect_that_is_not_square_is_stretched() -> None:
    facts = kinds.KINDS["wav2lip-96"]
    frame = np.zeros((120, 140, 3), np.uint8)
    frame[10:106, 20:68], frame[10:106, 68:116] = 40, 200
    planes, crop = kinds.network_input(facts, frame, (44, 10, 92, 106))
    assert crop.shape == (96, 96, 3)
    assert np.array_equal(planes[3, :, :40], np.full((96, 40), np.float32(40) / np.float32(255)))
    assert np.array_equal(planes[3, :, 56:], np.full((96, 40), np.float32(200) / np.float32(255)))


def test_filters_are_those_of_the_programs() -> None:
    frame = small.picture(1, 300, 300)
    enlarge, shrink = (20, 20, 110, 110), (0, 0, 300, 300)
    names = {"unet-328-ave": cv2.INTER_CUBIC, "unet-160-ave": cv2.INTER_LINEAR, "unet-160-hubert-8": cv2.INTER_AREA}
    for name, flag in names.items():
        facts = kinds.KINDS[name]
        for x0, y0, x1, y1 in (enlarge, shrink):
            _, crop = kinds.network_input(facts, frame, (x0, y0, x1, y1))
            expected = cv2.resize(frame[y0:y1, x0:x1], (facts.crop, facts.crop), interpolation=flag)
            assert np.array_equal(crop, expected)
            others = {cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_AREA} - {flag}
            for other in others:
                different = cv2.resize(frame[y0:y1, x0:x1], (facts.crop, facts.crop), interpolation=other)
                assert not np.array_equal(crop, different)


# Audio windows


@pytest.mark.parametrize("name", UNETS)
def test_windows_hold_the_rows_around_the_frame_and_zeros_outside(name: str) -> None:
    facts = kinds.KINDS[name]
    features = np.stack([np.full(facts.row, 1 + r, np.float32) for r in range(20)])
    half = facts.rows // 2
    for i in (0, 3, 10, 19):
        window = kinds.audio_tensor(facts, features, i)
        assert window.shape == facts.tensor
        rows = [int(row[0]) for row in window.reshape(facts.rows, -1)]
        assert rows == [r + 1 if 0 <= r < 20 else 0 for r in range(i - half, i + half)]
    assert kinds.output_frames(facts, features) == 20


def test_windows_of_clips_shorter_than_a_window_are_zeros_around_the_row() -> None:
    for name in UNETS:
        facts = kinds.KINDS[name]
        window = kinds.audio_tensor(facts, np.ones((1, *facts.row), np.float32), 0).reshape(facts.rows, -1)
        assert window[facts.rows // 2].all()
        assert window.sum() == np.prod(facts.row)


def test_the_view_is_flat() -> None:
    # ave: half of a row is a channel. hubert: a 1024 is a channel. wenet: one of the 16 parts of a row is a channel.
    for name, per_row in (
        ("unet-328-ave", 2),
        ("unet-160-hubert-16", 2),
        ("unet-160-hubert-8", 2),
        ("unet-160-wenet-8", 16),
    ):
        facts = kinds.KINDS[name]
        features = np.arange(40 * np.prod(facts.row), dtype=np.float32).reshape(40, *facts.row)
        tensor = kinds.audio_tensor(facts, features, 20)
        row = features[20 - facts.rows // 2 + 3].reshape(-1)
        size = facts.tensor[1] * facts.tensor[2]
        for part in range(per_row):
            channel = tensor[3 * per_row + part].reshape(-1)
            assert np.array_equal(channel, row[part * size : (part + 1) * size])


@pytest.mark.parametrize(
    ("rows", "starts"),
    [
        # 80 / 25 = 3.2 rows a frame; the last window is that of the last 16 rows.
        (16, [0, 0]),
        (19, [0, 3, 3]),
        (20, [0, 3, 4]),
        (30, [0, 3, 6, 9, 12, 14]),
        (32, [0, 3, 6, 9, 12, 16, 16]),
    ],
)
def test_mel_windows(rows: int, starts: list[int]) -> None:
    facts = kinds.KINDS["wav2lip-96"]
    mel = (np.arange(rows)[:, np.newaxis] * 100 + np.arange(80)).astype(np.float32)
    assert kinds.output_frames(facts, mel) == len(starts)
    for i, start in enumerate(starts):
        tensor = kinds.audio_tensor(facts, mel, i)
        assert tensor.shape == (1, 80, 16)
        assert tensor[0, 0].tolist() == [100.0 * (start + step) for step in range(16)]
        assert tensor[0, 79, 0] == 100.0 * start + 79


def test_mel_windows_follow_another_rate(tmp_path: Path) -> None:
    facts = kinds.KINDS["wav2lip-96"]
    # 80 / 30 rows a frame: frame 3 begins at row 8, of which the model answers with the mean.
    mel = np.repeat(np.arange(40)[:, np.newaxis] / 40, 80, axis=1).astype(np.float32)
    frame, box = np.full((96, 96, 3), 200, np.uint8), (0, 0, 96, 96)
    path = write_copier(tmp_path / "mean.onnx", facts, 3)
    shown = {fps: [*kinds.render("wav2lip-96", [frame], [box], mel, path, fps=fps)] for fps in (25, 30)}
    assert {fps: len(frames) for fps, frames in shown.items()} == {25: 9, 30: 11}
    for fps, start in ((25, 9), (30, 8)):
        _, _, picture = shown[fps][3]
        assert abs(int(picture[90, 50, 0]) - 200 * (start + 7.5) / 40) <= 1


def test_too_little_mel_is_refused() -> None:
    facts = kinds.KINDS["wav2lip-96"]
    for ask in (lambda mel: kinds.output_frames(facts, mel), lambda mel: kinds.mel_window(mel, 0, 25)):
        with pytest.raises(ValueError, match="15 rows of mel"):
            ask(np.zeros((15, 80), np.float32))


def test_mel_of_silence_and_its_length() -> None:
    for samples, rows in ((0, 1), (199, 1), (200, 2), (3199, 16)):
        mel = kinds.mel_spectrogram(np.zeros(samples))
        assert mel.shape == (rows, 80)
        assert (mel == -4).all()


@needs_shared_data
@pytest.mark.parametrize("name", ["sine440", "speech640ms"])
def test_mel_is_the_real_front_ends(name: str) -> None:
    expected = np.load(MEL / f"{name}_mel.npy", allow_pickle=False)
    mel = kinds.mel_spectrogram(np.load(MEL / f"{name}_audio.npy", allow_pickle=False))
    assert mel.shape == expected.shape
    assert np.abs(mel - expected).max() < 1e-6


@needs_shared_data
def test_the_filter_bank_is_the_real_one_and_not_the_wrong_one() -> None:
    real = np.load(MEL / "mel_filters_16k_800_80_55_7600.npy", allow_pickle=False)
    wrong = np.load(TRAPS / "mel_filters_WRONG_0_8000.npy", allow_pickle=False)
    assert np.abs(kinds.mel_bank() - real).max() < 1e-8
    assert np.abs(kinds.mel_bank() - wrong).max() > 1e-3


# What becomes of the answer


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_goes_where_it_belongs_and_the_rest_stays(name: str) -> None:
    facts = kinds.KINDS[name]
    frame, box = unscaled(facts)
    side = side_of(facts)
    _, crop = kinds.network_input(facts, frame, box)
    result = kinds.paste(facts, frame, box, crop, np.full((3, side, side), 0.5, np.float32))
    expected = frame.copy()
    top, left = 5 + facts.border, 7 + facts.border
    expected[top : top + side, left : left + side] = HALF
    assert np.array_equal(result, expected)


def test_planes_are_blue_green_red() -> None:
    facts = kinds.KINDS["wav2lip-96"]
    prediction = np.stack([np.full((96, 96), level, np.float32) for level in (0.0, 0.5, 1.0)])
    result = kinds.paste(
        facts, np.zeros((96, 96, 3), np.uint8), (0, 0, 96, 96), np.zeros((96, 96, 3), np.uint8), prediction
    )
    assert result[50, 50].tolist() == [0, HALF, 255]


def test_wav2lip_fills_a_box_of_any_shape() -> None:
    facts = kinds.KINDS["wav2lip-96"]
    frame = np.zeros((100, 120, 3), np.uint8)
    crop = np.zeros((96, 96, 3), np.uint8)
    result = kinds.paste(facts, frame, (10, 20, 50, 90), crop, np.full((3, 96, 96), 0.5, np.float32))
    ys, xs = np.nonzero(result[..., 0])
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (20, 89, 10, 49)
    assert (result[20:90, 10:50] == HALF).all()


@pytest.mark.parametrize("bad", [1.01, -0.01, np.nan])
def test_what_is_no_picture_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        kinds.to_levels(np.full((3, 4, 4), bad, np.float32))


# All of it


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_gives_back_a_picture_gives_back_the_frame(name: str, tmp_path: Path) -> None:
    facts = kinds.KINDS[name]
    frame, box = unscaled(facts)
    features = np.ones((80, *facts.row), np.float32)
    for plane in (0, 3):
        path = write_copier(tmp_path / f"{plane}.onnx", facts, plane)
        shows_masked = (plane == 0) is facts.masked_first
        ((t, background, result),) = kinds.render(name, [frame], [box], features, path, start=10, stop=11)
        assert (t, background) == (10, 0)
        expected = frame.copy()
        if shows_masked:
            left, top, right, bottom = facts.black
            y, x = 5 + facts.border, 7 + facts.border
            expected[y + top : y + bottom, x + left : x + right] = 0
        assert np.array_equal(result, expected)


def test_backgrounds_bounce_or_wrap(tmp_path: Path) -> None:
    for name, order in (("unet-160-ave", [1, 2, 1, 0, 1, 2]), ("wav2lip-96", [0, 1, 2, 0, 1, 2])):
        facts = kinds.KINDS[name]
        frames = [small.picture(i) for i in range(3)]
        boxes = [(3, 4, 93, 94 + 4 * i) for i in range(3)]
        path = write_copier(tmp_path / f"{name}.onnx", facts, 0)
        features = np.full((30, *facts.row), 0.5, np.float32)
        shown = [(t, background) for t, background, _ in kinds.render(name, frames, boxes, features, path, stop=6)]
        assert shown == list(enumerate(order))


def test_both_references_agree_where_both_speak(tmp_path: Path) -> None:
    model = small.write_model(tmp_path / "light.onnx")
    frames = [small.picture(i) for i in range(4)]
    boxes = [small.square(i) for i in range(4)]
    features = small.feature_rows(12)
    older = [*reference.render(frames, boxes, features, model)]
    newer = [*kinds.render("unet-328-ave", frames, boxes, features, model)]
    assert len(older) == len(newer) == 12
    for (t, background, picture), (other_t, other_background, other) in zip(older, newer, strict=True):
        assert (t, background) == (other_t, other_background)
        assert np.array_equal(picture, other)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write_copier(tmp_path / "160.onnx", kinds.KINDS["unet-160-ave"], 0)
    frame, box = unscaled(kinds.KINDS["unet-328-ave"])
    with pytest.raises(ValueError, match="is neither"):
        next(kinds.render("unet-328-ave", [frame], [box], np.ones((4, 512), np.float32), path))
