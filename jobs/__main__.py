"""The command line: ``python -m jobs``, or ``mouthpiece`` once installed."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer
from rich.console import Console

from actors.core.errors import ExitCode, InputError, StoppedError
from jobs.commands.composite import composite
from jobs.commands.demo import demo
from jobs.commands.inspect import inspect

app = typer.Typer(
    name="mouthpiece",
    help="Renders lip-sync clips: background frames, face squares, audio features and an ONNX network become "
    "finished frames, a video with sound and a table of timings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(composite)
app.command()(inspect)
app.command()(demo)


def main() -> None:
    """Runs a command and exits with its code; a user's mistake is one line, a bug a traceback."""
    errors = Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        errors.print(f"error: {error}", style="red", soft_wrap=True, highlight=False, markup=False)
        code = ExitCode.BAD_INPUT
    except StoppedError as error:
        errors.print(f"stopped: {error}", style="red", soft_wrap=True, highlight=False, markup=False)
        code = ExitCode.STOPPED
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on from here", highlight=False)
        code = ExitCode.INTERRUPTED
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    sys.exit(int(code or 0))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
