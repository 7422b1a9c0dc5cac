"""Exports as people have them, through our own sessions: whatever the form, the plain export's pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import exports
import numpy as np
import onnx
import pytest
import reference_kinds as kinds
from numpy.typing import NDArray
from stand_ins import stand_in

from actors.core.choices import Device, Precision
from actors.core.kind import ModelKind
from actors.kinds import all_kinds
from actors.network.recognition import recognise_model
from actors.network.session import Session, SessionOptions

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Form = Callable[[onnx.ModelProto], onnx.ModelProto]

COUNT = 3
UNET, WAV2LIP = "unet-160-hubert-8", "wav2lip-96"


def session_of(path: Path, batch: int, precision: Precision = Precision.FP32) -> tuple[ModelKind, Session]:
    kind, tensors = recognise_model(str(path), all_kinds())
    return kind, Session(str(path), tensors, kind, SessionOptions(Device.CPU, batch=batch, precision=precision))


def inputs(kind: ModelKind) -> tuple[Pixels, Floats]:
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 256, (COUNT, kind.inner, kind.inner, 3)).astype(np.uint8)
    return pictures, rng.random((COUNT, *kind.audio), np.float32)


def answers(path: Path, batch: int, precision: Precision = Precision.FP32) -> Pixels:
    """What a session makes of the same frames, and that it runs the batch that was asked for."""
    kind, session = session_of(path, batch, precision)
    assert session.batch == batch
    pictures, sound = inputs(kind)
    pictures = pictures.transpose(0, 3, 1, 2)
    parts = [session.run(pictures[i : i + batch], sound[i : i + batch]) for i in range(0, COUNT, batch)]
    assert all(fault is None for part in parts for fault in part.faults)
    return np.concatenate([part.planes for part in parts]).transpose(0, 2, 3, 1)


def plain_answers(path: Path, name: str) -> Pixels:
    """The same by the reference: planes made and answers truncated one at a time."""
    facts = kinds.KINDS[name]
    session = kinds.open_session(path)
    pictures, sound = inputs(next(kind for kind in all_kinds() if kind.name == name))
    whole = np.zeros((COUNT, facts.crop, facts.crop, 3), np.uint8)
    inner = slice(facts.border, facts.crop - facts.border)
    whole[:, inner, inner] = pictures
    levels = []
    for crop, window in zip(whole, sound, strict=True):
        planes, _ = kinds.network_input(facts, crop, (0, 0, facts.crop, facts.crop))
        levels.append(kinds.to_levels(kinds.predict(session, planes, window)))
    return np.stack(levels)


@dataclass(frozen=True)
class Plain:
    """A network as it is made, and the reference's answers from it."""

    model: onnx.ModelProto
    levels: Pixels


def plain(folder: Path, name: str, model: onnx.ModelProto) -> Plain:
    levels = plain_answers(exports.save(model, folder / "m.onnx"), name)
    # Neither one grey nor black and white alone: a difference would be seen.
    assert levels.std(axis=(1, 2)).min() > 20
    return Plain(model, levels)


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """All layers of the network and a quarter of the planes: the forms are about the former."""
    return plain(tmp_path_factory.mktemp("unet"), UNET, exports.slimmed(stand_in(UNET)))


@pytest.fixture(scope="module")
def wav2lip(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    return plain(tmp_path_factory.mktemp("wav2lip"), WAV2LIP, exports.slimmed(stand_in(WAV2LIP)))


NAMES = {"input": "source", "audio": "target", "output": "out", "mel": "source", "face": "target"}

FORMS: dict[str, Form] = {
    "as it is": exports.copy,
    "other names and order": lambda model: exports.swapped(exports.renamed(model, NAMES)),
    "fixed to one": lambda model: exports.fixed(model, 1),
    "fixed to one, inside too": lambda model: exports.baked(model, 1),
    "fixed to two, inside too": lambda model: exports.baked(model, 2),
    "operator set 11": lambda model: exports.lowered(model, 11),
    "operator set 13": lambda model: exports.lowered(model, 13),
    "operator set 21": lambda model: exports.lowered(model, 21),
}

# A network may be of several forms at once. Before operator set 11 there is no Resize with aligned corners, which the
# UNet has and Wav2Lip does not.
OLDEST: dict[str, Form] = {
    "as it is": exports.copy,
    "other names and order, operator set 9": lambda model: FORMS["other names and order"](exports.lowered(model, 9)),
    "fixed to one, inside too, operator set 13": lambda model: exports.baked(exports.lowered(model, 13), 1),
    "fixed to two, inside too, operator set 21": lambda model: exports.baked(exports.lowered(model, 21), 2),
}


# Where the file's own batch is another than the session's, the network is rewritten.
OF_OWN_BATCH = ("fixed to one", "fixed to one, inside too", "fixed to two, inside too")


@pytest.mark.parametrize(("form", "batch"), [*((form, 3) for form in FORMS), *((form, 1) for form in OF_OWN_BATCH)])
def test_a_unet(unet: Plain, form: str, batch: int, tmp_path: Path) -> None:
    path = exports.save(FORMS[form](unet.model), tmp_path / "m.onnx")
    assert np.array_equal(answers(path, batch), unet.levels)


@pytest.mark.parametrize("form", OLDEST)
def test_a_wav2lip(wav2lip: Plain, form: str, tmp_path: Path) -> None:
    path = exports.save(OLDEST[form](wav2lip.model), tmp_path / "m.onnx")
    assert np.array_equal(answers(path, 2), wav2lip.levels)


def test_of_full_width(tmp_path: Path) -> None:
    model, levels = stand_in(UNET), plain(tmp_path, UNET, stand_in(UNET)).levels
    path = exports.save(FORMS["fixed to two, inside too"](model), tmp_path / "m.onnx")
    assert np.array_equal(answers(path, 3), levels)


def test_weights_in_a_file_of_their_own(unet: Plain, tmp_path: Path) -> None:
    path = exports.save(unet.model, tmp_path / "m.onnx", external=True)
    assert recognise_model(str(path), all_kinds())[1].external == ("m.onnx.data",)
    assert np.array_equal(answers(path, 1), unet.levels)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("tensors", [False, True])
def test_half_precision_inside_and_at_the_ends(
    unet: Plain, tensors: bool, precision: Precision, tmp_path: Path
) -> None:
    path = exports.save(exports.halved(unet.model, tensors=tensors), tmp_path / "m.onnx")
    assert 0 < np.abs(answers(path, 3, precision).astype(int) - unet.levels).max() <= 3


def test_half_precision_of_a_fixed_batch_is_rewritten_too(unet: Plain, tmp_path: Path) -> None:
    path = exports.save(exports.baked(exports.halved(unet.model, tensors=True), 1), tmp_path / "m.onnx")
    assert np.abs(answers(path, 3).astype(int) - unet.levels).max() <= 3
