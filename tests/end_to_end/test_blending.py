"""How squares are laid on their frames, through worker and command: against the reference, however the work is cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pandas as pd
import pytest
import reference
import reference_blend
import small
from lone import plan_of, rendered
from reference_blend import Mode
from small import Result, SmallClip

import jobs.inputs.inputs
from actors.core.errors import InputError
from actors.core.pixels import Image
from actors.core.ranges import FrameRange
from actors.core.timings import FrameTiming
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.rendering.blocks import PictureBlock, load_block
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import background_bytes
from jobs.run.verification import verify_run

Command = Callable[..., Result]
Given: TypeAlias = Mapping[str, object]

FRAMES = FrameRange(3, 10)
EVERYTHING: Given = {"blend": "feather", "colour_match": True, "smooth_crops": True, "parsing": True}


@dataclass(frozen=True)
class Avatar:
    """A clip with masks of what is in front of the face."""

    clip: SmallClip
    parsing: Path
    masks: tuple[Image, ...]
    model: Path

    def options(self, out: Path, given: Given) -> CompositeOptions:
        masks = {"parsing": str(self.parsing)} if given.get("parsing") else {}
        base = {"clip": str(self.clip.folder), "model": str(self.model), "out": str(out)}
        return CompositeOptions.model_validate({**base, **given, **masks})

    def expected(self, frames: FrameRange, given: Given) -> dict[int, tuple[Image, tuple[float, str]]]:
        mode = Mode(
            feather=given.get("blend") == "feather",
            colour=bool(given.get("colour_match")),
            smooth=bool(given.get("smooth_crops")),
            parsing=self.masks if given.get("parsing") else None,
        )
        rendered = reference_blend.render(
            self.clip.frames,
            self.clip.boxes,
            self.clip.features,
            self.model,
            mode,
            start=frames.start,
            stop=frames.stop,
        )
        return {t: (image, seam) for t, image, seam in rendered}


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Avatar:
    folder = tmp_path_factory.mktemp("avatar")
    clip = small.write_dataset(folder / "walker")
    masks = tuple(mask_of(box, i) for i, box in enumerate(clip.boxes))
    (folder / "parsing").mkdir()
    for i, mask in enumerate(masks):
        cv2.imwrite(str(folder / "parsing" / f"mask_{i + 1}.png"), mask)
    return Avatar(clip, folder / "parsing", masks, model)


def mask_of(box: tuple[int, int, int, int], index: int) -> Image:
    """A hand in white over the lower edge of the square, an ear ring in red, and colours that mean nothing here."""
    mask = np.full((small.HEIGHT, small.WIDTH, 3), (0, 255, 0), np.uint8)
    x0, y0, x1, y1 = box
    mask[y0 + 60 : y1 + 10, x0 + 20 + index : x0 + 40 + index] = (255, 255, 255)
    cv2.circle(mask, (x1 - 12, y0 + 30), 6, (0, 0, 255), -1)
    mask[:5] = (255, 0, 0)
    return mask


def render(
    avatar: Avatar,
    out: Path,
    ranges: Sequence[FrameRange],
    given: Given,
    *,
    batch: int = 1,
    threads: int = 0,
    spliced: bool = True,
) -> list[FrameTiming]:
    """Renders ranges in one worker, as the driver would have it do."""
    options = avatar.options(out, given)
    plan = plan_of(options, read_inputs(options), out, batch=batch, threads=threads, prepare=spliced)
    return rendered(plan, ranges)


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*/*")) if path.is_file()}


MODES: list[Given] = [
    {"blend": "hard"},
    {"blend": "feather"},
    {"colour_match": True},
    {"parsing": True},
    {"blend": "feather", "colour_match": True, "parsing": True},
]


@pytest.mark.parametrize("given", MODES, ids="+".join)
def test_frames_and_seams_are_those_of_the_reference(avatar: Avatar, tmp_path: Path, given: Given) -> None:
    rows = render(avatar, tmp_path, [FRAMES], given)
    expected = avatar.expected(FRAMES, given)
    got = small.read_frames(tmp_path)
    assert sorted(got) == sorted(expected) == list(FRAMES)
    assert [t for t, (image, _) in expected.items() if not np.array_equal(got[t], image)] == []
    for row in rows:
        value, edge = expected[row.frame][1]
        assert row.seam == pytest.approx(value, rel=1e-4)
        assert row.seam_at == edge


@pytest.mark.parametrize("given", [{"smooth_crops": True}, EVERYTHING], ids=["smooth", "everything"])
def test_smoothed_squares_are_within_a_few_levels_of_the_reference(
    avatar: Avatar, tmp_path: Path, given: Given
) -> None:
    """The warps round like OpenCV and not like the reference, and the network spreads what that leaves."""
    rows = render(avatar, tmp_path, [FRAMES], given)
    expected = avatar.expected(FRAMES, given)
    got = small.read_frames(tmp_path)
    assert sorted(got) == sorted(expected)
    for row in rows:
        image, (value, _) = expected[row.frame]
        away = np.abs(got[row.frame].astype(int) - image)
        assert away.max() <= 3
        assert away.mean() < 0.02
        assert row.seam == pytest.approx(value, rel=0.02)
    hard = avatar.expected(FRAMES, {})
    assert all(np.abs(got[t].astype(int) - hard[t][0]).mean() > 0.5 for t in got)


def test_a_square_that_does_not_tremble_is_pasted_to_within_a_level(avatar: Avatar, tmp_path: Path) -> None:
    still = {"rect": "30,20,95,95"}
    render(avatar, tmp_path / "raw", [FRAMES], still)
    render(avatar, tmp_path / "smooth", [FRAMES], {**still, "smooth_crops": True})
    raw, smooth = small.read_frames(tmp_path / "raw"), small.read_frames(tmp_path / "smooth")
    away = [np.abs(raw[t].astype(int) - smooth[t]) for t in FRAMES]
    assert max(each.max() for each in away) <= 3
    assert max((each > 0).mean() for each in away) < 0.01


# What a mode changes is spliced into these; a webp is made anew of the finished frame, whatever the mode.
SPLICED = [(given, form) for given in (*MODES[1:], EVERYTHING) for form in ("png", "jpg", "none")]
MADE_ANEW: list[tuple[Given, str]] = [({"colour_match": True}, "webp"), (EVERYTHING, "webp")]


def is_slow(given: Given, form: str) -> bool:
    """`make test` tries each mode alone in one form, and all together in each."""
    return len(given) == 1 and form != "png"


@pytest.mark.parametrize(
    ("given", "image_format"),
    [
        pytest.param(given, form, id="+".join([form, *given]), marks=[pytest.mark.slow] if is_slow(given, form) else [])
        for given, form in SPLICED + MADE_ANEW
    ],
)
def test_cutting_and_splicing_change_no_byte(avatar: Avatar, tmp_path: Path, given: Given, image_format: str) -> None:
    video = image_format in {"jpg", "none"}
    settings = {"format": image_format, "video": video, **given}
    # A segment is one range's, so only the cut into frames alone has others.
    whole = [FrameRange(3, 6), FrameRange(6, 10)]
    plain = render(avatar, tmp_path / "plain", whole, settings, spliced=False)
    seams = {row.frame: (row.seam, row.seam_at) for row in plain}
    assert sorted(seams) == list(FRAMES)
    for name, batch, threads in (("spliced", 3, 0), ("threads", 2, 3)):
        rows = render(avatar, tmp_path / name, whole, settings, batch=batch, threads=threads)
        assert files(tmp_path / name) == files(tmp_path / "plain")
        assert {row.frame: (row.seam, row.seam_at) for row in rows} == seams
    if image_format != "none":
        alone = [FrameRange(t, t + 1) for t in (9, 3, 6)]
        render(avatar, tmp_path / "alone", alone, settings, batch=2)
        frames = {path.name: path.read_bytes() for path in (tmp_path / "alone" / "frames").iterdir()}
        assert frames == {name: files(tmp_path / "plain")[name] for name in frames}
        assert len(frames) == 3


def test_pixels_without_weight_are_the_frames_own(avatar: Avatar, tmp_path: Path) -> None:
    render(avatar, tmp_path, [FRAMES], {"blend": "feather", "colour_match": True, "parsing": True})
    for t, image in small.read_frames(tmp_path).items():
        index = reference.bounce(t, small.BACKGROUNDS)
        box, frame, mask = avatar.clip.boxes[index], avatar.clip.frames[index], avatar.masks[index]
        weights = np.zeros(frame.shape[:2], np.uint8)
        weights[box[1] : box[3], box[0] : box[2]] = reference_blend.feather(reference_blend.UNET, box)
        kept = (mask == (255, 255, 255)).all(axis=2) | (mask == (0, 0, 255)).all(axis=2) | (weights == 0)
        assert np.array_equal(image[kept], frame[kept])
        assert (image[~kept] != frame[~kept]).mean() > 0.5


def test_a_faulty_neighbour_is_left_out_and_a_faulty_frame_is_reported(avatar: Avatar, tmp_path: Path) -> None:
    """Frame 8 fails; 6, 7, 9 and 10 are made without it, whether their range holds it or not."""
    features = avatar.clip.features.copy()
    features[8, 0] = small.POISON
    np.save(tmp_path / "features.npy", features)
    given = {"colour_match": True, "features": str(tmp_path / "features.npy")}
    rows = render(avatar, tmp_path / "whole", [FrameRange(5, 12)], given)
    assert [row.frame for row in rows] == [5, 6, 7, 9, 10, 11]
    render(avatar, tmp_path / "beside", [FrameRange(9, 11)], given)
    whole, beside = files(tmp_path / "whole"), files(tmp_path / "beside")
    assert beside == {name: whole[name] for name in ("frame_000009.png", "frame_000010.png")}


def test_neighbours_cost_time_that_is_counted_and_nothing_else(avatar: Avatar, tmp_path: Path) -> None:
    rows = render(avatar, tmp_path, [FrameRange(12, 14)], {"colour_match": True}, batch=1)
    assert [row.frame for row in rows] == [12, 13]
    assert len(files(tmp_path)) == 2
    # Frames 10 to 15 went through the network one by one: 12 and 13 are batches 2 and 3.
    assert [(row.batch_id, row.batch_size) for row in rows] == [(2, 1), (3, 1)]
    both = render(avatar, tmp_path, [FrameRange(12, 14)], {"colour_match": True}, batch=4)
    assert [(row.batch_id, row.batch_size) for row in both] == [(0, 2), (0, 2)]


def test_neighbours_end_where_the_frames_do(avatar: Avatar, tmp_path: Path) -> None:
    def around(start: int, stop: int, **given: object) -> FrameRange:
        return read_inputs(avatar.options(tmp_path, given)).around(FrameRange(start, stop))

    assert around(5, 9) == FrameRange(5, 9)
    assert around(5, 9, colour_match=True) == FrameRange(3, 11)
    # Not where --frames ends: the bytes of a frame do not depend on it.
    assert around(1, small.ROWS, colour_match=True) == FrameRange(0, small.ROWS)
    assert around(5, 9, colour_match=True, frames="5:9") == FrameRange(3, 11)
    # Paired once, there is no background behind the last.
    once = around(15, small.BACKGROUNDS, colour_match=True, loop="once", frames="15:20")
    assert once == FrameRange(13, small.BACKGROUNDS)


def test_a_kind_without_a_margin_has_no_colours_to_match(
    avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = replace(UNET_328, name="all-masked", mask=(0, 0, 320, 320))
    monkeypatch.setattr(jobs.inputs.inputs, "kinds_named", lambda _name: (kind,))
    with pytest.raises(InputError, match="all-masked masks all that it paints") as caught:
        read_inputs(avatar.options(tmp_path, {"colour_match": True}))
    assert caught.value.subject == "--colour-match"


@pytest.mark.parametrize("given", [{}, {"blend": "feather"}, {"parsing": True}], ids="+".join)
def test_what_finishing_needs_outlives_the_full_frames_and_is_planned_for(
    avatar: Avatar, tmp_path: Path, given: Given
) -> None:
    options = avatar.options(tmp_path, {**given, "format": "jpg"})
    inputs = read_inputs(options)
    block = load_block(plan_of(options, inputs, tmp_path, prepare=True).block(0), inputs.kind)[0]
    assert isinstance(block, PictureBlock)
    assert block.canvases is not None
    assert isinstance(block.canvases.files, tuple)
    assert block.canvases.video is None
    planned = [
        background_bytes(inputs.clip, inputs.kind, options.delivery, prepare=True, mixed=mixed)
        for mixed in (False, True)
    ]
    held = max(target.nbytes for target in block.canvases.targets if target is not None)
    side = max(box[2] - box[0] for box in avatar.clip.boxes)
    assert planned[1] - planned[0] == 4 * side * side
    mixed = bool(given)
    assert (held > 4 * (side - 7) ** 2) is mixed
    bare = background_bytes(inputs.clip, inputs.kind, None, prepare=True)
    # Besides the crop and a quarter of the frame for jpg.
    kept = planned[mixed] - bare - 3 * small.WIDTH * small.HEIGHT // 4
    assert 0 <= held - kept < 1000


def test_all_modes_in_a_real_run(avatar: Avatar, tmp_path: Path, on_cluster: Command) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    base: list[object] = ["composite", avatar.clip.folder, "--model", avatar.model]
    base += ["--device", "cpu", "--blend", "feather", "--colour-match", "--smooth-crops", "--parsing", avatar.parsing]
    result = on_cluster(*base, "--out", run, "--video", "--format", "jpg", "--workers", 2)
    assert result.code == 0, result.output
    assert "seam" in result.output
    assert verify_run(str(run)).whole
    table = pd.read_parquet(run / "timings").set_index("frame")
    assert sorted(table.index) == list(range(small.ROWS))
    assert (table["seam"] > 0).all()
    assert set(table["seam_at"]) <= {"square", "inner", "mask"}
    # Another window, other workers and batches: the same bytes.
    window = on_cluster(*base, "--out", other, "--format", "jpg", "--frames", "7:23", "--workers", 1, "--batch", 4)
    assert window.code == 0, window.output
    whole = files(run)
    frames = {path.name: path.read_bytes() for path in (other / "frames").iterdir()}
    assert len(frames) == 16
    assert frames == {name: whole[name] for name in frames}
    record = json.loads((run / "run.json").read_text())
    assert record["identity"]["blend"] == "feather"
    assert record["identity"]["colour_match"] is record["identity"]["smooth_crops"] is True
    assert len(record["identity"]["parsing"]) == 32
    # Any other way to lay the square on is another run's.
    for flags, said in (
        ([*base[: base.index("--blend")]], "--blend hard"),
        ([word for word in base if word != "--colour-match"], "error: no --colour-match: the run"),
        ([word for word in base if word != "--smooth-crops"], "error: no --smooth-crops: the run"),
        (base[:-2], "error: no --parsing: the run"),
    ):
        refused = on_cluster(*flags, "--out", run, "--video", "--format", "jpg")
        assert refused.code == 2
        assert said in refused.output
    again = on_cluster(*base, "--out", run, "--video", "--format", "jpg")
    assert again.code == 0
    assert f"{small.ROWS} of {small.ROWS} done, nothing is left to render" in again.output
