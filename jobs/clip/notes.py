"""What a reader reports besides its result: recognised files and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Notes:
    """Lines collected while one clip is read.

    Attributes:
        found: what was recognised, and what was passed over and why.
        warnings: what the user should know before trusting the result.
    """

    found: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def recognised(self, name: str, what: str) -> None:
        """Notes that ``name`` is used as ``what``."""
        self.found.append(f"{name}: {what}")

    def passed_over(self, name: str, reason: str) -> None:
        """Notes that ``name`` was seen and is not used."""
        self.found.append(f"{name}: passed over, {reason}")

    def warn(self, name: str, what: str) -> None:
        """Adds a warning about ``name``."""
        self.warnings.append(f"{name}: {what}")
