"""The rows of a batch for the benchmark: features, recordings and clips of their own, and one clip that is as long."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Device, Loop
from jobs.benchmark.frame_check import read_image
from jobs.benchmark.many_clips import ROW_SECONDS, Run
from jobs.benchmark.material import Material
from jobs.benchmark.matrix import JPEG_QUALITY, Output
from jobs.cluster.program_files import program_command
from jobs.demo.demo_clip import demo_kind, write_demo_encoder
from jobs.demo.voice import RATE, make_voice, write_wav

# Each row's features begin so many output frames behind those of the row before.
STRIDE = 7
# A JPEG's comment stands behind its first two bytes: a marker, and the length with itself.
COMMENT = b"\xff\xfe"


@dataclass
class Rows:
    """Files of all rows, each made when it is first wanted.

    Attributes:
        material: the avatar.
        model: the network's file.
        device: where it runs.
        count: how many rows.
        folder: an existing folder for the files.
    """

    material: Material
    model: str
    device: Device
    count: int
    folder: Path
    _pictures: list[bytes] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Output frames of a row."""
        return ROW_SECONDS * self.material.kind.fps

    @property
    def recordings(self) -> bool:
        """Whether there is an encoder for recordings of the networks' kind."""
        return self.material.kind == demo_kind()

    def batch_command(self, run: Run, out: Path) -> list[str]:
        """The command that renders all rows."""
        manifest = self.folder / f"{run}.jsonl"
        rows = [{"id": self.id(row), **self._columns(run, row)} for row in range(self.count)]
        manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return [*program_command(), "batch", str(manifest), *self._flags(run, out)]

    def row_command(self, run: Run, row: int, out: Path) -> list[str]:
        """The command that renders one row of a batch alone."""
        return self._composite(run, self._columns(run, row), out)

    def one_command(self, run: Run, out: Path) -> list[str]:
        """The command that renders one clip of as many frames as all rows have."""
        clip = self._one_clip() if run.own_backgrounds else self.material.clip
        features = self.folder / "features-all.npy"
        if not features.exists():
            every = np.concatenate([self._features(row) for row in range(self.count)])
            np.save(features, every, allow_pickle=False)
        return self._composite(run, {"clip": clip, "features": str(features)}, out)

    @staticmethod
    def id(row: int) -> str:
        """A row's id."""
        return f"row-{row:04d}"

    def _composite(self, run: Run, columns: dict[str, str], out: Path) -> list[str]:
        clip = columns.pop("clip")
        given = [word for name, value in columns.items() for word in (f"--{name}", value)]
        return [*program_command(), "composite", clip, *given, *self._flags(run, out)]

    def _flags(self, run: Run, out: Path) -> list[str]:
        """What all rows have in common."""
        # Of backgrounds of its own each is shown once.
        loop = Loop.WRAP if run.own_backgrounds else Loop.BOUNCE
        flags = {"out": str(out), "model": self.model, "kind": self.material.kind.name, "device": self.device.value}
        flags |= {"format": Output.JPG.value, "quality": str(JPEG_QUALITY), "loop": loop.value}
        flags |= {} if run.own_backgrounds else self.material.box_flags
        if run is Run.RECORDINGS:
            encoder = self.folder / "encoder.onnx"
            if not encoder.exists():
                write_demo_encoder(encoder)
            flags |= {"encoder": str(encoder)}
        return [word for name, value in flags.items() for word in (f"--{name}", value)]

    def _columns(self, run: Run, row: int) -> dict[str, str]:
        clip = self._clip(row) if run.own_backgrounds else self.material.clip
        if run is Run.RECORDINGS:
            return {"clip": clip, "audio": str(self._recording(row))}
        path = self.folder / f"features-{row:04d}.npy"
        if not path.exists():
            np.save(path, self._features(row), allow_pickle=False)
        return {"clip": clip, "features": str(path)}

    def _features(self, row: int) -> NDArray[np.float32]:
        places = np.arange(STRIDE * row, STRIDE * row + self.frames) % self.material.period
        return self.material.rows[places]

    def _recording(self, row: int) -> Path:
        path = self.folder / f"voice-{row:04d}.wav"
        if not path.exists():
            # The same voice for all, each from another place on.
            samples = make_voice()
            write_wav(path, np.roll(samples, -(len(samples) * row // self.count))[: ROW_SECONDS * RATE])
        return path

    def _clip(self, row: int) -> str:
        """A clip with as many backgrounds as the row has frames; no two files of all clips are equal."""
        folder = self.folder / f"clip-{row:04d}"
        if not folder.exists():
            folder.mkdir()
            for place in range(self.frames):
                number = row * self.frames + place
                (folder / f"{place}.jpg").write_bytes(self._picture(number))
            self._write_boxes(folder, self.frames)
        return str(folder)

    def _one_clip(self) -> str:
        """The backgrounds of all clips, one behind the other; the files are the same ones."""
        folder = self.folder / "clip-all"
        if not folder.exists():
            folder.mkdir()
            for number in range(self.count * self.frames):
                row, place = divmod(number, self.frames)
                os.link(Path(self._clip(row), f"{place}.jpg"), folder / f"{number}.jpg")
            self._write_boxes(folder, self.count * self.frames)
        return str(folder)

    def _write_boxes(self, folder: Path, count: int) -> None:
        boxes = [self._box(number % self.frames) for number in range(count)]
        (folder / "crop_rectangles.json").write_text(json.dumps(boxes), encoding="ascii")

    def _box(self, place: int) -> list[int]:
        box = self.material.boxes[place % len(self.material.boxes)]
        return [box.x0, box.y0, box.x1, box.y1]

    def _picture(self, number: int) -> bytes:
        """One of the avatar's backgrounds as JPEG, with the number in a comment."""
        if not self._pictures:
            for path in self.material.backgrounds[: self.frames]:
                _, encoded = cv2.imencode(".jpg", read_image(Path(path)), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                self._pictures.append(encoded.tobytes())
        data = self._pictures[(number % self.frames) % len(self._pictures)]
        note = str(number).encode()
        return data[:2] + COMMENT + (len(note) + 2).to_bytes(2, "big") + note + data[2:]
