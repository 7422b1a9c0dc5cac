"""Every kind's description against the facts, and against the arithmetic of the independent reference."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import any_kind
import numpy as np
import pytest
import reference_blend
import reference_kinds as kinds
import small
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_planes import network_planes, to_pixels
from stand_ins import stand_in

import actors.kinds
from actors.core.audio_track import audio_windows
from actors.core.choices import AudioSource, Blend
from actors.core.clip import FaceBox
from actors.core.colour import fit_colours
from actors.core.compositing import blend_target, composite_patch
from actors.core.errors import InputError
from actors.core.pairing import background_index
from actors.core.pixels import crop_face, paste, render_patch
from actors.kinds import all_kinds, kinds_named
from actors.network.audio_encoder import ROW_SHAPE
from actors.network.recognition import recognise_model
from jobs.models.mouth import save_model

KINDS = {kind.name: kind for kind in all_kinds()}
# Those whose layers are known, so that full networks of random weights can be built.
LAYERS_KNOWN = [*(name for name in KINDS if name.startswith("unet-")), "wav2lip-96"]
FRAME = small.picture(1, 260, 240)


def test_every_kind_has_facts_to_be_compared_with() -> None:
    assert KINDS.keys() == kinds.KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_description_is_that_of_the_facts(name: str) -> None:
    kind, facts = KINDS[name], kinds.KINDS[name]
    x, y, width, height = kind.mask
    side = any_kind.side_of(facts)
    assert (kind.crop, kind.border, kind.inner) == (facts.crop, facts.border, side)
    assert (kind.planes, kind.output) == ((6, side, side), (3, side, side))
    assert (x, y, x + width, y + height) == facts.black
    assert kind.masked_first is facts.masked_first
    assert kind.value_range == (0, 1)
    assert (kind.crop_filter.flag, kind.paste_filter.flag) == (facts.crop_filter, facts.paste_filter)
    assert (kind.audio, kind.fps, kind.loop.value) == (facts.tensor, facts.fps, facts.loop)
    if any_kind.takes_mel(facts):
        assert (kind.audio_source, kind.feature, kind.rows, kind.square) == (AudioSource.MEL, (80, 16), 1, False)
    else:
        assert (kind.feature, kind.rows, kind.square) == (facts.row, facts.rows, True)
    assert (kind.audio_source is AudioSource.ENCODER) == (kind.feature == ROW_SHAPE)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=examples(12))
@given(data=st.data())
def test_pixels_are_those_of_the_reference(name: str, data: st.DataObject) -> None:
    kind, facts = KINDS[name], kinds.KINDS[name]
    width = data.draw(st.integers(1, 260))
    height = data.draw(st.integers(1, 240)) if not kind.square else min(width, 240)
    x0 = data.draw(st.integers(0, 260 - width))
    y0 = data.draw(st.integers(0, 240 - height))
    box, sides = FaceBox(x0, y0, x0 + width, y0 + height), (x0, y0, x0 + width, y0 + height)
    prediction = np.random.default_rng(width).random(kind.output, np.float32)
    expected_planes, expected_crop = kinds.network_input(facts, FRAME, sides)
    crop = crop_face(FRAME, box, kind, kind.crop_filter)
    assert np.array_equal(crop, expected_crop)
    assert np.array_equal(network_planes(crop[None], kind)[0], expected_planes)
    finished = paste(FRAME, render_patch(crop, to_pixels(prediction), box, kind, kind.paste_filter), box)
    assert np.array_equal(finished, kinds.paste(facts, FRAME, sides, expected_crop, prediction))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_blended_and_coloured_as_the_reference_does(name: str) -> None:
    kind, facts = KINDS[name], kinds.KINDS[name]
    shape = reference_blend.Shape(facts.crop, facts.border, any_kind.side_of(facts), facts.black)
    sides = (20, 30, 150, 160 if kind.square else 190)
    box = FaceBox(*sides)
    crop = crop_face(FRAME, box, kind, kind.crop_filter)
    mouth = small.picture(9, kind.inner, kind.inner)
    target = blend_target(FRAME, box, None, kind, Blend.FEATHER, None, keep_original=False)
    assert target.weights is not None
    expected = reference_blend.feather(shape, sides)
    # A weight that lies between two 255ths may be rounded either way.
    assert np.abs(target.weights.astype(int) - expected).max() <= 1
    finished = composite_patch(crop, mouth, box, target, kind, kind.paste_filter)
    hard = render_patch(crop, mouth, box, kind, kind.paste_filter)
    own = FRAME[box.y0 : box.y1, box.x0 : box.x1]
    assert np.array_equal(finished, reference_blend.mix(own, hard, target.weights))
    assert np.array_equal(finished[expected == 255], hard[expected == 255])
    inner = crop[kind.border : kind.border + kind.inner, kind.border : kind.border + kind.inner]
    fit = fit_colours(crop, mouth, kind)
    lines = reference_blend.fit_colours(shape, inner, mouth)
    assert np.allclose([*zip(fit.gain, fit.offset, strict=True)], lines)


@pytest.mark.parametrize("name", KINDS)
def test_windows_and_backgrounds_are_those_of_the_reference(name: str) -> None:
    kind, facts = KINDS[name], kinds.KINDS[name]
    rows = np.random.default_rng(3).random((21, *kind.feature), np.float32)
    if any_kind.takes_mel(facts):
        # Its rows are windows already.
        expected = [row.reshape(facts.tensor) for row in rows]
    else:
        expected = [kinds.audio_tensor(facts, rows, t) for t in range(21)]
    for start, stop in ((0, 21), (0, 1), (20, 21), (7, 12)):
        assert np.array_equal(audio_windows(rows, start, stop, kind), expected[start:stop])
    order = [kinds.background_index(facts.loop, t, 4) for t in range(15)]
    assert [background_index(kind.loop, t, 4) for t in range(15)] == order


@pytest.mark.parametrize("name", LAYERS_KNOWN)
def test_a_network_of_random_weights_is_told_to_be_of_its_kind(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    save_model(stand_in(name), path)
    assert recognise_model(str(path), all_kinds())[0] is KINDS[name]


def test_no_two_kinds_can_be_taken_for_each_other() -> None:
    assert len({(kind.planes, kind.audio) for kind in all_kinds()}) == len(KINDS)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"name": "UNet 328"}, "name"),
        ({"inner": 321}, "inner region"),
        ({"inner": 330}, "inner region"),
        ({"inner": 0}, "inner region"),
        ({"mask": (5, 5, 316, 305)}, "mask"),
        ({"mask": (-1, 5, 310, 305)}, "mask"),
        ({"mask": (5, 5, 310, 0)}, "mask"),
        ({"value_range": (1.0, 1.0)}, "black"),
        ({"rows": 8}, "window"),
        ({"feature": (2, 1024)}, "window"),
        ({"audio": (32, 16, 32)}, "window"),
        ({"rows": 0, "audio": (0, 16, 16)}, "window"),
        ({"audio_source": AudioSource.MEL}, "mel"),
        ({"fps": 0}, "frames"),
    ],
    ids=str,
)
def test_a_description_that_contradicts_itself_is_none(change: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=f"unet-328-ave|UNet 328: it is not so that .*{rule}"):
        replace(KINDS["unet-328-ave"], **change)  # type: ignore[arg-type]


# Where kinds are named


def test_nothing_but_its_own_module_names_a_kind() -> None:
    """A kind that is added needs no change anywhere else: neither names nor modules of kinds stand in the code."""
    folder = Path(actors.kinds.__file__).parent
    words = {kind.name for kind in all_kinds()} | {kind.name.replace("-", "_") for kind in all_kinds()}
    names = re.compile("|".join(sorted(words)), re.IGNORECASE)
    files = [*(small.ROOT / "actors").rglob("*.py"), *(small.ROOT / "jobs").rglob("*.py")]
    others = [path for path in files if path.parent != folder or path.name.startswith("_")]
    assert len(files) - len(others) == len(KINDS)
    assert [path for path in others if names.search(path.read_text(encoding="utf-8"))] == []
    # What a kind's module brings to it is a description, and a description alone.
    for name in KINDS:
        tree = ast.parse((folder / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        assert [ast.unparse(node.targets[0]) for node in assigned] == ["KIND"]
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If)]


def test_an_unknown_name_is_refused_with_similar_ones() -> None:
    assert kinds_named(None) == all_kinds()
    assert [kind.name for kind in kinds_named("unet-160-ave")] == ["unet-160-ave"]
    with pytest.raises(InputError) as caught:
        kinds_named("unet-512")
    assert caught.value.subject == "--kind unet-512"
    assert "similar are unet-328-" in caught.value.problem or "similar are unet-160-" in caught.value.problem


@pytest.fixture
def another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a module in the place of all kinds; a test sees it, and nobody after it."""
    monkeypatch.setattr(actors.kinds, "__path__", [str(tmp_path)])
    monkeypatch.setattr(actors.kinds, "all_kinds", actors.kinds.all_kinds.__wrapped__)

    def write(module: str, name: str) -> None:
        source = (
            f"from dataclasses import replace\nfrom actors.kinds import MADE\nKIND = replace(MADE, name={name!r})\n"
        )
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.setattr(actors.kinds, "MADE", KINDS["unet-160-ave"], raising=False)
        monkeypatch.delitem(sys.modules, f"actors.kinds.{module}", raising=False)

    return write


def test_a_kind_is_found_because_its_module_is_there(another_package: Callable[[str, str], None]) -> None:
    another_package("mine_1", "mine-1")
    assert [kind.name for kind in actors.kinds.all_kinds()] == ["mine-1"]
    del sys.modules["actors.kinds.mine_1"]


def test_a_module_of_another_name_than_its_kind_is_an_error(another_package: Callable[[str, str], None]) -> None:
    another_package("mine_2", "yours")
    with pytest.raises(ValueError, match="the module mine_2 describes the kind yours"):
        actors.kinds.all_kinds()
    del sys.modules["actors.kinds.mine_2"]
