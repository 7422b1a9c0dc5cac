"""How a square is laid on its frame, slow and obvious: the oracle of blending, colours, smoothed squares and the seam.

It goes with `reference` and imports nothing of this project either. Geometry in words: pixel i of a row reaches from i
to i + 1 and has its centre at i + 0.5. Images are (height, width, 3) uint8 in BGR order; squares are (x0, y0, x1, y1)
in pixels, half-open, whole numbers (`Rect`) or not (`Box`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import reference
from numpy.typing import NDArray
from reference import Floats, Image, Rect

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shape:
    """Of a crop of ``crop`` px, the network sees ``side`` px behind a border, and ``black`` of these are masked."""

    crop: int
    border: int
    side: int
    black: Rect


# 328, then [4:324], black is x 5, y 5, width 310, height 305.
UNET = Shape(328, 4, 320, (5, 5, 315, 310))
# No border, the lower half is black.
WAV2LIP = Shape(96, 0, 96, (0, 48, 96, 96))


# Feather


def axis_weight(place: float, side: int, first: int, last: int) -> float:
    """The weight at a place along one axis of what the network sees, of which first .. last is masked.

    It climbs in a straight line in the margin before the mask, at most side / 16 long, and falls in that behind it;
    where there is no margin, the line begins at the edge and lies in the mask.
    """
    longest = side / 16
    weights = [1.0]
    for distance, margin in ((place, first), (side - place, side - last)):
        start, stop = (margin - min(margin, longest), margin) if margin else (0.0, longest)
        weights.append(min(1.0, max(0.0, (distance - start) / (stop - start))))
    return min(weights)


def feather(shape: Shape, box: Box) -> NDArray[np.uint8]:
    """Weights of 255 for the pixels whose centres lie in the box."""
    x0, y0, x1, y1 = pixels_of(box)
    left, top, right, bottom = shape.black
    across = [(column + 0.5 - box[0]) * shape.crop / (box[2] - box[0]) - shape.border for column in range(x0, x1)]
    down = [(row + 0.5 - box[1]) * shape.crop / (box[3] - box[1]) - shape.border for row in range(y0, y1)]
    columns = [axis_weight(u, shape.side, left, right) for u in across]
    rows = [axis_weight(v, shape.side, top, bottom) for v in down]
    return np.array([[round(255 * (x * y)) for x in columns] for y in rows], np.uint8)


def mix(original: Image, square: Image, weights: NDArray[np.uint8]) -> Image:
    """Each pixel by its weight, rounded to the nearest level."""
    share = weights[:, :, np.newaxis] / 255
    return np.floor(original * (1 - share) + square * share + 0.5).astype(np.uint8)


def keep_parsed(weights: NDArray[np.uint8], parsing: Image) -> NDArray[np.uint8]:
    """Weight 0 where the parsing is red or white."""
    kept = weights.copy()
    for row, line in enumerate(parsing.tolist()):
        for column, colour in enumerate(line):
            if colour in ([0, 0, 255], [255, 255, 255]):
                kept[row, column] = 0
    return kept


# Colours


def fit_colours(shape: Shape, inner: Image, painted: Image) -> list[tuple[float, float]]:
    """Gain and offset of each channel, from every second pixel that is seen and not masked.

    They are counted above the mask, below it, left of it and right of it.
    """
    left, top, right, bottom = shape.black
    side = shape.side
    strips = [(0, 0, side, top), (0, bottom, side, side), (0, top, left, bottom), (right, top, side, bottom)]
    places = [(y, x) for x0, y0, x1, y1 in strips for y in range(y0, y1) for x in range(x0, x1)][::2]
    lines = []
    for channel in range(3):
        pairs = [(int(painted[y, x, channel]), int(inner[y, x, channel])) for y, x in places]
        middle = lower_median([y - x for x, y in pairs])
        gain, offset = line_through(without_outliers(pairs, [abs(y - x - middle) for x, y in pairs]))
        lines.append(line_through(without_outliers(pairs, [abs(y - (gain * x + offset)) for x, y in pairs])))
    return lines


def without_outliers(pairs: list[tuple[int, int]], away: list[float]) -> list[tuple[int, int]]:
    """The pairs that are off by no more than three times the median and two levels."""
    limit = 3 * lower_median(away) + 2
    return [pair for pair, distance in zip(pairs, away, strict=True) if distance <= limit]


def lower_median(values: Sequence[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]


def line_through(pairs: list[tuple[int, int]]) -> tuple[float, float]:
    """Least squares, with 16 levels squared of variance taken for granted, and a slope within 0.8 and 1.25."""
    mean_x, mean_y = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    variance = sum(x * x for x, _ in pairs) / len(pairs) - mean_x**2
    covariance = sum(x * y for x, y in pairs) / len(pairs) - mean_x * mean_y
    gain = min(1.25, max(0.8, (covariance + 16) / (variance + 16)))
    return gain, mean_y - gain * mean_x


def smooth_fits(fits: dict[int, list[tuple[float, float]]], t: int) -> list[tuple[float, float]]:
    """1 4 6 4 1 over the frames around t, of those that there are."""
    weights = {-2: 1, -1: 4, 0: 6, 1: 4, 2: 1}
    near = [(weight, fits[t + step]) for step, weight in weights.items() if t + step in fits]
    whole = sum(weight for weight, _ in near)
    lines = []
    for channel in range(3):
        gain, offset = (sum(weight * fit[channel][i] for weight, fit in near) / whole for i in (0, 1))
        lines.append((gain, offset))
    return lines


def recolour(painted: Image, lines: list[tuple[float, float]]) -> Image:
    """Gain and offset, rounded, within 0 .. 255."""
    image = np.zeros_like(painted)
    for channel, (gain, offset) in enumerate(lines):
        levels = np.rint(painted[:, :, channel].astype(np.float64) * gain + offset)
        image[:, :, channel] = np.clip(levels, 0, 255)
    return image


# Squares without jitter


def smooth_with_gaps(rects: Sequence[Rect | None], width: int, height: int) -> list[Box | None]:
    """Smoothed squares; what lies between two frames without a face is smoothed by itself."""
    boxes: list[Box | None] = []
    run: list[Rect] = []
    for rect in [*rects, None]:
        if rect is not None:
            run.append(rect)
            continue
        boxes += smooth_boxes(run, width, height) if run else []
        boxes.append(None)
        run = []
    return boxes[:-1]


def smooth_boxes(rects: Sequence[Rect], width: int, height: int) -> list[Box]:
    """Centre, top and sides on the parabola through the 11 squares around each; parts between cuts by themselves."""
    parts: list[list[Rect]] = [[rects[0]]]
    for before, after in pairwise(rects):
        moved = abs(after[0] + after[2] - before[0] - before[2]) / 2, abs(after[1] - before[1])
        grown = abs((after[2] - after[0]) - (before[2] - before[0]))
        if max(*moved, grown) > max(before[2] - before[0], after[2] - after[0]) / 4:
            parts.append([])
        parts[-1].append(after)
    boxes = []
    for part in parts:
        curves = [
            smooth_curve(values)
            for values in (
                [(x0 + x1) / 2 for x0, _, x1, _ in part],
                [float(y0) for _, y0, _, _ in part],
                [float(x1 - x0) for x0, _, x1, _ in part],
                [float(y1 - y0) for _, y0, _, y1 in part],
            )
        ]
        for centre, top, wide, high in zip(*curves, strict=True):
            w, h = fraction(min(max(wide, 1.0), width)), fraction(min(max(high, 1.0), height))
            x0 = min(max(fraction(centre - w / 2), 0.0), width - w)
            y0 = min(max(fraction(top), 0.0), height - h)
            boxes.append((x0, y0, x0 + w, y0 + h))
    return boxes


def smooth_curve(values: list[float]) -> list[float]:
    count = min(11, len(values))
    smooth = []
    for i in range(len(values)):
        start = min(max(i - count // 2, 0), len(values) - count)
        places = [k - i for k in range(start, start + count)]
        fitted = np.polynomial.Polynomial.fit(places, values[start : start + count], min(2, count - 1))
        smooth.append(float(fitted(0)))
    return smooth


def fraction(place: float) -> float:
    """To 1/256 of a pixel."""
    return round(place * 256) / 256


def pixels_of(box: Box) -> Rect:
    """The pixels whose centres lie in the box."""
    x0, y0, x1, y1 = (math.ceil(edge - 0.5) for edge in box)
    return (x0, y0, x1, y1)


def sample(image: Image, rows: list[float], columns: list[float]) -> Image:
    """The image at places measured from its upper left corner, by Keys' cubic with a = -0.75, edges repeated."""
    across, down = (cubic_matrix(places, size) for places, size in ((columns, image.shape[1]), (rows, image.shape[0])))
    levels = np.einsum("yi,ijc,xj->yxc", down, image.astype(np.float64), across, optimize=True)
    return np.asarray(np.clip(np.floor(levels + 0.5), 0, 255), np.uint8)


