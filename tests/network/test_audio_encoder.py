"""The audio encoder's actor makes features only of what the driver has seen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from encoders import write_encoder

from actors.core.choices import Device
from actors.core.errors import InputError
from actors.files.digests import code_digest, model_digest
from actors.files.node_check import check_code
from actors.network import audio_encoder
from actors.network.audio_encoder import FEATURES, WINDOW_SHAPE, Encoder, EncoderConfig, read_encoder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder.onnx")


def config_of(encoder: Path) -> EncoderConfig:
    tensors = read_encoder(str(encoder))
    digest = model_digest(str(encoder), tensors.external)
    return EncoderConfig(str(encoder), tensors, Device.CPU, threads=1, gpus=0, digest=digest, code=code_digest())


def test_an_encoder_that_the_driver_saw_is_run(encoder: Path) -> None:
    assert Encoder(config_of(encoder)).encode(np.zeros((1, *WINDOW_SHAPE[1:]), np.float32)).shape == (1, FEATURES)


def test_another_encoder_in_its_place_is_refused(encoder: Path) -> None:
    other = replace(config_of(encoder), digest="0" * 64)
    with pytest.raises(InputError, match="does not see the same model") as caught:
        Encoder(other).prepare()
    assert caught.value.subject == str(encoder)


def test_other_code_than_the_drivers_is_refused(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Files that are being unpacked are waited for.
    monkeypatch.setattr(audio_encoder, "check_code", partial(check_code, patience=0.0))
    with pytest.raises(InputError, match="they are not the driver's"):
        Encoder(replace(config_of(encoder), code="0" * 64)).prepare()
