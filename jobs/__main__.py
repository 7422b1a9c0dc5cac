"""The command line: ``python -m jobs``, or ``mouthpiece`` once installed."""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import typer

from actors.core.errors import ExitCode
from jobs.messages import outlive_listeners, say, terminal
from jobs.refusals import refusal

# In the order of the help. Each is the function of its own name in the module of that name in `jobs.commands`.
COMMANDS = (
    "composite",
    "inspect",
    "kinds",
    "verify",
    "tune",
    "report",
    "features",
    "demo",
    "soak",
    "simulate",
    "benchmark",
)


def application(commands: Sequence[str]) -> typer.Typer:
    """The command line with these commands; a command costs the time of importing what it needs."""
    app = typer.Typer(
        name="mouthpiece",
        help="Renders lip-sync clips: background frames, face squares, audio features and an ONNX network become "
        "finished frames, a video with sound and a table of timings.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    # Otherwise a single command would be taken for the whole program and lose its name.
    app.callback()(lambda: None)
    for name in commands:
        app.command(name)(getattr(importlib.import_module(f"jobs.commands.{name}"), name))
    return app


def run(arguments: list[str]) -> int:
    """Runs a command; a user's mistake is one line and an exit code, a bug a traceback."""
    errors = terminal(stderr=True)
    asked = [name for name in arguments[:1] if name in COMMANDS]
    try:
        code = int(application(asked or COMMANDS)(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        say(errors, f"error: {message}; see --help", style="red")
        return ExitCode.BAD_INPUT
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        # Typer takes any broken pipe for that of standard output, and says that frames failed.
        traceback.print_exc()
        return ExitCode.STOPPED
    except Exception as error:  # noqa: BLE001 - what is no refusal is a bug
        told = refusal(error)
        if told is None:
            # None of the other codes would be true, and what is finished stays valid.
            traceback.print_exc()
            return ExitCode.STOPPED
        line, refused = told
        say(errors, line, style="red")
        return refused
    # Typer turns an interrupt into this code by itself.
    if code == ExitCode.INTERRUPTED:
        say(errors, "interrupted; the same command goes on from here")
    return code


def main() -> None:
    """The installed command."""
    outlive_listeners()
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
