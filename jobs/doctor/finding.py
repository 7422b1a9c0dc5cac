"""One thing that was looked at: whether it will do, and what to do where it will not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing.

    Attributes:
        subject: what was looked at.
        level: how bad it is.
        text: what was found.
        fix: what to do about it; empty where all is well.
    """

    subject: str
    level: Level
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}{f'; {self.fix}' if self.fix else ''}"


def ok(subject: str, text: str) -> Finding:
    """A thing that will do."""
    return Finding(subject, Level.OK, text)


def warning(subject: str, text: str, fix: str) -> Finding:
    """A thing that will do, but not well, or not for everything."""
    return Finding(subject, Level.WARNING, text, fix)


def error(subject: str, text: str, fix: str) -> Finding:
    """A thing that will not do."""
    return Finding(subject, Level.ERROR, text, fix)


def count(findings: Iterable[Finding]) -> dict[Level, int]:
    """How many of each level."""
    levels = [one.level for one in findings]
    return {level: levels.count(level) for level in Level}
