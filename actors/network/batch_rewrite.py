"""Whether a network that is fixed to one batch may be rewritten for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from actors.network.graph import with_batch
from actors.network.runtime import InferenceSession, cpu_session

if TYPE_CHECKING:
    from actors.core.kind import ModelKind, ModelTensors


def batch_is_free(model: onnx.ModelProto, tensors: ModelTensors, kind: ModelKind, batch: int) -> bool:
    """Whether the rewritten model gives for each frame of a batch what the original gives for it.

    Tried on the CPU, where frames of different batches are equal to the last bit.

    Args:
        model: the network.
        tensors: which of its tensors is which.
        kind: the contract it honours.
        batch: frames per inference that are wanted.
    """
    fixed = tensors.batch or 1
    rng = np.random.default_rng(0)
    count = max(fixed, batch)
    sides = {tensors.image: kind.planes, tensors.audio: kind.audio}
    feed = {
        value.name: rng.random((count, *sides[value.name]), np.float32).astype(_dtype(value))
        for value in model.graph.input
        if value.name in sides
    }
    try:
        answers = [
            _in_batches(cpu_session(each), tensors.output, feed, size)
            for each, size in ((model, fixed), (with_batch(model, tensors, batch), batch))
        ]
    except Exception:  # noqa: BLE001 - what the runtime raises for a graph that does not fit together is not documented
        return False
    return np.array_equal(answers[0], answers[1])


def _dtype(value: onnx.ValueInfoProto) -> np.dtype[Any]:
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _in_batches(session: InferenceSession, output: str, feed: dict[str, NDArray[Any]], size: int) -> NDArray[Any]:
    """The network's answers, each batch of ``size`` filled up by going round."""
    count = len(next(iter(feed.values())))
    answers = []
    for start in range(0, count, size):
        rows = np.arange(start, start + size) % count
        answers.append(session.run([output], {name: values[rows] for name, values in feed.items()})[0])
    return np.concatenate(answers)[:count]
