"""When a batch is given up because of clips that fail. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """How many clips may fail.

    Attributes:
        most_failed: so many; ``None``: any number.
    """

    most_failed: int | None = None

    def reason(self, failed: int) -> str | None:
        """Why the batch stops when so many have failed; ``None`` where it goes on."""
        if self.most_failed is None or failed <= self.most_failed:
            return None
        return f"{failed} clips have failed, and {self.most_failed} may"
