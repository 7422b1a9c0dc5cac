"""Mutants of what a run leaves: its record, and the fragments of its table of timings."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from fuzz_base import FileReader
from made_run import BEGAN, DIED, DIED_1, one_range, record, write_run
from mutations import mutate_bytes, mutate_json

from actors.core.errors import InputError
from jobs.report.page import render_page
from jobs.report.run_data import read_run
from jobs.run.verification import verify_run

_COUNT = 12


class Run(FileReader):
    """A run's folder of which one file is damaged: it is verified, and its report is made."""

    def __init__(self, folder: Path, name: str) -> None:
        failures = [{"frame": 3, "reason": "NaN"}]
        said = record(_COUNT, deaths=[DIED], retried=[[0, 3]], failures=failures)
        before = record(_COUNT, version=1, deaths=[DIED_1], retried=["0:3"], failures=failures)
        write_run(folder / "run", one_range(0, _COUNT, BEGAN), said)
        path = folder / "run" / name
        contents = [path.read_bytes(), *([json.dumps(before).encode()] if name == "run.json" else [])]
        super().__init__(path, contents, folder / "run", folder / "run" / "timings")
        self.out = str(folder / "run")

    def read(self) -> None:
        verdict = verify_run(self.out)
        assert 0 <= verdict.intact <= verdict.expected
        page = render_page(read_run(self.out))
        assert len(page.encode()) < 4 << 20


class Record(Run):
    """``run.json``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "run.json")

    def mutate(self, content: bytes, chance: Random) -> bytes:
        return mutate_bytes(content, chance) if chance.random() < 0.2 else mutate_json(json.loads(content), chance)


class Fragment(Run):
    """A fragment of ``timings/``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"timings/{0:09d}-{_COUNT:09d}.parquet")

    def mutate(self, content: bytes, chance: Random) -> bytes:
        # The footer decides how everything before it is read.
        tail = len(content) // 3
        if chance.random() < 0.5:
            return content[:-tail] + mutate_bytes(content[-tail:], chance)
        return mutate_bytes(content, chance)

    def read(self) -> None:
        verdict = verify_run(self.out)
        if f"{self.path} is no fragment" in " ".join(verdict.damaged):
            raise InputError(str(self.path), "counts for nothing", "render its frames again")
        super().read()


READERS = {"record": Record, "fragment": Fragment}
