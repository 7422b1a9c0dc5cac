"""Mutants of the text forms: face boxes in JSON, landmarks, the package's own description."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from random import Random

from clip_inputs import landmark_text, sides, squares
from fuzz_base import HEIGHT, WIDTH, FileReader, require_lines
from mutations import mutate_bytes, mutate_json, mutate_numbers

from actors.core.clip import VideoFrames
from actors.core.video_packets import Packets
from jobs.clip.face_boxes import FaceBoxes
from jobs.clip.face_boxes_json import read_boxes
from jobs.clip.landmarks import landmark_files, read_landmarks
from jobs.clip.notes import Notes
from jobs.clip.package_info import check_package_info

_COUNT = 5


class Rects(FileReader):
    """``--rects`` and the folder's JSON files, in both forms."""

    def __init__(self, folder: Path) -> None:
        listed = sides(squares(_COUNT))
        table = {
            str(i): {"rect": box, "original_path": f".\\frames\\{i}.jpg", "roi_320_path": f"C:\\rois\\{i}.png"}
            for i, box in enumerate(listed)
        }
        super().__init__(folder / "squares.json", [json.dumps(form).encode() for form in (table, listed)])

    def mutate(self, content: bytes, chance: Random) -> bytes:
        match chance.randrange(4):
            case 0:
                return mutate_bytes(content, chance)
            case 1:
                return mutate_numbers(content, chance)
            case _:
                return mutate_json(json.loads(content), chance)

    def read(self) -> None:
        notes = Notes()
        path = str(self.path)
        boxes = FaceBoxes(path, read_boxes(path)).for_frames(_COUNT, "the video").checked_inside(WIDTH, HEIGHT, notes)
        assert len(boxes.boxes) == _COUNT
        there = [box for box in boxes.boxes if box is not None]
        assert there
        for box in there:
            corners = (box.x0, box.y0, box.x1, box.y1)
            assert all(type(number) is int for number in corners)
            assert 0 <= box.x0 < box.x1 <= WIDTH, box
            assert 0 <= box.y0 < box.y1 <= HEIGHT, box
        require_lines(notes.warnings)


class Landmarks(FileReader):
    """One damaged file among three."""

    def __init__(self, folder: Path) -> None:
        texts = [landmark_text(box).encode() for box in squares(3)]
        for i, text in enumerate(texts):
            (folder / f"{i}.lms").write_bytes(text)
        floats = texts[1].replace(b"40\n", b"40.25\n").replace(b" ", b"  ").replace(b"\n", b" \r\n")
        super().__init__(folder / "1.lms", [texts[1], floats])
        self.folder = str(folder)

    def mutate(self, content: bytes, chance: Random) -> bytes:
        if chance.random() < 0.6:
            # Three of the points decide; all others only have to be points.
            lines = content.split(b"\n")
            index = chance.choice((1, 31, 52, chance.randrange(len(lines))))
            change = mutate_numbers if chance.random() < 0.6 else mutate_bytes
            lines[index] = change(lines[index], chance)
            return b"\n".join(lines)
        return mutate_bytes(content, chance)

    def read(self) -> None:
        notes = Notes()
        paths, boxes = read_landmarks(self.folder, landmark_files(self.folder))
        placed = FaceBoxes(self.folder, boxes, paths).for_frames(3, "the video").checked_inside(WIDTH, HEIGHT, notes)
        for box in placed.boxes:
            assert box is not None
            assert box.width == box.height
            assert box.inside(WIDTH, HEIGHT)


class PackageInfo(FileReader):
    """``package_info.json``, compared with a video of 25 fps."""

    def __init__(self, folder: Path) -> None:
        described = {
            "package_type": "mp4_video_package",
            "videos": {"full_body_img": {"file": "full_body_video.mp4", "frame_count": 5, "fps": 25.0}, "rois_320": {}},
            "onnx": {"file": "checkpoint/model_best.onnx", "opset": 17, "input_shapes": {"input": [1, 6, 320, 320]}},
        }
        other = {"videos": {"full_body_img": {"frame_count": 6, "fps": 30}}}
        super().__init__(folder / "package_info.json", [json.dumps(info).encode() for info in (described, other)])
        self.folder = str(folder)
        self.frames = VideoFrames(
            path=str(folder / "v.mp4"),
            timestamps=tuple(range(5)),
            places=tuple(range(5)),
            time_base=Fraction(1, 25),
            packets=Packets(0, bytes(40), ()),
            width=WIDTH,
            height=HEIGHT,
            fps=Fraction(25),
        )

    def mutate(self, content: bytes, chance: Random) -> bytes:
        return mutate_bytes(content, chance) if chance.random() < 0.25 else mutate_json(json.loads(content), chance)

    def read(self) -> None:
        notes = Notes()
        check_package_info(self.folder, self.frames, notes)
        require_lines([*notes.found, *notes.warnings])


READERS = {"rects": Rects, "landmarks": Landmarks, "package_info": PackageInfo}
