"""``prepare``: finds the faces of raw footage, once for all networks."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from actors.core.choices import Covered
from actors.core.errors import ExitCode
from actors.files import storage
from jobs.clip.footage import read_footage
from jobs.console import say, terminal
from jobs.faces.choice import face_choice
from jobs.faces.dubbing import FaceRules, dubbed_face
from jobs.faces.preparation import prepare_faces
from jobs.faces.prepared_folder import RECORD, PreparedFolder
from jobs.faces.results import check_copy, copy_footage, write_results
from jobs.faces.weights import read_weights
from jobs.report.write import write_faces_page
from jobs.run.acquired import Acquired
from jobs.run.folder import check_folder_name, lasting


def prepare(
    video: Annotated[str, typer.Argument(help="Video file or folder of images.")],
    out: Annotated[str, typer.Option(help="Folder for the faces, new or to go on with.")],
    face: Annotated[
        str | None,
        typer.Option(metavar="largest|left|right|N", help="Which face, N as on the contact sheet."),
    ] = None,
    face_at: Annotated[str | None, typer.Option(metavar="X,Y[,FRAME]", help="The face at this place.")] = None,
    face_gap: Annotated[float, typer.Option(min=0, max=60, help="Gaps up to so many seconds are interpolated.")] = 0.2,
    covered: Annotated[Covered, typer.Option(help="What is shown where the mouth is covered.")] = Covered.RENDER,
    detector: Annotated[
        str | None, typer.Option(help="ONNX face detector with YuNet's outputs. \\[default: BlazeFace]")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the footage too: OUT is a clip by itself.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Remove what an earlier command found first.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join. \\[default: $RAY_ADDRESS, else a local one]")
    ] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for a node.")] = 900.0,
) -> int:
    """Find the faces of a video, and write for every frame where the face is, or that there is none.

    Exit code 0: every frame was searched. 2: bad input, or no face. 3: stopped, the same command goes on. 130:
    interrupted, likewise.
    """
    console = terminal()
    rules = FaceRules(face_choice(face, face_at), face_gap, covered)
    check_folder_name(out, "name a folder")
    folder = PreparedFolder.at(lasting(out))
    weights = read_weights(None if detector is None else storage.resolve(detector))
    footage = read_footage(video)
    for line in footage.found:
        say(console, line)
    for line in footage.warnings:
        say(console, f"warning: {line}", style="yellow")
    with ExitStack() as folders:
        with ExitStack() as clusters:
            acquired = Acquired(folder.path, RECORD, "prepared faces", address, console, folders, clusters)
            acquired.lock()
            if copy:
                check_copy(footage, folder)
            if restart:
                with folder.writing():
                    folder.forget()
            found = prepare_faces(footage, folder, weights, acquired.cluster, wait, console, replace=restart)
        dubbed = dubbed_face(found, footage.frames, rules, video)
        if copy:
            copy_footage(footage, folder)
        write_results(folder, footage, dubbed)
        page = write_faces_page(folder, dubbed)
    say(console, f"faces: {dubbed.summary}")
    say(console, f"page: {page}")
    return int(ExitCode.COMPLETE)
