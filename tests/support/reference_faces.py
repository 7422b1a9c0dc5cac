"""How faces are found, slow and obvious: the oracle of anchors, decoding, suppression, shrinking and the mesh's crop.

It imports nothing of this project. Geometry in words: pixel i of a row reaches from i to i + 1. A box is (left, top,
right, bottom), a point (x, y).
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Box: TypeAlias = tuple[float, float, float, float]
Point: TypeAlias = tuple[float, float]
# Box, key points, score.
Face: TypeAlias = tuple[Box, tuple[Point, ...], float]


def anchors(side: int, strides: Sequence[int]) -> list[Point]:
    """Centres in pixels: one stride after the other, two anchors in each cell for each stride of the same size."""
    found: list[Point] = []
    for stride in dict.fromkeys(strides):
        for row in range(side // stride):
            for column in range(side // stride):
                centre = ((column + 0.5) * stride, (row + 0.5) * stride)
                found.extend([centre] * (2 * strides.count(stride)))
    return found


def sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def decode(
    values: NDArray[np.float32], logits: NDArray[np.float32], centres: Sequence[Point], least: float
) -> list[Face]:
    faces: list[Face] = []
    for row, logit, (x, y) in zip(values.tolist(), logits.tolist(), centres, strict=True):
        score = sigmoid(logit)
        if score >= least:
            middle_x, middle_y, width, height = x + row[0], y + row[1], row[2], row[3]
            box = (middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
            points = tuple((x + row[i], y + row[i + 1]) for i in range(4, len(row), 2))
            faces.append((box, points, score))
    return faces


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = area(a) + area(b) - shared
    return shared / union if union > 0 else 0.0


def groups(faces: Sequence[Face], above: float) -> list[list[Face]]:
    """The best face that is left and what overlaps it, until none is left; of equal scores the first is the best."""
    left = sorted(faces, key=lambda face: -face[2])
    found: list[list[Face]] = []
    while left:
        best = left[0]
        group = [face for i, face in enumerate(left) if i == 0 or overlap(best[0], face[0]) > above]
        left = [face for i, face in enumerate(left) if not (i == 0 or overlap(best[0], face[0]) > above)]
        found.append(group)
    return found


def mean(group: Sequence[Face]) -> Face:
    """The group's mean by score, with the best score."""
    total = sum(score for _, _, score in group)

    def of(values: Sequence[float]) -> float:
        return sum(value * score / total for value, (_, _, score) in zip(values, group, strict=True))

    left, top, right, bottom = (of([face[0][i] for face in group]) for i in range(4))
    points = tuple(
        (of([face[1][i][0] for face in group]), of([face[1][i][1] for face in group])) for i in range(len(group[0][1]))
    )
    return (left, top, right, bottom), points, group[0][2]


def pixel_mean(image: NDArray[np.uint8], left: float, top: float, right: float, bottom: float) -> list[float]:
    """The mean colour of a rectangle, pixels that it covers in part counting in part."""
    total, covered = np.zeros(3), 0.0
    for y in range(int(top), min(math.ceil(bottom), image.shape[0])):
        for x in range(int(left), min(math.ceil(right), image.shape[1])):
            part = (min(right, x + 1) - max(left, x)) * (min(bottom, y + 1) - max(top, y))
            total += part * image[y, x].astype(float)
            covered += part
    return [float(value) for value in total / covered]


def crop_corner(box: Box, eyes: tuple[Point, Point], margin: float, u: float, v: float) -> Point:
    """Where place (u, v), each from 0 to 1, of a turned square about a box lies in the frame."""
    side = margin * max(box[2] - box[0], box[3] - box[1])
    angle = math.atan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0])
    x, y = (u - 0.5) * side, (v - 0.5) * side
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return (
        middle[0] + x * math.cos(angle) - y * math.sin(angle),
        middle[1] + x * math.sin(angle) + y * math.cos(angle),
    )
