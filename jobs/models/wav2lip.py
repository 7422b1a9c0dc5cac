"""The Wav2Lip generator with random weights: real cost, meaningless pictures.

Layer list: that of the authors' ``models/wav2lip.py``. Every convolution has a bias, batch normalisation and a ReLU; a
residual one adds its input in front of the ReLU.
"""

from __future__ import annotations

import numpy as np
import onnx

from jobs.models.last_layer import picture_head, sample_picture, sample_sound
from jobs.models.layers import Graph, Stride, Value

SIDE = 96
PLANES = 6
MEL = (1, 80, 16)
# The front end's levels lie in [-4, 4].
LOUDEST = 4.0
# A face varies less than the unit variance that every other layer is laid out for; found by trying.
FACE_GAIN = 32.0

# Each level of the face's way down: channels and how many residual layers follow the one that halves the picture.
_DOWN = ((32, 2), (64, 3), (128, 2), (256, 2), (512, 1))
# Each level of the sound's way down: channels, stride of rows and columns, and residual layers behind.
_AUDIO = ((32, (1, 1), 2), (64, (3, 1), 2), (128, (3, 3), 2), (256, (3, 2), 1))
# Each level of the way up that doubles the picture: channels and residual layers behind.
_UP = ((512, 2), (384, 2), (256, 2), (128, 2), (64, 2))


def _layer(
    graph: Graph,
    x: Value,
    channels: int,
    name: str,
    *,
    kernel: int = 3,
    stride: Stride = 1,
    pad: int = 1,
    residual: bool = False,
    gain: float = 2.0,
) -> Value:
    # Half the variance from each branch, so that a chain of shortcuts does not grow.
    gain = 0.5 if residual else gain
    y = graph.conv(x, channels, name, kernel=kernel, stride=stride, pad=pad, bias=True, gain=gain)
    y = graph.norm(y, f"{name}_bn")
    return graph.relu(graph.add(y, x, f"{name}.add") if residual else y, f"{name}.relu")


def _residuals(graph: Graph, x: Value, count: int, name: str) -> Value:
    for i in range(1, count + 1):
        x = _layer(graph, x, x.channels, f"{name}.{i}", residual=True)
    return x


def _face(graph: Graph) -> list[Value]:
    """What the face becomes, from ``[B, 16, 96, 96]`` down to ``[B, 512, 1, 1]``."""
    levels = [_layer(graph, Value("face", PLANES), 16, "face.0.0", kernel=7, pad=3, gain=FACE_GAIN)]
    for level, (channels, residuals) in enumerate(_DOWN, 1):
        x = _layer(graph, levels[-1], channels, f"face.{level}.0", stride=2)
        levels.append(_residuals(graph, x, residuals, f"face.{level}"))
    x = _layer(graph, levels[-1], 512, "face.6.0", pad=0)
    levels.append(_layer(graph, x, 512, "face.6.1", kernel=1, pad=0))
    return levels


def _sound(graph: Graph) -> Value:
    """Mel window to ``[B, 512, 1, 1]``."""
    x = Value("mel", MEL[0])
    for level, (channels, stride, residuals) in enumerate(_AUDIO):
        x = _layer(graph, x, channels, f"audio.{level}.0", stride=stride)
        x = _residuals(graph, x, residuals, f"audio.{level}")
    x = _layer(graph, x, 512, "audio.4.0", pad=0)
    return _layer(graph, x, 512, "audio.4.1", kernel=1, pad=0)


def _grow(graph: Graph, x: Value, channels: int, name: str, *, stride: int = 2) -> Value:
    y = graph.conv_transpose(x, channels, name, stride=stride)
    return graph.relu(graph.norm(y, f"{name}_bn"), f"{name}.relu")


def build_wav2lip(seed: int = 0) -> onnx.ModelProto:
    """The generator.

    Args:
        seed: of the weights; the same seed gives the same bytes.

    Returns:
        A checked model of dynamic batch: ``mel`` float32 ``[B, 1, 80, 16]`` and ``face`` float32 ``[B, 6, 96, 96]`` in
        [0, 1] (the face with its lower half black, then the reference, each B, G, R) to ``output`` float32
        ``[B, 3, 96, 96]`` in (0, 1).
    """
    graph = Graph(np.random.default_rng(seed))
    levels = _face(graph)
    x = _layer(graph, _sound(graph), 512, "up.0.0", kernel=1, pad=0)
    x = graph.concat(x, levels.pop(), "up.0.concat")
    x = _residuals(graph, _grow(graph, x, 512, "up.1.0", stride=1), 1, "up.1")
    x = graph.concat(x, levels.pop(), "up.1.concat")
    for level, (channels, residuals) in enumerate(_UP, 2):
        x = _residuals(graph, _grow(graph, x, channels, f"up.{level}.0"), residuals, f"up.{level}")
        x = graph.concat(x, levels.pop(), f"up.{level}.concat")
    x = _layer(graph, x, 32, "outc.0")
    whole, masked = sample_picture(SIDE, (0, SIDE // 2, SIDE, SIDE // 2))
    picture_head(
        graph,
        x,
        "outc.1",
        {"mel": sample_sound(MEL, -LOUDEST, LOUDEST), "face": np.concatenate([masked, whole], axis=1)},
    )
    return graph.model("wav2lip", {"mel": MEL, "face": (PLANES, SIDE, SIDE)}, {"output": (3, SIDE, SIDE)})
