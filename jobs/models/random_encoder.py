"""The audio encoder of the family with random weights: real cost, meaningless features.

Topology: domain notes 3.3, read from Wav2Lip's face encoder for sound, which SyncTalk_2D uses as it is.
"""

from __future__ import annotations

import numpy as np
import onnx

from actors.core.mel import BANDS, WINDOW_ROWS
from jobs.models.layers import Graph, Stride, Value

FEATURES = 512

# Channels, kernel, stride, padding and shortcut of each layer; 80 x 16 becomes 27 x 16, 9 x 6, 3 x 3 and 1 x 1.
_LAYERS: tuple[tuple[int, int, Stride, int, bool], ...] = (
    (32, 3, 1, 1, False),
    (32, 3, 1, 1, True),
    (32, 3, 1, 1, True),
    (64, 3, (3, 1), 1, False),
    (64, 3, 1, 1, True),
    (64, 3, 1, 1, True),
    (128, 3, 3, 1, False),
    (128, 3, 1, 1, True),
    (128, 3, 1, 1, True),
    (256, 3, (3, 2), 1, False),
    (256, 3, 1, 1, True),
    (FEATURES, 3, 1, 0, False),
    (FEATURES, 1, 1, 0, False),
)


def build_encoder(batch: int | None = None, seed: int = 0) -> onnx.ModelProto:
    """The encoder with random weights.

    Args:
        batch: fixed batch size, or ``None`` for a dynamic first axis.
        seed: of the weights; the same seed gives the same bytes.

    Returns:
        A checked model: ``mel_spectrogram`` float32 ``[B, 1, 80, 16]`` in [-4, 4] to ``audio_features`` float32
        ``[B, 512]``, at least 0.
    """
    graph = Graph(np.random.default_rng(seed))
    x = Value("mel_spectrogram", 1)
    for number, (channels, kernel, stride, pad, shortcut) in enumerate(_LAYERS):
        name = f"layer{number}"
        # Half the variance from each branch, so that a chain of shortcuts does not grow.
        gain = 1.0 if shortcut else 2.0
        y = graph.conv(x, channels, f"{name}.conv", kernel=kernel, stride=stride, pad=pad, bias=True, gain=gain)
        y = graph.norm(y, f"{name}.norm")
        x = graph.relu(graph.add(x, y, f"{name}.add") if shortcut else y, f"{name}.relu")
    graph.node("Flatten", [x.name], "audio_features", axis=1)
    return graph.model("encoder", {"mel_spectrogram": (1, BANDS, WINDOW_ROWS)}, {"audio_features": (FEATURES,)}, batch)
