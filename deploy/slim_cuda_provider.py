"""ONNX Runtime's library for CUDA with the machine code of one GPU architecture.

The library carries its GPU code once for every architecture, in the ELF section ``.nv_fatbin``: regions that lie one
after another, each with entries, one for an architecture. The payloads of entries that the card never runs become
zeros. Nothing moves and no header changes, so the file is as long as before and compresses to a fifth.

The layout of a region is NVIDIA's and not documented. Read off ONNX Runtime 1.31.1, little endian throughout:

- region: u32 magic, u16 version, u16 length of this header, u64 length of the entries
- entry: u16 kind (1 PTX, 2 machine code), u16 version, u32 length of this header, u64 length of the payload, 12 bytes,
  u32 architecture (90 for sm_90), ...

It has not been run on a card. Where code is missing CUDA says "no kernel image is available".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SECTION = b".nv_fatbin"
MAGIC = 0xBA55ED50
MACHINE_CODE = 2

ELF_64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
# Offsets in the header of a 64-bit ELF file, and the length of one section's header.
SECTIONS_AT, COUNT_AT, NAMES_AT, SECTION_BYTES = 0x28, 0x3C, 0x3E, 64
REGION = struct.Struct("<IHHQ")
ENTRY = struct.Struct("<HHIQ12xI")
# Regions begin at multiples of it.
ALIGNMENT = 8


class SlimmingError(Exception):
    """The library is not one that can be slimmed."""


@dataclass(frozen=True)
class Entry:
    """GPU code for one architecture: ``bytes_`` bytes of payload from byte ``start`` of the file."""

    kind: int
    architecture: int
    start: int
    bytes_: int


@dataclass(frozen=True)
class Slimmed:
    """Bytes of GPU code that were kept and that are zeros now."""

    kept: int
    zeroed: int


def slim(library: bytearray, architecture: int) -> Slimmed:
    """Zeroes, in place, what a card of one architecture never runs.

    Of a region stays the machine code that the card would choose: the newest of its own generation (tens digit) that is
    not newer than the card. A region without any stays whole.

    Args:
        library: the file; changed.
        architecture: compute capability without its point, such as 90.

    Raises:
        SlimmingError: it is no such library, or has no code at all for the architecture.
    """
    kept = zeroed = chosen = 0
    for region in _regions(library, *_section(library)):
        runs = [entry for entry in region if _runs_on(entry, architecture)]
        best = max((entry.architecture for entry in runs), default=None)
        chosen += len(runs)
        for entry in region:
            if best is None or (entry in runs and entry.architecture == best):
                kept += entry.bytes_
            else:
                library[entry.start : entry.start + entry.bytes_] = bytes(entry.bytes_)
                zeroed += entry.bytes_
    if not chosen:
        raise SlimmingError(f"it has no machine code for the architecture {architecture}")
    return Slimmed(kept, zeroed)


def _runs_on(entry: Entry, architecture: int) -> bool:
    same_generation = entry.architecture // 10 == architecture // 10
    return entry.kind == MACHINE_CODE and same_generation and entry.architecture <= architecture


def _section(library: bytearray) -> tuple[int, int]:
    """Where the GPU code begins and ends, in bytes from the file's beginning."""
    if not library.startswith(ELF_64_LITTLE_ENDIAN):
        raise SlimmingError("it is no 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", library, SECTIONS_AT)
    (count,) = struct.unpack_from("<H", library, COUNT_AT)
    (names,) = struct.unpack_from("<H", library, NAMES_AT)
    # Of each: offset of its name among the names, offset in the file, length.
    headers = [struct.unpack_from("<I20xQQ", library, table + SECTION_BYTES * index) for index in range(count)]
    for name, start, length in headers:
        at = headers[names][1] + name
        if library[at : at + len(SECTION) + 1] == SECTION + b"\0":
            return start, start + length
    raise SlimmingError(f"it has no section {SECTION.decode()}")


def _regions(library: bytearray, start: int, end: int) -> Iterator[list[Entry]]:
    while start + REGION.size <= end:
        magic, _, header, length = REGION.unpack_from(library, start)
        if magic != MAGIC:
            start += ALIGNMENT
            continue
        start += header
        yield list(_entries(library, start, start + length))
        start += length


def _entries(library: bytearray, start: int, end: int) -> Iterator[Entry]:
    while start < end:
        kind, _, header, length, architecture = ENTRY.unpack_from(library, start)
        if start + header + length > end or not header:
            raise SlimmingError("its GPU code is laid out in another way than that of ONNX Runtime 1.31")
        yield Entry(kind, architecture, start + header, length)
        start += header + length
