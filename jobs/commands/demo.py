"""``demo``: makes a clip, a voice and a model, and renders them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.core.choices import ImageFormat
from jobs.console import say, terminal
from jobs.demo.demo_clip import (
    demo_folder,
    write_demo_batch,
    write_demo_clip,
    write_demo_encoder,
    write_demo_model,
)
from jobs.inputs.options import CompositeOptions
from jobs.run.render import render


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the clip, the model and the run.")] = Path("demo-run"),
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join. \\[default: $RAY_ADDRESS, else local]")
    ] = None,
) -> int:
    """Make a presenter, a voice, an encoder and a small model, and render them to frames, timings and a video."""
    console = terminal()
    folder = demo_folder(out, ("clip", "mouth.onnx", "encoder.onnx", "second.wav", "clips.jsonl", "run"))
    clip, model, encoder = folder / "clip", folder / "mouth.onnx", folder / "encoder.onnx"
    write_demo_model(model)
    write_demo_encoder(encoder)
    if not clip.is_dir():
        say(console, f"drawing the demo clip into {clip}")
    write_demo_clip(clip)
    write_demo_batch(folder)
    options = CompositeOptions(
        clip=str(clip),
        model=str(model),
        encoder=str(encoder),
        audio=str(clip / "aud.wav"),
        out=str(folder / "run"),
        format=ImageFormat.JPG,
        video=True,
        restart=True,
        address=address,
    )
    return int(render(options, console, context.obj))
