"""The command line: ``python -m jobs``, or ``mouthpiece`` once installed."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from actors.core.errors import ExitCode
from jobs.clock import process_start
from jobs.console import outlive_listeners, say, terminal
from jobs.process.interrupts import end_now, handle_signals, ray_hangs
from jobs.process.refusals import refusal

# In the order of the help. Each is the function of its own name in the module of that name in `jobs.commands`.
COMMANDS = (
    "composite",
    "batch",
    "prepare",
    "inspect",
    "kinds",
    "verify",
    "tune",
    "report",
    "features",
    "demo",
    "doctor",
    "soak",
    "simulate",
    "benchmark",
)


def application(commands: Sequence[str]) -> typer.Typer:
    """The command line with these commands; a command costs the time of importing what it needs."""
    app = typer.Typer(
        name="mouthpiece",
        help="Renders lip-sync clips: background frames, face boxes, audio features and an ONNX network become "
        "finished frames, a video with sound and a table of timings.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    # Otherwise a single command would be taken for the whole program and lose its name.
    app.callback()(lambda: None)
    for name in commands:
        app.command(name)(getattr(importlib.import_module(f"jobs.commands.{name}"), name))
    return app


@cache
def _command(names: Sequence[str]) -> Any:  # noqa: ANN401 - Typer's own copy of Click
    return typer.main.get_command(application(names))


def run(arguments: list[str], begin: Callable[[], None] = lambda: None, started: float | None = None) -> int:
    """Runs a command; a user's mistake is one line and an exit code, a bug a traceback.

    Args:
        arguments: those of the command line.
        begin: called once everything is loaded.
        started: when the command began, on `time.perf_counter`; ``None`` for now. Commands find it in their context.
    """
    started = time.perf_counter() if started is None else started
    errors = terminal(stderr=True)
    asked = tuple(name for name in arguments[:1] if name in COMMANDS)
    try:
        command = _command(asked or COMMANDS)
        begin()
        code = int(command(arguments or ["--help"], obj=started, standalone_mode=False) or 0)
    except typer.TyperException as error:
        say(errors, f"error: {_in_words(error)}; see --help", style="red")
        return ExitCode.BAD_INPUT
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        # Typer takes any broken pipe for that of standard output, and says that frames failed.
        traceback.print_exc()
        return ExitCode.STOPPED
    except KeyboardInterrupt:
        # Before or after Typer, which turns an interrupt into this code by itself.
        code = int(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - what is no refusal is a bug
        told = refusal(error)
        if told is None:
            # None of the other codes would be true, and what is finished stays valid.
            traceback.print_exc()
            return ExitCode.STOPPED
        line, refused = told
        say(errors, line, style="red")
        return refused
    if code == ExitCode.INTERRUPTED:
        say(errors, "interrupted; the same command goes on from here")
    return code


def _in_words(error: typer.TyperException) -> str:
    """What is wrong with a command line; with the value of an option, in the words of `jobs.inputs.options`."""
    if isinstance(error, typer.BadParameter) and error.param is not None and error.param.name is not None:
        # Importing them takes a quarter of a second, which `kinds` does without.
        from jobs.inputs.option_words import must_be  # noqa: PLC0415
        from jobs.inputs.options import CompositeOptions  # noqa: PLC0415

        name = error.param.name.removesuffix("_")
        field = CompositeOptions.model_fields.get(name)
        command = None if error.ctx is None else error.ctx.command.callback
        if type(error) is typer.BadParameter and command is not None:
            declared = _declared(command, error.param.name)
            # Of several commands' options of one name a list of choices is each command's own.
            words = declared if field is None or "one of" in declared else must_be(name, field)
            return f"--{name.replace('_', '-')}: {words}"
    return error.format_message().rstrip(".")


def _declared(command: Callable[..., Any], name: str) -> str:
    """What the value of a command's own parameter has to be, by its declaration."""
    from jobs.inputs.option_words import of_kind  # noqa: PLC0415 - see `_in_words`

    annotation = get_type_hints(command, include_extras=True)[name]
    told, *more = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    while get_args(told):
        told = get_args(told)[0]
    limits = {"ge": getattr(more[0], "min", None), "le": getattr(more[0], "max", None)} if more else {}
    return of_kind(told, {bound: limit for bound, limit in limits.items() if limit is not None})


def main() -> None:
    """The installed command."""
    outlive_listeners()
    with handle_signals() as answers:
        code = run(sys.argv[1:], answers.begin, process_start())
        if ray_hangs():
            sys.stdout.flush()
            end_now(code, b"")
    sys.exit(code)


if __name__ == "__main__":
    main()
