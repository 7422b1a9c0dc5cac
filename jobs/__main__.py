"""The command line: ``python -m jobs``, or ``mouthpiece`` once installed."""

from __future__ import annotations

import signal
import sys
import traceback
from types import FrameType

import typer
from rich.console import Console

from actors.core.errors import ExitCode, InputError, StoppedError
from jobs.commands.composite import composite
from jobs.commands.demo import demo
from jobs.commands.inspect import inspect
from jobs.commands.soak import soak
from jobs.commands.verify import verify
from jobs.messages import say

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
app.command()(verify)
app.command()(demo)
app.command()(soak)


def run(arguments: list[str]) -> int:
    """Runs a command; a user's mistake is one line and an exit code, a bug a traceback."""
    errors = Console(stderr=True)
    try:
        code = int(app(arguments, standalone_mode=False) or 0)
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
