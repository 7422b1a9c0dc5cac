"""``batch``: renders many clips."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal, get_type_hints

import typer

from jobs.batch.batch_command import BatchOptions, render_batch
from jobs.batch.manifest_source import manifest_of
from jobs.batch.policy import Policy
from jobs.commands.composite import INPUT, composite, given_flags
from jobs.console import terminal
from jobs.inputs.options import CompositeOptions
from jobs.inputs.options_file import read_config
from jobs.report.batch_page import write_batch_report

BATCH = "Batch"

Clips = Annotated[
    list[str] | None,
    typer.Argument(help="Manifest (.jsonl, .csv or .parquet, - for JSON Lines on standard input), or recordings."),
]
Clip = Annotated[str | None, typer.Option(help="Clip of every row that names none.", rich_help_panel=INPUT)]
Out = Annotated[str | None, typer.Option(help="Folder of the batch, new or to go on with; required.")]
OnError = Annotated[
    Literal["continue", "stop"],
    typer.Option(help="What a clip that fails does to the others.", rich_help_panel=BATCH),
]
MaxFailed = Annotated[
    int | None, typer.Option(min=0, help="Stop when more clips than that have failed.", rich_help_panel=BATCH)
]
Restart = Annotated[
    list[str] | None,
    typer.Option(metavar="ID", help="Begin this clip anew; may be given several times.", rich_help_panel=BATCH),
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Compare the files of clips that are done, too.", rich_help_panel=BATCH)
]


def batch(context: typer.Context, **_: Any) -> int:  # noqa: ANN401 - its parameters are those of `_parameters`
    """Render the clips that a manifest names: one run folder for each row, one table and one page for all.

    Exit code 0: every frame of every clip is there. 1: some clips or frames failed, each is named. 2: the manifest is
    wrong, or every row is, nothing written. 3: stopped, the same command goes on. 130: interrupted, likewise.
    """
    own = {name: context.params.pop(name) for name in ("clips", "on_error", "max_failed", "restart", "verify")}
    config = context.params.get("config")
    flags = given_flags(context)
    values = {**({} if config is None else read_config(config, CompositeOptions.model_fields)), **flags}
    named = manifest_of(own["clips"] or [], clip="clip" in values)
    out = values.pop("out", None)
    if out is None:
        raise typer.BadParameter("must be given", context, param_hint="--out")
    most = 0 if own["on_error"] == "stop" else own["max_failed"]
    options = BatchOptions(named, out, values, Policy(most), frozenset(own["restart"] or ()), own["verify"])
    return int(render_batch(options, terminal(), write_batch_report))


def _parameters() -> list[inspect.Parameter]:
    """Those of a batch, and those of `composite` that are no batch's own."""
    hints = get_type_hints(composite, include_extras=True)
    theirs = inspect.signature(composite).parameters.values()
    own = {"clips": (Clips, None), "clip": (Clip, None), "out": (Out, None)}
    later = {
        "on_error": (OnError, "continue"),
        "max_failed": (MaxFailed, None),
        "restart": (Restart, None),
        "verify": (Verify, False),
    }
    taken = {"context", *own, *later}
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter("context", kind, annotation=typer.Context),
        *(inspect.Parameter(name, kind, default=value, annotation=hint) for name, (hint, value) in own.items()),
        *(
            inspect.Parameter(one.name, kind, default=one.default, annotation=hints[one.name])
            for one in theirs
            if one.name not in taken
        ),
        *(inspect.Parameter(name, kind, default=value, annotation=hint) for name, (hint, value) in later.items()),
    ]


# Typer reads a function's parameters from here.
vars(batch)["__signature__"] = inspect.Signature(_parameters(), return_annotation=int)
batch.__annotations__ = {one.name: one.annotation for one in _parameters()}
