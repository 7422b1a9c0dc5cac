"""The UNets of the SyncTalk_2D family with random weights: real cost, meaningless pictures.

Topologies: domain notes 1.1 to 1.4, read from SyncTalk_2D's ``unet_328`` and Ultralight-Digital-Human's ``unet``.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from jobs.models.last_layer import picture_head, sample_picture, sample_sound
from jobs.models.layers import Graph, Value, parameter_count, stage_parameters

__all__ = ["build_unet", "build_unet328", "parameter_count", "stage_parameters"]

EXPANSION = 2
PLANES = 6
# Variance gains where random weights need help, found by trying: pictures and audio features vary far less than the
# unit variance every other layer is laid out for.
INPUT_GAIN = 64.0
AUDIO_GAIN = 64.0

# Channels of the ways down and up, by the side of the picture. Both ways meet sound at 10 x 10.
_DOWN = {320: (32, 64, 128, 256, 512), 160: (64, 128, 256, 512)}
_UP = {320: (128, 64, 32, 32, 16), 160: (128, 64, 32, 32)}
# Stride of the first plain convolution of the audio branch, by the window's height and width.
_AUDIO_STRIDE = {(16, 16): (1, 1), (32, 32): (2, 2), (16, 32): (1, 2)}

# What there are networks for.
SIDES = frozenset(_DOWN)
WINDOWS = frozenset(_AUDIO_STRIDE)


def _inverted_residual(
    graph: Graph, x: Value, channels: int, name: str, *, stride: int = 1, residual: bool = False, gain: float = 1.0
) -> Value:
    """1x1 expansion, 3x3 depthwise, 1x1 projection without activation, and the shortcut where asked for."""
    hidden = EXPANSION * x.channels
    y = graph.conv(x, hidden, f"{name}.expand", gain=gain)
    y = _norm_relu(graph, y, f"{name}.expand_bn")
    y = graph.conv(y, hidden, f"{name}.depthwise", kernel=3, stride=stride, pad=1, depthwise=True)
    y = _norm_relu(graph, y, f"{name}.depthwise_bn")
    # Half the variance from each branch, so that a chain of shortcuts does not grow.
    y = graph.conv(y, channels, f"{name}.project", gain=0.5 if residual else 2.0)
    y = graph.norm(y, f"{name}.project_bn")
    return graph.add(x, y, f"{name}.add") if residual else y


def _norm_relu(graph: Graph, x: Value, name: str) -> Value:
    return graph.relu(graph.norm(x, name), f"{name}.relu")


def _double(graph: Graph, x: Value, channels: int, name: str, *, stride: int = 1) -> Value:
    """Two inverted residuals; only the first changes size or channels, only the second has a shortcut."""
    y = _inverted_residual(graph, x, channels, f"{name}.0", stride=stride)
    return _inverted_residual(graph, y, channels, f"{name}.1", residual=True)


def _up(graph: Graph, x: Value, skip: Value, channels: int, name: str) -> Value:
    """Bilinear x2 with aligned corners, padded to the skip's size, the skip behind it on the channels, a double block.

    The padding is found while the network runs, as exports of the family's own code do: they are of any size. Here it
    is always nothing.
    """
    big = graph.node(
        "Resize",
        [x.name, "", "up.scales"],
        f"{name}.resize",
        mode="linear",
        coordinate_transformation_mode="align_corners",
    )
    padded = _padded(graph, Value(big, x.channels), skip, name)
    joined = graph.concat(padded, skip, f"{name}.concat")
    return _double(graph, joined, channels, name)


def _padded(graph: Graph, x: Value, skip: Value, name: str) -> Value:
    """Rows and columns of zeros around a picture, on either side half of those that it has less than the skip."""
    before, after = [], []
    for axis in (2, 3):
        shapes = [graph.node("Shape", [value], f"{name}.shape{axis}.{value}") for value in (skip.name, x.name)]
        sizes = [graph.node("Gather", [shape, f"up.axis{axis}"], f"{shape}.side") for shape in shapes]
        less = graph.node("Sub", sizes, f"{name}.less{axis}")
        half = graph.node("Div", [less, "up.two"], f"{name}.half{axis}")
        before.append(half)
        after.append(graph.node("Sub", [less, half], f"{name}.rest{axis}"))
    pads = graph.node("Concat", ["up.none", *before, "up.none", *after], f"{name}.pads", axis=0)
    return Value(graph.node("Pad", [x.name, pads], f"{name}.pad"), x.channels)


def _audio_branch(graph: Graph, audio: tuple[int, int, int]) -> Value:
    """The window ``[B, *audio]`` to ``[B, 512, 10, 10]``.

    Height and width decide the layers in front: 16 x 16 is mode ``ave``, 32 x 32 ``hubert`` and 16 x 32 ``wenet``.
    Windows of 16 and of 8 feature rows differ in their channels alone.
    """
    stride = _AUDIO_STRIDE[audio[1:]]
    x = Value("audio", audio[0])
    wide = audio[1:] == (16, 32)
    x = _inverted_residual(graph, x, audio[0] if wide else 64, "audio.0", gain=AUDIO_GAIN, residual=wide)
    x = _inverted_residual(graph, x, audio[0] if wide else 128, "audio.1", residual=wide)
    x = graph.conv(x, 256, "audio.2", kernel=3, stride=stride, pad=1, bias=True, gain=1.0)
    x = _norm_relu(graph, x, "audio.2_bn")
    x = _inverted_residual(graph, x, 256, "audio.3", residual=True)
    x = graph.conv(x, 512, "audio.4", kernel=3, stride=2, pad=3, bias=True, gain=1.0)
    x = _norm_relu(graph, x, "audio.4_bn")
    x = _inverted_residual(graph, x, 512, "audio.5", residual=True)
    return _inverted_residual(graph, x, 512, "audio.6", residual=True)


def build_unet(side: int, audio: tuple[int, int, int], batch: int | None = None, seed: int = 0) -> onnx.ModelProto:
    """A full network of the family with random weights.

    Args:
        side: pixels that the network sees, 320 or 160.
        audio: shape of the audio tensor, which decides the audio branch: ``(C, 16, 16)`` ``ave``, ``(C, 32, 32)``
            ``hubert``, ``(C, 16, 32)`` ``wenet``.
        batch: fixed batch size, or ``None`` for a dynamic first axis.
        seed: of the weights; the same seed gives the same bytes.

    Returns:
        A checked model: ``input`` float32 ``[B, 6, side, side]`` in [0, 1] (reference B, G, R, then masked B, G, R)
        and ``audio`` float32 ``[B, *audio]`` to ``output`` float32 ``[B, 3, side, side]`` in (0, 1).

    Raises:
        KeyError: the family has no network of that side or with such an audio tensor.
    """
    graph = Graph(np.random.default_rng(seed))
    graph.weight("up.scales", np.array([1, 1, 2, 2], dtype=np.float32))
    for constant, numbers in {"axis2": [2], "axis3": [3], "two": [2], "none": [0, 0]}.items():
        graph.constant(f"up.{constant}", np.array(numbers, np.int64))
    x = _inverted_residual(graph, Value("input", PLANES), 32, "inc", gain=INPUT_GAIN)
    skips = [x]
    for level, channels in enumerate(_DOWN[side], 1):
        x = _double(graph, x, channels, f"down{level}", stride=2)
        skips.append(x)
    # The deepest level feeds the fusion alone; every other one is also a skip.
    skips.pop()
    x = graph.concat(x, _audio_branch(graph, audio), "fuse.concat")
    x = _double(graph, _double(graph, x, 512, "fuse.0"), 256, "fuse.1")
    for level, channels in enumerate(_UP[side], 1):
        x = _up(graph, x, skips.pop(), channels, f"up{level}")
    whole, masked = sample_picture(side, (5, 5, side - 10, side - 15))
    sample = {"input": np.concatenate([whole, masked], axis=1), "audio": sample_sound(audio, 0.0, math.inf)}
    picture_head(graph, x, "outc", sample)
    return graph.model(
        f"unet{side + 8}", {"input": (PLANES, side, side), "audio": audio}, {"output": (3, side, side)}, batch
    )


def build_unet328(batch: int | None = None, seed: int = 0) -> onnx.ModelProto:
    """SyncTalk_2D's own network: 320 x 320 and mode ``ave``; see `build_unet`."""
    return build_unet(320, (32, 16, 16), batch, seed)
