"""The last layer of a network with random weights, laid out so that its pictures are neither flat nor saturated.

Random features have a mean that differs from channel to channel and seed to seed; through a random last layer it makes
pictures magenta or black. Training would take it away. Here the network is run once on a made-up picture and the last
layer is scaled and shifted by what comes out (data-dependent initialisation, Salimans and Kingma 2016).
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.network.runtime import cpu_session
from jobs.models.layers import Floats, Graph, Value

PLANES = 3
# Standard deviation before the sigmoid; about a quarter of it is left behind.
SPREAD = 0.75
# Steps that scale and shift are rounded to: the runtime's last bits differ between processors, the weights must not.
STEP = 1 / 64

SAMPLE_SEED = 328
# Cells along a side and standard deviation of each layer of blobs: about what a face has.
BLOBS = ((4, 0.15), (20, 0.08), (80, 0.04))


def picture_head(graph: Graph, x: Value, name: str, sample: dict[str, Floats]) -> None:
    """Adds a 1x1 convolution with bias and a sigmoid: ``output``, three planes in (0, 1), grey on average.

    Args:
        graph: all layers up to ``x``; gets the two nodes.
        x: the features of the picture.
        name: of the convolution.
        sample: a frame for each of the graph's inputs, by name.
    """
    shape = (PLANES, x.channels, 1, 1)
    filters = graph.filters(shape, 1.0)
    features = _features(graph, x, sample)
    seen = np.einsum("oc,nchw->onhw", filters[:, :, 0, 0], features).reshape(PLANES, -1)
    scale = np.maximum(np.round(SPREAD / seen.std(axis=1) / STEP), 1) * STEP
    shift = np.round(-scale * seen.mean(axis=1) / STEP) * STEP
    weight = graph.weight(f"{name}.weight", (filters * scale.reshape(PLANES, 1, 1, 1)).astype(np.float32))
    bias = graph.weight(f"{name}.bias", shift.astype(np.float32))
    graph.node("Conv", [x.name, weight, bias], name, kernel_shape=[1, 1])
    graph.node("Sigmoid", [name], "output")


def _features(graph: Graph, x: Value, sample: dict[str, Floats]) -> Floats:
    shapes = {key: values.shape[1:] for key, values in sample.items()}
    model = graph.unchecked_model("features", shapes, {x.name: (x.channels, "height", "width")})
    (features,) = cpu_session(model, threads=1, fused=False).run([x.name], sample)
    return np.asarray(features, np.float32)


def sample_picture(side: int, mask: tuple[int, int, int, int]) -> tuple[Floats, Floats]:
    """A made-up picture, blobs from coarse to fine, ``(1, 3, side, side)`` in [0, 1], and its masked copy.

    Args:
        side: pixels.
        mask: ``(x, y, width, height)`` of the rectangle that is 0 in the copy.
    """
    rng = np.random.default_rng(SAMPLE_SEED)
    picture = np.full((side, side, PLANES), 0.5, np.float32)
    for cells, strength in BLOBS:
        noise = rng.standard_normal((cells, cells, PLANES), dtype=np.float32) * np.float32(strength)
        picture += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    whole = np.ascontiguousarray(picture.clip(0, 1).transpose(2, 0, 1)[np.newaxis])
    masked = whole.copy()
    x, y, width, height = mask
    masked[:, :, y : y + height, x : x + width] = 0
    return whole, masked


def sample_sound(shape: tuple[int, ...], low: float, high: float) -> Floats:
    """A made-up audio tensor ``(1, *shape)``: normal numbers, cut off at ``low`` and ``high``."""
    rng = np.random.default_rng(SAMPLE_SEED)
    return rng.standard_normal((1, *shape), dtype=np.float32).clip(low, high)
