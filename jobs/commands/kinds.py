"""``kinds``: the networks that can be rendered with."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from actors.core.choices import AudioSource
from actors.core.errors import ExitCode
from actors.core.kind import ModelKind
from actors.kinds import all_kinds
from jobs.console import show, terminal

WIDTH = 140

AUDIO_SOURCES = {AudioSource.FEATURES: "{}", AudioSource.ENCODER: "{} or encoder", AudioSource.MEL: "recording"}


def kinds() -> int:
    """List every kind of network: what it takes, its audio source, and how its pictures go back."""
    table = Table(title="kinds of networks", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("kind", "picture", "order", "audio", "audio source", "fps", "crop", "filters", "loop"):
        table.add_column(column, no_wrap=True)
    for kind in all_kinds():
        table.add_row(*_row(kind))
    # As wide as it is: a table that is cut or wrapped cannot be read.
    show(terminal(width=WIDTH), table)
    return int(ExitCode.COMPLETE)


def _row(kind: ModelKind) -> tuple[str, ...]:
    row = ", ".join(map(str, ("T", *kind.feature)))
    return (
        kind.name,
        _sides(kind.planes),
        "masked, whole" if kind.masked_first else "whole, masked",
        _sides(kind.audio),
        AUDIO_SOURCES[kind.audio_source].format(f"({row})"),
        str(kind.fps),
        f"{kind.crop}{'' if kind.square else ', any shape'}",
        " and ".join(dict.fromkeys((kind.crop_filter.value, kind.paste_filter.value))),
        kind.loop.value,
    )


def _sides(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
