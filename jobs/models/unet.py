"""The UNet-328 graph of the SyncTalk_2D family (mode ``ave``) with random weights: real cost, meaningless pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from actors.core.kind import UNET_328
from jobs.models.formula import Attribute

OPSET = 17
IR_VERSION = 8
BN_EPSILON = 1e-5
EXPANSION = 2
# Variance gains where random weights need help, found by trying: pictures and audio features vary far less than the
# unit variance every other layer is laid out for, and the sigmoid should use most of (0, 1).
INPUT_GAIN = 64.0
AUDIO_GAIN = 64.0
OUTPUT_GAIN = 4.0

# Running statistics are state, not parameters: they are stored but never trained.
_STATISTICS = (".running_mean", ".running_var")
_DOWN = (("down1", 32), ("down2", 64), ("down3", 128), ("down4", 256), ("down5", 512))
_UP = (("up1", 128), ("up2", 64), ("up3", 32), ("up4", 32), ("up5", 16))


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor inside the graph: its name and how many channels it has."""

    name: str
    channels: int


@dataclass(slots=True)
class _Graph:
    """The nodes and weights written so far, and the random source of the weights still to come."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Attribute) -> str:
        node = helper.make_node(kind, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def conv(
        self,
        x: _Value,
        channels: int,
        name: str,
        *,
        kernel: int = 1,
        stride: int = 1,
        pad: int = 0,
        depthwise: bool = False,
        bias: bool = False,
        gain: float = 2.0,
    ) -> _Value:
        """A convolution; ``gain / fan_in`` is the variance of its weights (2 behind a ReLU after He et al. 2015)."""
        fan_in = (1 if depthwise else x.channels) * kernel * kernel
        shape = (channels, 1 if depthwise else x.channels, kernel, kernel)
        values = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(gain / fan_in))
        if not depthwise:
            # Filters that sum to zero pass on what differs between channels; otherwise the mean that every ReLU
            # leaves grows from layer to layer until the picture drowns in it.
            values -= values.mean(axis=1, keepdims=True)
        inputs = [x.name, self.weight(f"{name}.weight", values)]
        if bias:
            inputs.append(
                self.weight(f"{name}.bias", self.rng.standard_normal(channels, dtype=np.float32) * np.float32(0.05))
            )
        out = self.node(
            "Conv",
            inputs,
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=x.channels if depthwise else 1,
        )
        return _Value(out, channels)

    def norm(self, x: _Value, name: str, *, relu: bool) -> _Value:
        """Batch normalisation with statistics near those of its input, then a ReLU where asked for."""
        n = x.channels
        parts = {
            "weight": self.rng.uniform(0.8, 1.2, n),
            "bias": self.rng.normal(0.0, 0.05, n),
            "running_mean": self.rng.normal(0.0, 0.05, n),
            "running_var": self.rng.uniform(0.8, 1.2, n),
        }
        inputs = [self.weight(f"{name}.{part}", values.astype(np.float32)) for part, values in parts.items()]
        out = self.node("BatchNormalization", [x.name, *inputs], name, epsilon=BN_EPSILON)
        return _Value(self.node("Relu", [out], f"{name}.relu") if relu else out, n)

    def inverted_residual(
        self, x: _Value, channels: int, name: str, *, stride: int = 1, residual: bool = False, gain: float = 1.0
    ) -> _Value:
        """1x1 expansion, 3x3 depthwise, 1x1 projection without activation, and the shortcut where asked for."""
        hidden = EXPANSION * x.channels
        y = self.conv(x, hidden, f"{name}.expand", gain=gain)
        y = self.norm(y, f"{name}.expand_bn", relu=True)
        y = self.conv(y, hidden, f"{name}.depthwise", kernel=3, stride=stride, pad=1, depthwise=True)
        y = self.norm(y, f"{name}.depthwise_bn", relu=True)
        # Half the variance from each branch, so that a chain of shortcuts does not grow.
        y = self.conv(y, channels, f"{name}.project", gain=0.5 if residual else 2.0)
        y = self.norm(y, f"{name}.project_bn", relu=False)
        return _Value(self.node("Add", [x.name, y.name], f"{name}.add"), channels) if residual else y

    def double(self, x: _Value, channels: int, name: str, *, stride: int = 1) -> _Value:
        """Two inverted residuals; only the first changes size or channels, only the second has a shortcut."""
        y = self.inverted_residual(x, channels, f"{name}.0", stride=stride)
        return self.inverted_residual(y, channels, f"{name}.1", residual=True)

    def concat(self, first: _Value, second: _Value, name: str) -> _Value:
        out = self.node("Concat", [first.name, second.name], name, axis=1)
        return _Value(out, first.channels + second.channels)

    def up(self, x: _Value, skip: _Value, channels: int, name: str) -> _Value:
        """Bilinear x2 with aligned corners, the skip behind it on the channels, then a double block."""
        big = self.node(
            "Resize",
            [x.name, "", "up.scales"],
            f"{name}.resize",
            mode="linear",
            coordinate_transformation_mode="align_corners",
        )
        joined = self.concat(_Value(big, x.channels), skip, f"{name}.concat")
        return self.double(joined, channels, name)


def _audio_branch(graph: _Graph, audio: _Value) -> _Value:
    """The window ``[B, 32, 16, 16]`` to ``[B, 512, 10, 10]``."""
    x = graph.inverted_residual(audio, 64, "audio.0", gain=AUDIO_GAIN)
    x = graph.inverted_residual(x, 128, "audio.1")
    x = graph.norm(graph.conv(x, 256, "audio.2", kernel=3, pad=1, bias=True, gain=1.0), "audio.2_bn", relu=True)
    x = graph.inverted_residual(x, 256, "audio.3", residual=True)
    x = graph.conv(x, 512, "audio.4", kernel=3, stride=2, pad=3, bias=True, gain=1.0)
    x = graph.norm(x, "audio.4_bn", relu=True)
    x = graph.inverted_residual(x, 512, "audio.5", residual=True)
    return graph.inverted_residual(x, 512, "audio.6", residual=True)


def build_unet328(batch: int | None = None, seed: int = 0) -> onnx.ModelProto:
    """The full network of the family with random weights.

    Topology: domain notes 1.1 to 1.3, read from SyncTalk_2D's ``unet_328``. Batch normalisation is kept as nodes
    (runtimes fold it into the convolutions), so that the parameters can be counted on the graph.

    Args:
        batch: fixed batch size, or ``None`` for a dynamic first axis.
        seed: of the weights; the same seed gives the same bytes.

    Returns:
        A checked model: ``input`` float32 ``[B, 6, 320, 320]`` in [0, 1] and ``audio`` float32
        ``[B, 32, 16, 16]`` to ``output`` float32 ``[B, 3, 320, 320]`` in [0, 1].
    """
    graph = _Graph(np.random.default_rng(seed))
    graph.weight("up.scales", np.array([1, 1, 2, 2], dtype=np.float32))
    x = graph.inverted_residual(_Value("input", UNET_328.planes[0]), 32, "inc", gain=INPUT_GAIN)
    skips = [x]
    for name, channels in _DOWN:
        x = graph.double(x, channels, name, stride=2)
        skips.append(x)
    # The deepest level feeds the fusion alone; every other one is also a skip.
    skips.pop()
    heard = _audio_branch(graph, _Value("audio", UNET_328.audio[0]))
    x = graph.concat(x, heard, "fuse.concat")
    x = graph.double(graph.double(x, 512, "fuse.0"), 256, "fuse.1")
    for name, channels in _UP:
        x = graph.up(x, skips.pop(), channels, name)
    x = graph.conv(x, UNET_328.output[0], "outc", bias=True, gain=OUTPUT_GAIN)
    graph.node("Sigmoid", [x.name], "output")

    first: int | str = "batch" if batch is None else batch

    def tensor(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [first, *shape])

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "unet328",
            [tensor("input", UNET_328.planes), tensor("audio", UNET_328.audio)],
            [tensor("output", UNET_328.output)],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mouthpiece",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def stage_parameters(model: onnx.ModelProto) -> dict[str, int]:
    """Trained parameters by stage (``inc``, ``down1`` ... ``outc``): weights, biases, BN scales and shifts."""
    counts: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        stage, _, rest = tensor.name.partition(".")
        if rest.endswith(_STATISTICS) or rest == "scales":
            continue
        counts[stage] += int(np.prod(tensor.dims))
    return dict(counts)


def parameter_count(model: onnx.ModelProto) -> int:
    """Trained parameters of the whole network; running statistics do not count."""
    return sum(stage_parameters(model).values())
