"""The command line: ``python -m jobs``, or ``mouthpiece`` once installed."""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import typer
from rich.console import Console

from actors.core.errors import ExitCode, InputError, StoppedError
from jobs.messages import say

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
    errors = Console(stderr=True)
    asked = [name for name in arguments[:1] if name in COMMANDS]
    try:
        code = int(application(asked or COMMANDS)(arguments, standalone_mode=False) or 0)
    except InputError as error:
        say(errors, f"error: {error}", style="red")
        return ExitCode.BAD_INPUT
    except StoppedError as error:
        say(errors, f"stopped: {error}", style="red")
        return ExitCode.STOPPED
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        say(errors, f"error: {message}; see --help", style="red")
        return ExitCode.BAD_INPUT
    except Exception:  # noqa: BLE001 - a bug: none of the codes above would be true, and what is finished stays valid
        traceback.print_exc()
        return ExitCode.STOPPED
    # Typer turns an interrupt into this code by itself.
    if code == ExitCode.INTERRUPTED:
        say(errors, "interrupted; the same command goes on from here")
    return code


def main() -> None:
    """The installed command."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