def cubic_matrix(places: list[float], size: int) -> NDArray[np.float64]:
    matrix = np.zeros((len(places), size))
    for row, place in enumerate(places):
        first = math.floor(place - 0.5) - 1
        for tap in range(first, first + 4):
            d = abs(place - 0.5 - tap)
            a = -0.75
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
            matrix[row, min(max(tap, 0), size - 1)] += near if d <= 1 else far if d < 2 else 0.0
    return matrix


def crop_box(shape: Shape, frame: Image, box: Box) -> Image:
    """The box as a crop."""
    x0, y0, x1, y1 = pixels_of(box)
    columns = [box[0] - x0 + (i + 0.5) * (box[2] - box[0]) / shape.crop for i in range(shape.crop)]
    rows = [box[1] - y0 + (i + 0.5) * (box[3] - box[1]) / shape.crop for i in range(shape.crop)]
    return sample(frame[y0:y1, x0:x1], rows, columns)


def paste_box(shape: Shape, face: Image, box: Box) -> Image:
    """A crop as the pixels whose centres lie in the box."""
    x0, y0, x1, y1 = pixels_of(box)
    columns = [(i + 0.5 - box[0]) * shape.crop / (box[2] - box[0]) for i in range(x0, x1)]
    rows = [(i + 0.5 - box[1]) * shape.crop / (box[3] - box[1]) for i in range(y0, y1)]
    return sample(face, rows, columns)


