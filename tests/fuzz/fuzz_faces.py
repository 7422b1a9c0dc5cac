"""Mutants of what is left of a search for faces: its record, and what was found on a range of frames."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from fuzz_base import FileReader
from made_up_faces import made_up
from mutations import mutate_bytes, mutate_json

from actors.core.choices import Covered, FaceRule
from actors.core.errors import InputError
from jobs.faces.detections_file import to_parquet
from jobs.faces.dubbing import FaceRules
from jobs.faces.found_so_far import read_faces
from jobs.faces.prepared_folder import FacesRecord, FootageRecord, PreparedFolder, RulesRecord
from jobs.faces.verification import verify_faces

_COUNT = 12


class Prepared(FileReader):
    """A prepared folder of which one file is damaged: it is verified, and what was found is read."""

    def __init__(self, folder: Path, name: str) -> None:
        footage = FootageRecord(name="v.mp4", digest="0" * 32, frames=_COUNT, width=320, height=180, fps="25")
        rules = RulesRecord.of(FaceRules(FaceRule.LEFT, 0.2, Covered.RENDER))
        self.folder = PreparedFolder.at(str(folder / "faces"))
        self.folder.begin(FacesRecord(footage=footage, finder="f" * 64, rules=rules))
        self.folder.keep(made_up([1, 0, 2] * (_COUNT // 3)))
        path = folder / "faces" / name
        super().__init__(path, [path.read_bytes()], folder / "faces", folder / "faces" / "detections")

    def read(self) -> None:
        verdict = verify_faces(self.folder)
        assert 0 <= verdict.searched <= verdict.expected
        if verdict.damaged:
            raise InputError(str(self.path), "counts for nothing", "search its frames again")
        read_faces(self.folder)


class Record(Prepared):
    """``faces.json``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "faces.json")

    def mutate(self, content: bytes, chance: Random) -> bytes:
        if chance.random() < 0.2:
            # What is not declared is kept and ignored.
            return json.dumps({**json.loads(content), "later": chance.random()}).encode()
        return mutate_bytes(content, chance) if chance.random() < 0.2 else mutate_json(json.loads(content), chance)


class Detections(Prepared):
    """A file of ``detections/``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"detections/{0:09d}-{_COUNT:09d}.parquet")

    def mutate(self, content: bytes, chance: Random) -> bytes:
        if chance.random() < 0.2:
            return to_parquet(made_up([chance.randrange(4) for _ in range(_COUNT)]))
        # The footer decides how everything before it is read.
        tail = len(content) // 3
        if chance.random() < 0.5:
            return content[:-tail] + mutate_bytes(content[-tail:], chance)
        return mutate_bytes(content, chance)


READERS = {"faces": Record, "detections": Detections}
