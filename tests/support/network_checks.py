"""What tests of generated networks share: runs, costs and how pictures follow what goes in."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

Floats = npt.NDArray[np.float32]
Feed = dict[str, Floats]


def open_session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, feed: Feed) -> Floats:
    (out,) = session.run(None, feed)
    return np.asarray(out)


def shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shape of every input and output, an open batch as 0."""
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def stage_multiplications(model: onnx.ModelProto) -> dict[str, float]:
    """Millions of multiplications per frame in convolutions, by stage, from shapes that ONNX infers.

    A transposed convolution multiplies once for each input value and tap, a plain one for each output value and tap.
    """
    one = onnx.ModelProto()
    one.CopyFrom(model)
    for tensor in one.graph.initializer:
        # Shapes do not depend on weights, and copying those takes most of the time.
        if math.prod(tensor.dims) > 16:
            tensor.ClearField("raw_data")
    for value in (*one.graph.input, *one.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(one, strict_mode=True, data_prop=True).graph
    sizes = {
        value.name: math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    taps = {tensor.name: math.prod(tensor.dims[1:]) for tensor in graph.initializer}
    counts: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type == "Conv":
            counts[node.name.partition(".")[0]] += sizes[node.output[0]] * taps[node.input[1]]
        elif node.op_type == "ConvTranspose":
            counts[node.name.partition(".")[0]] += sizes[node.input[0]] * taps[node.input[1]]
    return {stage: count / 1e6 for stage, count in counts.items()}


def face(side: int) -> Floats:
    """Two different pictures ``(2, 3, side, side)`` in [0, 1]: ramps, a bright oval, a dark line and a little noise."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    oval = ((x - 0.5) / 0.35) ** 2 + ((y - 0.4) / 0.55) ** 2 < 1
    line = (np.abs(y - 0.37) < 0.02) & (np.abs(x - 0.5) < 0.16)
    rng = np.random.default_rng(5)
    planes = [0.25 + 0.2 * x + strength * oval - 0.3 * line for strength in (0.25, 0.35, 0.5)]
    first = np.stack(planes) + rng.normal(0, 0.02, (3, side, side))
    return np.clip(np.stack([first, 0.7 * first[:, :, ::-1]]), 0, 1).astype(np.float32)


def require_sensible(session: ort.InferenceSession, feed: Feed, mask: tuple[slice, slice]) -> None:
    """Pictures in (0, 1), neither flat nor saturated within the mask, that follow picture and sound."""
    out = run(session, feed)
    inside = out[:, :, *mask]
    assert out.min() > 0
    assert out.max() < 1
    assert (np.abs(inside.mean(axis=(2, 3)) - 0.5) < 0.25).all()
    assert abs(inside.mean() - 0.5) < 0.12
    spread = inside.std(axis=(2, 3))
    assert (spread > 0.04).all()
    assert 0.08 < spread.mean() < 0.25


def require_every_input_matters(session: ort.InferenceSession, feed: Feed) -> None:
    """Each input alone, exchanged with the other frame's, moves the picture by more than a level on average."""
    first = _first(feed)
    out = run(session, first)
    for name in feed:
        assert np.abs(run(session, {**first, name: feed[name][1:2]}) - out).mean() > 1 / 255, name


def require_every_plane_matters(session: ort.InferenceSession, feed: Feed, image: str) -> None:
    """Each of the six planes alone, exchanged with the other frame's, changes the picture."""
    first = _first(feed)
    out = run(session, first)
    for plane in range(6):
        changed = first[image].copy()
        changed[:, plane] = feed[image][1, plane]
        assert np.abs(run(session, {**first, image: changed}) - out).max() > 1 / 255, plane


def _first(feed: Feed) -> Feed:
    return {name: values[:1] for name, values in feed.items()}
