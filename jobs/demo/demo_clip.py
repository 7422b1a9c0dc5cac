"""The demo on disk: a clip folder in the SyncTalk dataset form, a second recording, and the model for both."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2

from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.files import storage
from actors.kinds import all_kinds
from jobs.audio.feature_making import feature_rows, local_encoder, write_features
from jobs.audio.feature_source import read_encoder_source
from jobs.demo.presenter import FRAMES, Presenter, landmarks
from jobs.demo.voice import FPS, SECOND, make_voice, write_wav
from jobs.models import mouth
from jobs.models.demo_encoder import build_demo_encoder
from jobs.models.mouth import build_mouth_model, save_model
from jobs.process.temporary_folders import scratch_folder
from jobs.run.folder import check_folder_name

# More than there are backgrounds, so that the clip runs back as well as forth.
OUTPUT_FRAMES = 150
SECOND_FRAMES = 120
JPEG_QUALITY = 95
# The batch of two: the rows' ids, and the recording of each, relative to the manifest.
DEMO_BATCH = {"first": "clip/aud.wav", "second": "second.wav"}


def demo_kind() -> ModelKind:
    """The kind of the demo's model: the one of its shapes."""
    return next(kind for kind in all_kinds() if (kind.inner, kind.audio) == (mouth.SIDE, mouth.AUDIO))


def demo_folder(out: Path, names: Sequence[str]) -> Path:
    """The absolute folder of a demo.

    Its model is written first and is what tells it from a folder of somebody's own.

    Args:
        out: the folder as given.
        names: what will be written there, or removed.

    Raises:
        InputError: it ends like a file's, or something of these names is there and no demo's model, of this or of an
            earlier version.
    """
    check_folder_name(str(out), f"give --out {out.with_suffix('')}")
    folder = Path(storage.resolve(str(out)))
    taken = [name for name in names if os.path.lexists(folder / name)]
    if taken and not _is_demo_model(folder / "mouth.onnx"):
        problem = f"holds {' and '.join(taken)} that no demo has made"
        raise InputError(f"--out {out}", problem, "name a new folder, or an earlier demo's")
    return folder


def _is_demo_model(path: Path) -> bool:
    # Whose model it is stands in front of its graph.
    with path.open("rb") if path.is_file() else io.BytesIO() as file:
        return mouth.PRODUCER.encode() in file.read(64)


def write_demo_clip(folder: Path) -> None:
    """Draws and writes the demo clip: ``full_body_img/``, ``landmarks/``, ``aud.wav`` and ``aud_ave.npy``.

    Everything is written beside ``folder`` and renamed at the end: if ``folder`` stands, it is whole, and then
    nothing is done.

    Raises:
        OSError: the clip cannot be written.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        _write_parts(partial)
        partial.chmod(0o755)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_parts(folder: Path) -> None:
    voice = make_voice(OUTPUT_FRAMES / FPS)
    write_wav(folder / "aud.wav", voice)
    _write_features(folder / "aud.wav", folder / "aud_ave.npy")
    images, points = folder / "full_body_img", folder / "landmarks"
    images.mkdir()
    points.mkdir()
    presenter = Presenter()
    for index in range(FRAMES):
        _, data = cv2.imencode(".jpg", presenter.frame(index), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (images / f"{index}.jpg").write_bytes(data.tobytes())
        lines = "".join(f"{x} {y}\n" for x, y in landmarks(index).tolist())
        (points / f"{index}.lms").write_text(lines, encoding="ascii")


def _write_features(recording: Path, path: Path) -> None:
    with scratch_folder() as scratch:
        encoder = scratch / "encoder.onnx"
        write_demo_encoder(encoder)
        kind = demo_kind()
        source = read_encoder_source(str(recording), str(encoder), kind)
        write_features(str(path), feature_rows(source, kind, local_encoder(source, threads=1)), source.frames)


def write_demo_batch(folder: Path) -> None:
    """Writes a second recording, ``second.wav``, and the manifest of a batch of two, ``clips.jsonl``.

    Both rows show the clip ``clip/`` of the same folder: one with its own recording, one with the second.

    Args:
        folder: the demo's, which exists.
    """
    write_wav(folder / "second.wav", make_voice(SECOND_FRAMES / FPS, SECOND))
    rows = [{"id": name, "clip": "clip", "audio": audio} for name, audio in DEMO_BATCH.items()]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    storage.write_atomic(str(folder / "clips.jsonl"), lines.encode())


def write_demo_encoder(path: Path) -> None:
    """Writes the encoder of the demo's voice; see `jobs.models.demo_encoder`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(build_demo_encoder(), path)


def write_demo_model(path: Path) -> None:
    """Writes the model that opens the presenter's mouth; see `jobs.models.mouth`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(build_mouth_model(), path)
