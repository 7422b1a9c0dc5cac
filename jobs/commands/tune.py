"""``tune``: finds the best layout of workers for a model on this cluster's GPUs."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.core.choices import ImageFormat, Precision
from actors.core.errors import ExitCode
from jobs.commands.composite import given_flags
from jobs.console import terminal
from jobs.inputs.options import DeviceChoice, load_options
from jobs.tune.tuning import tune as find_best


def tune(
    context: typer.Context,
    clip: Annotated[str, typer.Argument(help="Clip folder or video file.")],
    model: Annotated[str, typer.Option(help="ONNX network.")],
    kind: Annotated[
        str | None, typer.Option(metavar="NAME", help="Kind of the network. \\[default: by its shapes]")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The network's output that is the picture. \\[default: the one of its shape]"
        ),
    ] = None,
    features: Annotated[str | None, typer.Option(help="Audio features, .npy. \\[default: the clip's]")] = None,
    audio: Annotated[str | None, typer.Option(help="Recording. \\[default: the clip's aud.wav]")] = None,
    encoder: Annotated[str | None, typer.Option(help="ONNX encoder that makes the features of the recording.")] = None,
    rects: Annotated[str | None, typer.Option(help="Face boxes, either JSON form. \\[default: the clip's]")] = None,
    rect: Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="One face box for all frames.")] = None,
    format_: Annotated[ImageFormat | None, typer.Option("--format", help="Frame files. \\[default: png]")] = None,
    device: Annotated[DeviceChoice | None, typer.Option(help="Where the network runs. \\[default: auto]")] = None,
    precision: Annotated[Precision | None, typer.Option(help="Compute precision. \\[default: fp32]")] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join. \\[default: $RAY_ADDRESS, else local]")
    ] = None,
    seconds: Annotated[float, typer.Option(help="No further trial is begun after this.", min=1)] = 300.0,
    scratch: Annotated[
        str | None, typer.Option(help="Folder for the trials' frames; on a cluster one that all nodes share.")
    ] = None,
) -> int:
    """Find how many workers and frames per inference are fastest on these GPUs, and keep it for composite."""
    flags = {name: value for name, value in given_flags(context).items() if name not in {"seconds", "scratch"}}
    options = load_options({**flags, "out": "unused"}, None)
    find_best(options, seconds=seconds, scratch=scratch, console=terminal())
    return int(ExitCode.COMPLETE)
