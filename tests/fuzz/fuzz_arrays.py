"""Mutants of the number files: features as ``.npy``, and the binary export with its metadata."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random

import numpy as np
from clip_inputs import SMALL, squares, write_binary, write_images, write_rects
from fuzz_base import FileReader, Reader, require_lines
from mutations import EDGES, mutate_bytes, mutate_json, mutate_numbers
from numpy.typing import NDArray

from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip import read_clip, read_features, read_windows

_ROWS = 3
_COUNT = 3
_TYPES = (
    *("<f2", "<f4", "<f8", ">f4", "=f4", "f4", "float32", "<f16", "<c8", "<i4", "|u1", "|b1", "|O", "O", "<U4", "|S9"),
    *("<M8[s]", "|V12", "V2000000000", "<f9", "", "f4,f4", "x" * 300, "<f4\\n", "\\d"),
)
_TYPE_LITERALS = ("[('a', '<f4')]", "('<f4', (2,))", "('<f4', (90000, 90000))", "None", "[('a', '|O')]", "4", "[]")


class Features(FileReader):
    """``.npy`` files: damaged bytes, and headers that say something else than the data."""

    def __init__(self, folder: Path) -> None:
        values = np.random.default_rng(1).random((_ROWS, 512)).astype(np.float32)
        stored = (values, np.asfortranarray(values), values.astype(">f8"), values.astype("<f2"))
        super().__init__(folder / "aud_ave.npy", [_saved(array) for array in stored])

    def mutate(self, content: bytes, chance: Random) -> bytes:
        if chance.random() < 0.4:
            return mutate_bytes(content, chance)
        header = _header(chance)
        if chance.random() < 0.2:
            header = mutate_bytes(header, chance)
        if chance.random() < 0.2:
            header = mutate_numbers(header, chance)
        version, width = chance.choice(((1, 2), (1, 2), (2, 4), (3, 4)))
        length = len(header) if chance.random() < 0.9 else chance.choice(EDGES)
        stated = (length & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        body = bytes(chance.choice((_ROWS * 512 * 4, _ROWS * 512 * 4, _ROWS * 512 * 8, 0, 511)))
        return b"\x93NUMPY" + bytes((version, 0)) + stated + header + body

    def read(self) -> None:
        rows = read_features(str(self.path), UNET_328)
        assert rows.dtype == np.float32
        assert rows.ndim == 2
        assert rows.shape[1] == 512
        assert 1 <= len(rows) <= self.path.stat().st_size // 1024
        assert np.isfinite(rows).all()


def _saved(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _header(chance: Random) -> bytes:
    """A header as NumPy writes it, with odd types and shapes."""
    sides = [chance.choice(("3", "512", "0", "-1", "1", "True", "3.0", "'3'", "None", "0x200", "10**3", "999999999"))]
    sides += [chance.choice(("512", "512", "512", "511", "1 << 40", "9" * 30)) for _ in range(chance.randrange(3))]
    shape = "(" + "".join(f"{side}, " for side in sides) + ")"
    plain = "(3, 512)"
    kind = chance.choice(_TYPE_LITERALS) if chance.random() < 0.3 else f"'{chance.choice(_TYPES)}'"
    order = chance.choice(("False", "False", "True", "0", "None", "'F'"))
    shape = chance.choice((shape, shape, plain, "[3, 512]", "3", "((3, 512),)", "()", "(" * 150 + ")" * 150))
    if chance.random() < 0.5:
        kind = "'<f4'"
    extra = chance.choice(("", "", "", "'title': 1, ", "'descr': '<f4', ", "**{}, "))
    text = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, {extra}}}"
    return (text + " " * chance.choice((0, 7, 40)) + chance.choice(("\n", "\n", "", "\0"))).encode()


class Export(Reader):
    """The binary export with small planes, alone or beside full frames and face boxes of its own."""

    damaged: tuple[str, ...] = ("visual_input.bin", "audio_input.bin")

    def __init__(self, folder: Path) -> None:
        self.folders = [folder / "alone", folder / "beside", folder / "part"]
        for each, start in zip(self.folders, (0, 0, 2), strict=True):
            write_binary(each, _COUNT, start=start)
        for each, frames in ((self.folders[1], _COUNT), (self.folders[2], _COUNT + 2)):
            write_images(each / "full_body_img", frames)
            write_rects(each / "crop_rects.json", squares(frames))
        whole = {"visual_shape": [_COUNT, *SMALL.planes], "audio_shape": [_COUNT, *SMALL.audio], "note": "ours"}
        for each in self.folders:
            metadata = json.loads((each / "metadata.json").read_text())
            (each / "metadata.json").write_text(json.dumps({**metadata, **whole}))
        names = ("visual_input.bin", "audio_input.bin", "metadata.json", "crop_rects.json")
        self.subjects = frozenset([*map(str, self.folders), *(str(f / name) for f in self.folders for name in names)])
        self.seeds = len(self.folders)
        self.pristine = {path: path.read_bytes() for each in self.folders for path in map(each.joinpath, names[:3])}
        self.folder = self.folders[0]
        self.touched: Path | None = None

    def write_seed(self, seed: int) -> None:
        self.folder = self.folders[seed]

    def write(self, chance: Random) -> None:
        if self.touched is not None:
            self.touched.write_bytes(self.pristine[self.touched])
        self.folder = chance.choice(self.folders)
        self.touched = self.folder / chance.choice(self.damaged)
        self.touched.write_bytes(self.mutate(self.pristine[self.touched], chance))

    def mutate(self, content: bytes, chance: Random) -> bytes:
        record = len(content) // _COUNT
        match chance.randrange(4):
            case 0:
                return content[: chance.choice((1, record - 1, record, 2 * record, 2 * record + 4))]
            case 1:
                return content + content[: chance.choice((1, 4, record - 1, record))]
            case 2:
                # A number that is none, infinite, out of range or as good as any.
                at = chance.randrange(len(content) // 4) * 4
                number = np.float32(chance.choice((np.nan, np.inf, -np.inf, -1, 1.5, 1e38, -0.0, 0.5)))
                return content[:at] + number.tobytes() + content[at + 4 :]
            case _:
                return mutate_bytes(content, chance)

    def read(self) -> None:
        clip = read_clip(str(self.folder), boxes=None, box=None, kind=SMALL)
        require_lines([*clip.found, *clip.warnings])
        assert clip.form == "binary"
        assert clip.backgrounds == clip.window_count
        assert (clip.boxes is None) == (clip.frames is None)
        assert clip.windows is not None
        windows = read_windows(clip.windows, clip.window_count, SMALL)
        assert windows.shape == (clip.window_count, *SMALL.audio)
        assert np.isfinite(windows).all()
        if clip.planes is not None:
            planes = clip.window_count * 6 * SMALL.inner**2 * 4
            assert Path(clip.planes.path).stat().st_size == planes
        if clip.frames is not None and clip.boxes is not None:
            assert len(clip.boxes) == len(clip.frames)
            assert all(box is None or box.inside(clip.frames.width, clip.frames.height) for box in clip.boxes)


class Metadata(Export):
    """``metadata.json`` of the binary export."""

    damaged = ("metadata.json",)

    def mutate(self, content: bytes, chance: Random) -> bytes:
        return mutate_bytes(content, chance) if chance.random() < 0.2 else mutate_json(json.loads(content), chance)


READERS = {"metadata": Metadata, "export": Export, "features": Features}
