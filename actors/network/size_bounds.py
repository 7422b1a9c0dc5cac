"""How much a network can come to, told from its graph alone: before anything walks through it, infers or runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import onnx

from actors.core.errors import InputError
from actors.network.shapes import MOST_NODES, all_bytes
from actors.network.traversal import graphs, nodes

# Nodes of a network once every call of a function stands for what the function holds, as the runtime has it. Exports
# have some thousands.
MOST_CALLED = 200_000
# Functions that call each other.
DEEPEST_CALLS = 100

# Bytes of all that is made for one frame that need no trial. A picture network of 320 x 320 comes to a tenth.
BOUNDED_BYTES = 16 << 30

_Function: TypeAlias = tuple[str, str, str]


def check_calls(path: str, model: onnx.ModelProto) -> None:
    """Checks that a network's functions end and stay small once they stand where they are called.

    Thirty functions of two calls each are a billion nodes.

    Raises:
        InputError: they do not.
    """
    if not model.functions:
        return
    try:
        total = _Calls(model).total(model.graph.node, 0)
    except RecursionError:
        total = MOST_CALLED + 1
    if total > MOST_CALLED:
        raise InputError(
            path,
            f"has functions that call each other without end, or come to more than {MOST_CALLED} layers",
            "export it without functions of its own",
        )


class _Calls:
    """Counts nodes; what a function comes to is counted once."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._functions = {(one.domain, one.name, one.overload): one for one in model.functions}
        self._known: dict[_Function, int] = {}

    def total(self, block: list[onnx.NodeProto], depth: int) -> int:
        """Nodes of a graph or a function with all that they call."""
        if depth > DEEPEST_CALLS:
            raise RecursionError
        count = 0
        for node in block:
            key = (node.domain, node.op_type, node.overload)
            if key in self._functions:
                if key not in self._known:
                    self._known[key] = self.total(self._functions[key].node, depth + 1)
                count += self._known[key]
            count += 1 + sum(self.total(graph.node, depth + 1) for graph in graphs(node))
        return count


def is_bounded(model: onnx.ModelProto, fed: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a network surely ends in a time and within a memory that its file's size and its shapes tell.

    It does where it has no loops, branches or functions, not very many nodes, and all of its tensors' sizes are known
    from those of its inputs and are not immense.

    Args:
        model: the network.
        fed: for its inputs the sides behind the batch, which the file may leave open.
    """
    if (
        len(model.graph.node) > MOST_NODES
        or model.functions
        or any(True for node in nodes(model) for _ in graphs(node))
    ):
        return False
    sizes = all_bytes(model, fed)
    return sizes is not None and sum(sizes) <= BOUNDED_BYTES
