"""``demo``: makes a clip, a voice and a model, and renders them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors import storage
from actors.encoding import ImageFormat
from jobs.demo.clip import write_demo_clip, write_demo_encoder, write_demo_model
from jobs.folder import check_folder_name
from jobs.messages import say, terminal
from jobs.options import CompositeOptions
from jobs.render import render


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the clip, the model and the run.")] = Path("demo-run"),
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join. \\[default: $RAY_ADDRESS, else local]")
    ] = None,
) -> int:
    """Make a presenter, a voice, an encoder and a small model, and render them to frames, timings and a video."""
    console = terminal()
    check_folder_name(str(out), f"give --out {out.with_suffix('')}")
    folder = Path(storage.resolve(str(out)))
    clip, model, encoder = folder / "clip", folder / "mouth.onnx", folder / "encoder.onnx"
    if not clip.is_dir():
        say(console, f"drawing the demo clip into {clip}")
    write_demo_clip(clip)
    write_demo_model(model)
    write_demo_encoder(encoder)
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
    return int(render(options, console))
