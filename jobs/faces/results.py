"""What stands in a prepared folder besides what was found: files about the chosen face, and a copy of the footage."""

from __future__ import annotations

from pathlib import PurePosixPath

from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.backgrounds import IMAGE_FOLDER, PACKAGE_VIDEO, candidates
from jobs.clip.footage import Footage
from jobs.faces.contact_sheet import draw_sheet, plan_sheet
from jobs.faces.dubbing import DubbedFace
from jobs.faces.faces_table import boxes_json, write_faces_parquet
from jobs.faces.prepared_folder import PAGE, FileRecord, PreparedFolder, RulesRecord


def write_results(folder: PreparedFolder, footage: Footage, dubbed: DubbedFace) -> None:
    """Writes the files about the chosen face; the folder has a record.

    Raises:
        InputError: a frame of the footage cannot be read.
        StoppedError: the footage is not what it was, or the files cannot be written.
    """
    frames = footage.frames
    record = folder.searched()
    rules = RulesRecord.of(dubbed.rules)
    files = dict(record.files)
    contents = {folder.boxes: boxes_json(dubbed.path, frames.width, frames.height)}
    with folder.writing():
        held = folder.holds(record, folder.table)
        with storage.written_in_parts(folder.table) as table:
            write_faces_parquet(table, dubbed.path, dubbed.times)
            name = storage.name_of(str(folder.table))
            files[name] = FileRecord.read(table)
            same = held and files[name] == record.files[name]
            # The sheet follows from what was found and from the table, and takes the longest.
            if not (same and folder.holds(record, folder.sheet)):
                contents[folder.sheet] = draw_sheet(plan_sheet(dubbed, (frames.width, frames.height)), frames)
            if not (same and record.rules == rules):
                # A page about another face would be taken for one about this.
                storage.remove_file(folder.page)
                files.pop(PAGE, None)
        folder.conclude(record.model_copy(update={"rules": rules, "files": files}), contents)


def check_copy(footage: Footage, folder: PreparedFolder) -> None:
    """Makes sure that a copy of the footage would be the only footage in the folder.

    Raises:
        InputError: there is other footage.
    """
    there = candidates(str(folder))
    videos = {*there.videos, *there.derived, *([PACKAGE_VIDEO] if there.package_video else [])}
    images = {image.name for image in (*there.numbered, *there.loose)}
    names = {path.name for path in map(PurePosixPath, _files(footage))}
    if others := sorted((videos | images) - names):
        raise InputError(str(folder), f"holds other footage ({others[0]})", "name another folder for the copy")


def _files(footage: Footage) -> tuple[str, ...]:
    return footage.frames.paths if isinstance(footage.frames, ImageFrames) else (footage.frames.path,)


def copy_footage(footage: Footage, folder: PreparedFolder) -> None:
    """Copies the footage into the folder, which is a clip by itself then.

    Raises:
        StoppedError: a file of it cannot be read, or the copy cannot be written.
    """
    frames = footage.frames
    with folder.writing():
        if isinstance(frames, ImageFrames):
            storage.make_folder(folder.path / IMAGE_FOLDER)
            copies = {path: folder.path / IMAGE_FOLDER / storage.name_of(path) for path in frames.paths}
        else:
            copies = {frames.path: folder.path / storage.name_of(frames.path)}
        for source, target in copies.items():
            if storage.resolve(source) != str(target):
                storage.copy_file(source, target)
