"""Writing ONNX graphs as formulas: ``a * b + 1.0`` adds a Mul and an Add node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Attribute: TypeAlias = str | int | float | list[int]
Number: TypeAlias = float | npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(slots=True)
class Formulas:
    """The nodes and constants that terms have written so far."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def term(self, name: str) -> Term:
        """A graph input as a term."""
        return Term(self, name)

    def floats(self, value: Number) -> Term:
        """A float32 constant."""
        return self.array(np.asarray(value, np.float32))

    def integers(self, *values: int) -> Term:
        """A one-dimensional int64 constant, as shapes and axes are."""
        return self.array(np.array(values, np.int64))

    def array(self, values: npt.NDArray[np.float32] | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Term:
        """A constant of any type."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return Term(self, name)

    def apply(self, kind: str, *inputs: Term, name: str = "", **attributes: Attribute) -> Term:
        """The first output of a new node; ``name`` makes it a graph output."""
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        node = helper.make_node(kind, [x.name for x in inputs], [output], name=output)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return Term(self, output)


@dataclass(frozen=True, slots=True)
class Term:
    """A tensor of the graph under construction; arithmetic broadcasts as ONNX does."""

    # Tells NumPy to leave `array * term` to the term.
    __array_ufunc__: ClassVar[None] = None

    graph: Formulas
    name: str

    def _binary(self, kind: str, other: Term | Number, *, swapped: bool = False) -> Term:
        right = other if isinstance(other, Term) else self.graph.floats(other)
        return self.graph.apply(kind, right, self) if swapped else self.graph.apply(kind, self, right)

    def __add__(self, other: Term | Number) -> Term:
        return self._binary("Add", other)

    def __neg__(self) -> Term:
        return self.graph.apply("Neg", self)

    def __radd__(self, other: Number) -> Term:
        return self._binary("Add", other, swapped=True)

    def __sub__(self, other: Term | Number) -> Term:
        return self._binary("Sub", other)

    def __rsub__(self, other: Number) -> Term:
        return self._binary("Sub", other, swapped=True)

    def __mul__(self, other: Term | Number) -> Term:
        return self._binary("Mul", other)

    def __rmul__(self, other: Number) -> Term:
        return self._binary("Mul", other, swapped=True)

    def __truediv__(self, other: Term | Number) -> Term:
        return self._binary("Div", other)

    def exp(self) -> Term:
        """Euler's number to the power of this."""
        return self.graph.apply("Exp", self)

    def root(self) -> Term:
        """The square root."""
        return self.graph.apply("Sqrt", self)

    def square(self) -> Term:
        """This times itself."""
        return self * self

    def absolute(self) -> Term:
        """The magnitude."""
        return self.graph.apply("Abs", self)

    def positive(self) -> Term:
        """This where it is positive, else 0."""
        return self.graph.apply("Relu", self)

    def minimum(self, other: Term | Number) -> Term:
        """The smaller of the two."""
        return self._binary("Min", other)

    def unit(self) -> Term:
        """Clipped to [0, 1]."""
        return self.graph.apply("Clip", self, self.graph.floats(0.0), self.graph.floats(1.0))

    def smooth(self) -> Term:
        """Smoothstep: 0 below 0, 1 above 1, without a kink between."""
        x = self.unit()
        return x.square() * (3.0 - 2.0 * x)

    def toward(self, other: Term | Number, share: Term) -> Term:
        """Linear blend: this at ``share`` 0, ``other`` at 1; exactly this at 0."""
        end = other if isinstance(other, Term) else self.graph.floats(other)
        return self + (end - self) * share
