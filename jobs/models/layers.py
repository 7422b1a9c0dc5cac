"""Networks with random weights: nodes and weights as they are written, layer by layer, into an ONNX graph.

Batch normalisation is kept as nodes (runtimes fold it into the convolutions), so that the parameters of a published
network can be counted on the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from jobs.models.formula import Attribute

OPSET = 17
IR_VERSION = 8
BN_EPSILON = 1e-5

Floats: TypeAlias = npt.NDArray[np.float32]
Stride: TypeAlias = int | tuple[int, int]
Shapes: TypeAlias = Mapping[str, Sequence[int | str]]

# Running statistics are state, not parameters: they are stored but never trained.
_STATISTICS = (".running_mean", ".running_var")


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor inside the graph: its name and how many channels it has."""

    name: str
    channels: int


@dataclass(slots=True)
class Graph:
    """The nodes and weights written so far, and the random source of the weights still to come."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, name: str, values: Floats) -> str:
        """Stores a constant under a name, and gives the name back."""
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, name: str, values: npt.NDArray[np.int64]) -> str:
        """Adds numbers that are no parameters, in a node; gives their name back."""
        self.nodes.append(helper.make_node("Constant", [], [name], name=name, value=numpy_helper.from_array(values)))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Attribute) -> str:
        """Adds a node; its one output has the node's name, which is given back."""
        node = helper.make_node(kind, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def filters(self, shape: tuple[int, ...], gain: float, *, inputs: int | None = 1) -> Floats:
        """Random filters of variance ``gain / fan-in`` (a gain of 2 behind a ReLU after He et al. 2015).

        Args:
            shape: of the weights; all axes but the first count as fan-in.
            gain: see above.
            inputs: the axis of the input channels, over which every filter sums to zero; ``None`` for one channel.
        """
        fan_in = int(np.prod(shape[1:]))
        values = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(gain / fan_in))
        if inputs is not None:
            # Filters that sum to zero pass on what differs between channels; otherwise the mean that every ReLU
            # leaves grows from layer to layer until the picture drowns in it.
            values -= values.mean(axis=inputs, keepdims=True)
        return values

    def bias(self, channels: int, name: str) -> str:
        """A small random bias for each channel."""
        return self.weight(name, self.rng.standard_normal(channels, dtype=np.float32) * np.float32(0.05))

    def conv(
        self,
        x: Value,
        channels: int,
        name: str,
        *,
        kernel: int = 1,
        stride: Stride = 1,
        pad: int = 0,
        depthwise: bool = False,
        bias: bool = False,
        gain: float = 2.0,
    ) -> Value:
        """A convolution with random filters; ``stride`` is that of the rows and the columns."""
        shape = (channels, 1 if depthwise else x.channels, kernel, kernel)
        values = self.filters(shape, gain, inputs=None if shape[1] == 1 else 1)
        inputs = [x.name, self.weight(f"{name}.weight", values)]
        if bias:
            inputs.append(self.bias(channels, f"{name}.bias"))
        out = self.node(
            "Conv",
            inputs,
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride] if isinstance(stride, int) else list(stride),
            pads=[pad] * 4,
            group=x.channels if depthwise else 1,
        )
        return Value(out, channels)

    def conv_transpose(self, x: Value, channels: int, name: str, *, stride: int) -> Value:
        """A 3x3 transposed convolution with bias, to twice the size (stride 2) or two rows and columns more (stride 1).

        Its filters mix channels at random and interpolate between pixels; random taps would leave a chequered picture.
        """
        mixed = self.filters((channels, x.channels, 1, 1), 2.0).transpose(1, 0, 2, 3)
        tent = np.array([0.5, 1.0, 0.5], np.float32)
        values = np.ascontiguousarray(mixed * np.outer(tent, tent))
        inputs = [x.name, self.weight(f"{name}.weight", values), self.bias(channels, f"{name}.bias")]
        more = stride - 1
        out = self.node(
            "ConvTranspose",
            inputs,
            name,
            kernel_shape=[3, 3],
            strides=[stride, stride],
            pads=[more] * 4,
            output_padding=[more, more],
        )
        return Value(out, channels)

    def norm(self, x: Value, name: str) -> Value:
        """Batch normalisation with statistics near those of its input."""
        n = x.channels
        parts = {
            "weight": self.rng.uniform(0.8, 1.2, n),
            "bias": self.rng.normal(0.0, 0.05, n),
            "running_mean": self.rng.normal(0.0, 0.05, n),
            "running_var": self.rng.uniform(0.8, 1.2, n),
        }
        inputs = [self.weight(f"{name}.{part}", values.astype(np.float32)) for part, values in parts.items()]
        return Value(self.node("BatchNormalization", [x.name, *inputs], name, epsilon=BN_EPSILON), n)

    def relu(self, x: Value, name: str) -> Value:
        """What of a tensor is positive."""
        return Value(self.node("Relu", [x.name], name), x.channels)

    def add(self, first: Value, second: Value, name: str) -> Value:
        """The sum of two tensors of one shape."""
        return Value(self.node("Add", [first.name, second.name], name), first.channels)

    def concat(self, first: Value, second: Value, name: str) -> Value:
        """Two tensors behind each other on the channels."""
        out = self.node("Concat", [first.name, second.name], name, axis=1)
        return Value(out, first.channels + second.channels)

    def model(
        self,
        name: str,
        inputs: Shapes,
        outputs: Shapes,
        batch: int | None = None,
    ) -> onnx.ModelProto:
        """A checked model of what has been written.

        Args:
            name: of the graph.
            inputs: shape of each input without the batch.
            outputs: shape of each output without the batch.
            batch: fixed batch, or ``None`` for a dynamic first axis.
        """
        model = self.unchecked_model(name, inputs, outputs, batch)
        onnx.checker.check_model(model, full_check=True)
        return model

    def unchecked_model(self, name: str, inputs: Shapes, outputs: Shapes, batch: int | None = None) -> onnx.ModelProto:
        """The same for the runtime alone, which checks what it loads; arguments as of `model`."""
        first: int | str = "batch" if batch is None else batch

        def described(tensors: Shapes) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [first, *shape])
                for tensor, shape in tensors.items()
            ]

        model = helper.make_model(
            helper.make_graph(self.nodes, name, described(inputs), described(outputs)),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="mouthpiece",
        )
        # Of both parts onnx makes copies.
        model.graph.initializer.extend(self.weights)
        return model


def stage_parameters(model: onnx.ModelProto) -> dict[str, int]:
    """Trained parameters by stage, the first part of each weight's name: weights, biases, BN scales and shifts."""
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
