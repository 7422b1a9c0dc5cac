"""GPU code of other architectures becomes zeros, and nothing else of the library changes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.slim_cuda_provider import Slimmed, SlimmingError, slim

PTX, MACHINE_CODE = 1, 2
Entry = tuple[int, int, bytes]  # kind, architecture, payload


def entry(kind: int, architecture: int, payload: bytes) -> bytes:
    header = struct.pack("<HHIQIIII", kind, 0x101, 64, len(payload), 7, 8, 9, architecture)
    return header + b"\x11" * (64 - len(header)) + payload


def region(entries: Sequence[Entry]) -> bytes:
    body = b"".join(entry(*one) for one in entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def elf(code: bytes, section: bytes = b".nv_fatbin") -> bytearray:
    """A 64-bit ELF file of four sections: none, one that looks like GPU code, GPU code, the names."""
    decoy = region([(MACHINE_CODE, 80, b"not looked at!!!")])
    names = b"\0.text\0" + section + b"\0.shstrtab\0"
    at_decoy = 64
    at_code = at_decoy + len(decoy)
    at_names = at_code + len(code)
    at_table = at_names + len(names)
    about = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, at_table, 0, 64, 0, 0, 64, 4, 3)
    sections = [(0, 0, 0), (1, at_decoy, len(decoy)), (7, at_code, len(code)), (8 + len(section), at_names, len(names))]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, start, length, 0, 0, 8, 0) for name, start, length in sections
    )
    return bytearray(b"\x7fELF\x02\x01\x01" + bytes(9) + about + decoy + code + names + table)


def machine_code(*architectures: int) -> list[Entry]:
    return [(MACHINE_CODE, one, bytes([one]) * 16) for one in architectures]


def zeroed(entry: Entry) -> Entry:
    return (*entry[:2], bytes(len(entry[2])))


@pytest.mark.parametrize(
    ("card", "there", "stays"),
    [
        (90, (80, 90, 120), (90,)),
        # A card runs code of its own generation that is not newer than itself, and takes the newest.
        (89, (80, 86, 90), (86,)),
        (86, (80, 86, 89), (86,)),
        # Two entries for one architecture: which one the card takes is not known here.
        (90, (80, 90, 90), (90, 90)),
    ],
)
def test_what_the_card_runs_stays(card: int, there: tuple[int, ...], stays: tuple[int, ...]) -> None:
    entries = machine_code(*there)
    library = elf(region(entries))
    kept = 16 * len(stays)
    assert slim(library, card) == Slimmed(kept, 16 * len(there) - kept)
    assert library == elf(region([one if one[1] in stays else zeroed(one) for one in entries]))


def test_code_that_the_driver_would_compile_goes_where_there_is_machine_code() -> None:
    library = elf(region([(PTX, 90, b"p" * 8), (MACHINE_CODE, 90, b"m" * 8)]))
    slim(library, 90)
    assert library == elf(region([(PTX, 90, bytes(8)), (MACHINE_CODE, 90, b"m" * 8)]))


def test_a_region_without_code_for_the_card_stays_whole() -> None:
    alone, compiled = region(machine_code(120)), region([*machine_code(80), (PTX, 80, b"p" * 16)])
    old, own = machine_code(80, 90)
    library = elf(alone + region([old, own]) + compiled)
    assert slim(library, 90) == Slimmed(64, 16)
    assert library == elf(alone + region([zeroed(old), own]) + compiled)


@given(
    st.lists(st.lists(st.tuples(st.just(MACHINE_CODE), st.sampled_from([75, 80, 90]), st.binary(max_size=40)))),
    st.integers(0, 3),
)
def test_any_number_of_regions_may_have_room_between(parts: list[list[Entry]], gap: int) -> None:
    # Regions begin at multiples of 8, as the compiler pads them.
    padded = [[(kind, one, data.ljust(40, b"\x22")) for kind, one, data in part] for part in parts]
    padded.append(machine_code(75, 90))
    library = elf(b"".join(region(part) + bytes(8 * gap) for part in padded))
    slim(library, 90)
    wanted = [
        [one if one[1] == 90 or 90 not in {a for _, a, _ in part} else zeroed(one) for one in part] for part in padded
    ]
    assert library == elf(b"".join(region(part) + bytes(8 * gap) for part in wanted))


@pytest.mark.parametrize(
    ("library", "why"),
    [
        (bytearray(b"MZ" + bytes(100)), "no 64-bit ELF"),
        (elf(region(machine_code(90)), b".data"), "no section .nv_fatbin"),
        (elf(region(machine_code(80, 120))), "no machine code for the architecture 90"),
        (elf(b""), "no machine code for the architecture 90"),
        (elf(struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 64) + entry(2, 90, b"x" * 99)), "in another way"),
    ],
)
def test_what_is_no_such_library_is_refused(library: bytearray, why: str) -> None:
    with pytest.raises(SlimmingError, match=why):
        slim(library, 90)
