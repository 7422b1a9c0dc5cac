"""Folders of prepared faces whose footage never was."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image

from actors.core.clip import ImageFrames
from actors.core.faces import FoundFaces
from jobs.faces.contact_sheet import draw_sheet, plan_sheet
from jobs.faces.dubbing import DubbedFace
from jobs.faces.faces_table import boxes_json, write_faces_parquet
from jobs.faces.prepared_folder import FacesRecord, FootageRecord, PreparedFolder, RulesRecord
from jobs.faces.seen_faces import SeenFaces


def prepared(
    path: Path,
    dubbed: DubbedFace,
    size: tuple[int, int],
    *,
    name: str = "talk.mp4",
    sheet: bool = True,
    concluded: bool = True,
) -> PreparedFolder:
    """The folder that `prepare` writes, but for the page; every frame of the footage is the same grey picture."""
    width, height = size
    frames = len(dubbed.path)
    footage = FootageRecord(name=name, digest="0" * 32, frames=frames, width=width, height=height, fps="25")
    folder = PreparedFolder.at(str(path))
    folder.begin(FacesRecord(footage=footage, finder="f" * 64))
    folder.keep(_found(dubbed.found))
    if concluded:
        table = io.BytesIO()
        write_faces_parquet(table, dubbed.path, dubbed.times)
        contents = {
            folder.table: table.getvalue(),
            folder.boxes: boxes_json(dubbed.path, width, height),
        }
        if sheet:
            grey = path / "grey.png"
            PIL.Image.fromarray(np.full((height, width), 90, np.uint8)).save(grey)
            pictures = ImageFrames((str(grey),) * frames, width, height)
            contents[folder.sheet] = draw_sheet(plan_sheet(dubbed, size), pictures)
        record = folder.searched().model_copy(update={"rules": RulesRecord.of(dubbed.rules)})
        folder.conclude(record, contents)
    return folder


def _found(seen: SeenFaces) -> FoundFaces:
    points, mesh = seen.shapes(np.arange(len(seen.frame)))
    return FoundFaces(
        0,
        seen.thumbnails,
        seen.best,
        seen.frame,
        seen.boxes,
        seen.scores,
        points,
        seen.presence,
        seen.extents,
        mesh,
    )