# The seam


def seam(shape: Shape, before: Image, after: Image, box: Box) -> tuple[float, str]:
    """The largest ratio of ratios over the sides of the square, of what the network sees, and of the mask."""
    x0, y0, x1, y1 = pixels_of(box)
    length = min(x1 - x0, y1 - y0)
    segments = max(1, length // 8)
    size = length // segments
    worst = (0.0, "")
    for name, sides in edges_of(shape, box).items():
        for i, place in enumerate(sides):
            # Lines between columns are looked at as they are, those between rows with the picture turned.
            turned = i % 2 == 1
            pictures = [picture.transpose(1, 0, 2) if turned else picture for picture in (before, after)]
            if not 2 <= place <= pictures[0].shape[1] - 2:
                continue
            along = (x0, x1) if turned else (y0, y1)
            from_, to = (sides[0], sides[2]) if turned else (sides[1], sides[3])
            first = along[0] + (along[1] - along[0] - segments * size) // 2
            starts = [first + size * k for k in range(segments)]
            inside = [start for start in starts if from_ <= start and start + size <= to]
            if not inside:
                middle = (from_ + to - 2 * along[0]) // 2 - (first - along[0])
                inside = [starts[min(max(middle // size, 0), segments - 1)]]
            own, found = (
                line_ratio([picture[start : start + size, place - 2 : place + 2] for start in inside])
                for picture in pictures
            )
            if found / own > worst[0]:
                worst = (found / own, name)
    return worst


def edges_of(shape: Shape, box: Box) -> dict[str, tuple[int, int, int, int]]:
    """Left, top, right, bottom of the three rectangles on the frame, each at the nearest line between its pixels."""
    scale = (box[2] - box[0]) / shape.crop, (box[3] - box[1]) / shape.crop
    edges = {"square": pixels_of(box)}
    for name, sides in {"inner": (0, 0, shape.side, shape.side), "mask": shape.black}.items():
        places = [math.floor(box[i % 2] + (shape.border + side) * scale[i % 2] + 0.5) for i, side in enumerate(sides)]
        last = edges["square"][2:]
        edges[name] = (places[0], places[1], min(places[2], last[0]), min(places[3], last[1]))
    return edges


def line_ratio(parts: list[Image]) -> float:
    """Of four columns of pixels, in segments: the step in the middle against those beside it, each with one level."""
    means = [part.astype(np.float64).mean(axis=0) for part in parts]
    steps = [float(np.mean([np.abs(mean[i + 1] - mean[i]).mean() for mean in means])) for i in range(3)]
    return (steps[1] + 1) / ((steps[0] + steps[2]) / 2 + 1)


# All of it


def face_shares(has_face: Sequence[bool], fps: int) -> list[int]:
    """How much of the rendered face each output frame shows, in 255ths: it comes back evenly within 0.16 s of a gap."""
    steps = round(0.16 * fps)
    gaps = [t for t, there in enumerate(has_face) if not there]
    return [round(255 * min([steps, *(abs(t - gap) for gap in gaps)]) / steps) for t in range(len(has_face))]


@dataclass(frozen=True)
class Mode:
    """What is asked for besides the hard paste."""

    feather: bool = False
    colour: bool = False
    smooth: bool = False
    parsing: tuple[Image, ...] | None = None


def render(
    frames: Sequence[Image],
    rects: Sequence[Rect | None],
    features: Floats,
    model_path: Path,
    mode: Mode,
    *,
    start: int,
    stop: int,
    shares: Sequence[int] | None = None,
) -> Iterator[tuple[int, Image, tuple[float, str]]]:
    """Render output frames start .. stop-1 of a UNet-328 in bounce order: number, picture and seam of each.

    Frames whose rect is None, and those of share 0, show the background alone; the seam of the former is (0, "").
    """
    session = reference.open_session(model_path)
    boxes: list[Box | None] = [*rects]
    if mode.smooth:
        boxes = smooth_with_gaps(rects, frames[0].shape[1], frames[0].shape[0])
    inside = slice(UNET.border, UNET.border + UNET.side)
    crops, painted, fits = {}, {}, {}
    for t in range(max(0, start - 2), min(stop + 2, len(features))):
        index = reference.bounce(t, len(frames))
        rect, box = rects[index], boxes[index]
        if rect is None or box is None or (shares and not shares[t]):
            continue
        if mode.smooth:
            crop = crop_box(UNET, frames[index], box)
            planes, _ = reference.network_input(crop, (0, 0, UNET.crop, UNET.crop), "cubic")
        else:
            planes, crop = reference.network_input(frames[index], rect, "cubic")
        try:
            answer = reference.predict(session, planes, reference.audio_window(features, t))
            painted[t] = reference.to_levels(answer)
        except ValueError:
            continue
        crops[t] = crop
        if mode.colour:
            fits[t] = fit_colours(UNET, crop[inside, inside], painted[t])
    for t in range(start, stop):
        index = reference.bounce(t, len(frames))
        box = boxes[index]
        share = 255 if shares is None else shares[t]
        if box is None or not share:
            yield t, frames[index].copy(), (0.0 if box is None else 1.0, "")
            continue
        if t not in painted:
            continue
        face = crops[t].copy()
        face[inside, inside] = recolour(painted[t], smooth_fits(fits, t)) if mode.colour else painted[t]
        parsing = None if mode.parsing is None else mode.parsing[index]
        yield t, *finish(frames[index], face, box, mode, parsing, share)


def finish(
    frame: Image, face: Image, box: Box, mode: Mode, parsing: Image | None, share: int
) -> tuple[Image, tuple[float, str]]:
    """Lay a finished crop on its frame, show so many 255ths of it, and look at its edges."""
    x0, y0, x1, y1 = pixels_of(box)
    resized = cv2.resize(face, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    square = paste_box(UNET, face, box) if mode.smooth else np.asarray(resized, np.uint8)
    weights = feather(UNET, box) if mode.feather else np.full(square.shape[:2], 255, np.uint8)
    if parsing is not None:
        weights = keep_parsed(weights, parsing[y0:y1, x0:x1])
    result = frame.copy()
    result[y0:y1, x0:x1] = mix(frame[y0:y1, x0:x1], square, weights)
    result[y0:y1, x0:x1] = mix(frame[y0:y1, x0:x1], result[y0:y1, x0:x1], np.full_like(weights, share))
    return result, seam(UNET, frame, result, box)
