"""Tracks and gaps by their definitions, face by face and frame by frame; imports nothing of ours."""

from __future__ import annotations

Box = tuple[float, ...]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    columns = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    rows = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = columns * rows
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both) if both else 0.0


def tracks(faces: list[tuple[int, Box]], cuts: list[int], frames: int) -> list[list[int]]:
    """Places in ``faces`` (frame and box of each, in the order of frames), track by track, largest first."""
    linked: list[list[int]] = []
    for frame in range(frames):
        shot = max((cut for cut in cuts if cut <= frame), default=0)
        rows = [row for row, (when, _) in enumerate(faces) if when == frame]
        here = [track for track in linked if faces[track[0]][0] >= shot]
        for seen_lately in (True, False):
            taking = [track for track in here if (frame - faces[track[-1]][0] <= 5) is seen_lately]
            while True:
                best, pair = -1.0, None
                for track in sorted(taking, key=lambda track: track[0]):
                    last_frame, last = faces[track[-1]]
                    place = last
                    if seen_lately:
                        past = [faces[row] for row in track if last_frame - faces[row][0] <= 5]
                        then, first = past[0]
                        steps = (frame - last_frame) / (last_frame - then) if len(past) > 1 else 0.0
                        right = (last[0] + last[2] - first[0] - first[2]) / 2 * steps
                        down = (last[1] + last[3] - first[1] - first[3]) / 2 * steps
                        place = (last[0] + right, last[1] + down, last[2] + right, last[3] + down)
                    for row in rows:
                        box = faces[row][1]
                        heights = (place[3] - place[1], box[3] - box[1])
                        size = min(heights) / max(heights)
                        common = overlap(place, box)
                        if common >= (0.2 if seen_lately else 0.3) and size >= 0.6 and common * size > best:
                            best, pair = common * size, (track, row)
                if pair is None:
                    break
                pair[0].append(pair[1])
                taking = [track for track in taking if track is not pair[0]]
                rows.remove(pair[1])
            here = [track for track in here if faces[track[-1]][0] != frame]
        linked += [[row] for row in rows]

    def pixels(track: list[int]) -> float:
        return sum((b[2] - b[0]) * (b[3] - b[1]) for b in (faces[row][1] for row in track))

    return sorted(linked, key=lambda track: (-pixels(track), track[0]))


def filled(
    values: list[float | None], tracks_of: list[int], times: list[float], gap: float
) -> list[tuple[str, float | None]]:
    """How each frame's value came about, and the value: given (not None), between two given ones, or none."""
    made: list[tuple[str, float | None]] = []
    for frame, value in enumerate(values):
        if value is not None:
            made.append(("detected", value))
            continue
        before = [i for i in range(frame) if values[i] is not None]
        after = [i for i in range(frame + 1, len(values)) if values[i] is not None]
        made.append(("none", None))
        if before and after:
            a, b = before[-1], after[0]
            start, stop = values[a], values[b]
            if (
                tracks_of[a] == tracks_of[b]
                and times[b] - times[a + 1] <= gap
                and start is not None
                and stop is not None
            ):
                share = (times[frame] - times[a]) / (times[b] - times[a])
                made[-1] = ("interpolated", start + (stop - start) * share)
    return made
