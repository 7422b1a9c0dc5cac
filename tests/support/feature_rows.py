"""Features of a recording: as the product makes them here, and by one matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from encoders import write_encoder
from onnx import numpy_helper

from actors.core.mel import RATE, mel_windows
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.audio.decoding import mono
from jobs.audio.feature_making import Rows, feature_rows, local_encoder
from jobs.audio.feature_source import EncoderSource


def oracle(recording: Path) -> Rows:
    """The features that `write_encoder` should make, by one matrix product and the facts."""
    graph = onnx.load(str(write_encoder(recording.parent / "oracle.onnx"))).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    windows = np.concatenate(list(mel_windows(mono(str(recording), RATE), 25)))
    encoded = (windows @ stored["rows"])[:, :, 0] @ stored["mix"]
    wanted = round(sum(map(len, mono(str(recording), RATE))) / RATE * 25)
    rows = [encoded[0], *encoded, encoded[-1]]
    rows += [rows[-1]] * (wanted - len(rows))
    return np.array(rows[:wanted], np.float32)


def encoded(source: EncoderSource) -> Iterator[Rows]:
    return feature_rows(source, UNET_328, local_encoder(source, threads=1))


def rows_of(source: EncoderSource) -> Rows:
    return np.concatenate(list(encoded(source)))
