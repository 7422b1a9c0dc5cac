"""``features``: audio features from a recording, without rendering."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath
from typing import Annotated

import typer

from actors.core.errors import ExitCode, InputError
from actors.files import storage
from jobs.audio.feature_making import Rows, feature_rows, local_encoder, write_features
from jobs.audio.feature_source import encoders_kind, read_encoder_source
from jobs.console import say, terminal
from jobs.progress_meter import Meter, meter


def features(
    audio: Annotated[str, typer.Argument(help="Recording: wav, flac, mp3, m4a, or a video with sound.")],
    encoder: Annotated[str, typer.Option(help="ONNX encoder of mel windows.")],
    out: Annotated[str, typer.Option(help="The .npy file to write.")],
    kind: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Kind of network they are for. \\[default: any that takes them]"),
    ] = None,
) -> int:
    """Make audio features of a recording, (T, 512), one row for each output frame, on this machine's CPU.

    Exit code 0: the file is there. 2: bad input, nothing written.
    """
    console = terminal()
    target = storage.resolve(out)
    _check_out(out, target)
    network = encoders_kind(kind)
    source = read_encoder_source(audio, encoder, network)
    for warning in source.recording.warnings:
        say(console, f"warning: {warning}", style="yellow")
    encode = local_encoder(source, os.cpu_count() or 1)
    rows = feature_rows(source, network, encode)
    with meter(console, source.frames, "encoding") as progress:
        try:
            write_features(target, _counted(rows, progress), source.frames)
        except OSError as error:
            raise InputError(
                f"--out {out}", f"cannot be written ({error})", "name a file in a folder there is"
            ) from error
    if remark := encode.remark():
        say(console, f"warning: {remark}", style="yellow")
    say(console, f"{target}: {source.frames} rows, {float(source.recording.seconds):.2f} s at {network.fps} fps")
    return int(ExitCode.COMPLETE)


def _check_out(out: str, target: str) -> None:
    """Refuses at once what could not be written after a long time of work, or would replace a file of another sort."""
    if storage.is_folder(target):
        raise InputError(f"--out {out}", "is a folder", "name a .npy file")
    if PurePath(out).suffix.lower() != ".npy":
        raise InputError(f"--out {out}", "is not the name of a .npy file", f"give --out {PurePath(out).stem}.npy")
    if storage.is_local(target) and not storage.is_folder(storage.parent_of(target)):
        raise InputError(f"--out {out}", "there is no folder to put it into", "make it first, or name another")


def _counted(rows: Iterator[Rows], progress: Meter) -> Iterator[Rows]:
    done = 0
    for part in rows:
        yield part
        done += len(part)
        progress.update(done, "encoding")
