"""``composite``: renders a clip."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.core.choices import Blend, Covered, ImageFormat, Interpolation, Loop, Precision
from actors.core.voice_activity import Silence
from jobs.console import terminal
from jobs.inputs.options import DeviceChoice, load_options
from jobs.run.render import render

INPUT, FACES, PICTURE, OUTPUT, MACHINE = "Input", "Faces that are found", "Picture", "Output", "Machine"


def composite(
    context: typer.Context,
    clip: Annotated[str | None, typer.Argument(help="Clip folder or video file; required.")] = None,
    model: Annotated[str | None, typer.Option(help="ONNX network; required.", rich_help_panel=INPUT)] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Kind of the network, see `kinds`. \\[default: by its shapes]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The network's output that is the picture. \\[default: the one of its shape]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder of the run, new or to go on with; required.", rich_help_panel=OUTPUT),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Audio features, .npy. \\[default: the clip's]", rich_help_panel=INPUT)
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="ONNX encoder that makes the features of the recording.", rich_help_panel=INPUT),
    ] = None,
    rects: Annotated[
        str | None,
        typer.Option(help="Face boxes, either JSON form. \\[default: the clip's]", rich_help_panel=INPUT),
    ] = None,
    rect: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="One face box for all frames.", rich_help_panel=INPUT)
    ] = None,
    faces: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Faces that `prepare` has found. \\[default: they are found now]", rich_help_panel=FACES
        ),
    ] = None,
    face: Annotated[
        str | None,
        typer.Option(
            metavar="largest|left|right|N",
            help="Which face, N as on the contact sheet. \\[default: largest]",
            rich_help_panel=FACES,
        ),
    ] = None,
    face_at: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y[,FRAME]", help="The face at this place. \\[default: of frame 0]", rich_help_panel=FACES
        ),
    ] = None,
    face_gap: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Gaps up to so long are interpolated. \\[default: 0.2]", rich_help_panel=FACES
        ),
    ] = None,
    covered: Annotated[
        Covered | None,
        typer.Option(help="What is shown where the mouth is covered. \\[default: render]", rich_help_panel=FACES),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="ONNX face detector with YuNet's outputs. \\[default: BlazeFace]", rich_help_panel=FACES),
    ] = None,
    pads: Annotated[
        str | None,
        typer.Option(
            metavar="T,B,L,R",
            help="Wav2Lip: more of the face at top, bottom, left, right. \\[default: 0,10,0,0]",
            rich_help_panel=FACES,
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="AVATAR",
            help="UNets: the clip that the network was trained on; boxes are made like its own.",
            rich_help_panel=FACES,
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="A:B",
            help="Output frames to render, B not included; the sound is cut with them.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(
            help="Recording: drives the mouth, and is the video's sound. \\[default: the clip's aud.wav]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    silence: Annotated[
        Silence | None,
        typer.Option(help="What is shown where nobody speaks. \\[default: render]", rich_help_panel=INPUT),
    ] = None,
    loop: Annotated[
        Loop | None, typer.Option(help="How backgrounds repeat. \\[default: the kind's]", rich_help_panel=INPUT)
    ] = None,
    retime: Annotated[
        bool | None,
        typer.Option("--retime", help="Pair a video's frames by time, not by index.", rich_help_panel=INPUT),
    ] = None,
    interpolation: Annotated[
        Interpolation | None,
        typer.Option(help="Filter of both resizes. \\[default: the kind's]", rich_help_panel=PICTURE),
    ] = None,
    blend: Annotated[
        Blend | None,
        typer.Option(
            help="How the face patch meets the frame. \\[default: hard, as upstream]", rich_help_panel=PICTURE
        ),
    ] = None,
    colour_match: Annotated[
        bool | None,
        typer.Option("--colour-match", help="Match the patch's colours to the frame's.", rich_help_panel=PICTURE),
    ] = None,
    smooth_crops: Annotated[
        bool | None,
        typer.Option("--smooth-crops", help="Filter the boxes' jitter over time.", rich_help_panel=PICTURE),
    ] = None,
    parsing: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Folder of masks that say what is in front of the face.", rich_help_panel=PICTURE
        ),
    ] = None,
    format_: Annotated[
        ImageFormat | None,
        typer.Option("--format", help="Frame files. \\[default: png]", rich_help_panel=OUTPUT),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(help="jpg 1..100, webp 1..101. \\[default: jpg 95, webp lossless]", rich_help_panel=OUTPUT),
    ] = None,
    video: Annotated[bool | None, typer.Option("--video", help="Also write video.mp4.", rich_help_panel=OUTPUT)] = None,
    composite_: Annotated[
        bool | None,
        typer.Option("--no-composite", help="Run the network only: timings, no frames.", rich_help_panel=OUTPUT),
    ] = None,
    restart: Annotated[
        bool | None,
        typer.Option("--restart", help="Remove what an earlier run left in OUT first.", rich_help_panel=OUTPUT),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Workers. \\[default: one per core, or as GPUs allow]", rich_help_panel=MACHINE),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each worker's session. \\[default: 1]", rich_help_panel=MACHINE)
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Frames per inference. \\[default: 1 on CPUs, 16 on CUDA]", rich_help_panel=MACHINE),
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            help="Share of a GPU per worker. \\[default: 0.125 to 1, by its memory and cores]", rich_help_panel=MACHINE
        ),
    ] = None,
    tuned: Annotated[
        bool | None,
        typer.Option("--tuned/--no-tuned", help="Use what `tune` found. \\[default: tuned]", rich_help_panel=MACHINE),
    ] = None,
    device: Annotated[
        DeviceChoice | None, typer.Option(help="Where the network runs. \\[default: auto]", rich_help_panel=MACHINE)
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Compute precision of the network. \\[default: fp32]", rich_help_panel=MACHINE),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster to join. \\[default: $RAY_ADDRESS, else a local one]", rich_help_panel=MACHINE),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for a first worker. \\[default: 900]", rich_help_panel=MACHINE),
    ] = None,
    config: Annotated[str | None, typer.Option(help="TOML file with any of these options; flags beat it.")] = None,
) -> int:
    """Render a clip: frames, timings and, with --video, a video.

    Exit code 0: every frame is there. 1: some frames failed, each is named. 2: bad input, nothing written, but for
    faces that were found on the way. 3: stopped, the same command goes on. 130: interrupted, likewise.
    """
    flags = given_flags(context)
    return int(render(load_options(flags, config), terminal(), context.obj))


def given_flags(context: typer.Context) -> dict[str, Any]:
    """The flags that were given, by option name."""
    flags = {name.removesuffix("_"): value for name, value in context.params.items() if value is not None}
    flags.pop("config", None)
    if "composite" in flags:
        flags["composite"] = False
    return flags
