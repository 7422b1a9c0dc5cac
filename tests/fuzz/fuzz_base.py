"""What every fuzzed reader has: undamaged seeds, a way to write a mutant, and a reading that checks its own result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random

WIDTH, HEIGHT = 64, 48


class Reader(ABC):
    """One reader and the files it is fed.

    Attributes:
        seeds: how many undamaged inputs there are; each must be accepted.
        subjects: what a refusal may be about.
    """

    seeds: int
    subjects: frozenset[str]

    @abstractmethod
    def write_seed(self, seed: int) -> None:
        """Puts an undamaged input in place."""

    @abstractmethod
    def write(self, chance: Random) -> None:
        """Puts a mutant in place."""

    @abstractmethod
    def read(self) -> None:
        """Reads what is in place; an `AssertionError` says that the result cannot be right."""


class FileReader(Reader):
    """A reader of one file whose mutants are made from the contents of undamaged files."""

    def __init__(self, path: Path, contents: list[bytes], *others: Path) -> None:
        self.path = path
        self.contents = contents
        self.seeds = len(contents)
        self.subjects = frozenset(map(str, (path, *others)))

    @abstractmethod
    def mutate(self, content: bytes, chance: Random) -> bytes:
        """A damaged ``content``."""

    def write_seed(self, seed: int) -> None:
        self.path.write_bytes(self.contents[seed])

    def write(self, chance: Random) -> None:
        self.path.write_bytes(self.mutate(chance.choice(self.contents), chance))


def require_lines(lines: list[str]) -> None:
    """What a reader tells beside its result goes to the terminal too."""
    for line in lines:
        assert line.isprintable(), f"unprintable note {line[:200]!r}"
        assert len(line) <= 600, f"long note, {len(line)} characters, {line[:200]!r}"
