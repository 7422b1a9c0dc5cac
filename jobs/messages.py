"""Lines for the person at the terminal: never wrapped, never coloured by accident, never read as markup."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, line: str, style: str | None = None) -> None:
    """Prints one line as it is."""
    console.print(line, style=style, soft_wrap=True, highlight=False, markup=False)
