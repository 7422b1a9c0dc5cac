"""Deterministic mutations: bytes, numbers in text, JSON values. Everything random comes from the given generator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Edges of the integer types, and sizes that ask for far more than a small file can hold.
EDGES = (0, 1, 2, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 1 << 24, 0x7FFFFFFF, 1 << 31, 0xFFFFFFFF)
LARGE_EDGES = (*EDGES, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
NUMBERS = (
    *("0", "-0", "-1", "1.5", "1e3", "1e999", "-1e999", "1e-400", "NaN", "nan", "inf", "-Infinity", "0x10", "1_000"),
    *(
        "2147483647",
        "2147483648",
        "-2147483649",
        "9223372036854775808",
        "1e18",
        "00012",
        "",
        "+5",
        ".5",
        "5.",
        "٣",
        "1,5",
    ),
    *("9" * 400, "9" * 4299, "9" * 4300, "9" * 5000, "1e" + "9" * 30, "0." + "3" * 3000),
)
WORDS = (
    *(
        "",
        "\0",
        "\n",
        "a\nb",
        "\r\n",
        "\x1b[31mred",
        "é",
        "😀",
        "\ud800",
        "\u2028",
        "x" * 5000,
        "\\",
        '"',
        "%s%n",
        "{0}",
    ),
    *("rect", "videos", "frame_count", "BGR", "float32", "<f4", "true", "__class__", "__proto__", "0", "-1", "1e3"),
    *(
        "/etc/passwd",
        "../../etc/passwd",
        "C:\\Windows\\win.ini",
        "file:///etc/passwd",
        "s3://bucket/key",
        "~/.ssh/id_rsa",
    ),
)
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_DEEP = 3000

ByteChange: TypeAlias = Callable[[bytearray, Random], None]


def _place(data: bytearray, chance: Random) -> int:
    """An index into ``data``, in its first 64 bytes as often as anywhere else: headers decide."""
    return chance.randrange(min(len(data), 64)) if chance.random() < 0.4 else chance.randrange(len(data))


def _flip(data: bytearray, chance: Random) -> None:
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _set(data: bytearray, chance: Random) -> None:
    data[_place(data, chance)] = chance.choice((0, 0xFF, 0x7F, 0x80, 0x0A, chance.randrange(256)))


def _truncate(data: bytearray, chance: Random) -> None:
    del data[_place(data, chance) :]


def _delete(data: bytearray, chance: Random) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 2, 4, 16, 100))]


def _insert(data: bytearray, chance: Random) -> None:
    at = _place(data, chance)
    data[at:at] = chance.randbytes(chance.choice((1, 2, 3, 8, 40)))


def _repeat(data: bytearray, chance: Random) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.choice((1, 4, 32, 200))] * chance.choice((1, 2, 50))


def _move(data: bytearray, chance: Random) -> None:
    start, to = _place(data, chance), _place(data, chance)
    piece = data[start : start + chance.choice((4, 16, 64))]
    data[to : to + len(piece)] = piece


def _zero(data: bytearray, chance: Random) -> None:
    at = _place(data, chance)
    count = min(chance.choice((2, 4, 16, 64)), len(data) - at)
    data[at : at + count] = bytes([chance.choice((0, 0xFF))]) * count


def _integer(data: bytearray, chance: Random) -> None:
    write_integer(data, _place(data, chance), chance)


def write_integer(data: bytearray, at: int, chance: Random) -> None:
    """Overwrites 1 to 8 bytes at ``at`` by an edge case in either byte order, without changing the length."""
    width = chance.choice((1, 2, 4, 4, 8))
    near = len(data) + chance.choice((-1, 0, 1))
    value = chance.choice((*LARGE_EDGES, near)) & ((1 << 8 * width) - 1)
    stop = min(at + width, len(data))
    data[at:stop] = value.to_bytes(width, chance.choice(("big", "little")))[: stop - at]


_CHANGES: tuple[ByteChange, ...] = (_flip, _flip, _set, _truncate, _delete, _insert, _repeat, _move, _zero, _integer)


def mutate_bytes(data: bytes, chance: Random, tags: Sequence[bytes] = ()) -> bytes:
    """One to four changes anywhere; where ``tags`` are given, half of them strike the fields beside one."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not result:
            break
        at = _beside_tag(result, chance, tags) if tags and chance.random() < 0.5 else None
        if at is not None:
            write_integer(result, at, chance)
        else:
            chance.choice(_CHANGES)(result, chance)
    return bytes(result)


def _beside_tag(data: bytearray, chance: Random, tags: Sequence[bytes]) -> int | None:
    """A place just before, within or after one occurrence of a tag."""
    places = [match.start() for tag in tags for match in re.finditer(re.escape(tag), data)]
    if not places:
        return None
    return min(max(0, chance.choice(places) + chance.randrange(-4, 40)), len(data) - 1)


def mutate_numbers(data: bytes, chance: Random) -> bytes:
    """One to three numbers of a text written otherwise, some of them as what is no number."""
    for _ in range(chance.choice((1, 1, 3))):
        found = list(_NUMBER.finditer(data))
        if not found:
            break
        match = chance.choice(found)
        data = data[: match.start()] + chance.choice(NUMBERS).encode() + data[match.end() :]
    return data


def mutate_json(value: Json, chance: Random) -> bytes:
    """A JSON text of ``value`` with one to three nodes changed, dropped, added or renamed.

    Some come in another encoding, with numbers that JSON does not know, with a key twice or thousands deep.
    """
    tree: list[Json] = [json.loads(json.dumps(value))]
    for _ in range(chance.choice((1, 1, 2, 3))):
        nodes = list(_nodes(tree))
        if nodes:
            _change(*chance.choice(nodes), chance)
    text = json.dumps(tree[0] if tree else None, ensure_ascii=chance.random() < 0.5)
    roll = chance.random()
    if roll < 0.15:
        return mutate_numbers(text.encode("utf-8", "surrogatepass"), chance)
    if roll < 0.2:
        return _twice(text, chance).encode("utf-8", "surrogatepass")
    if roll < 0.25:
        return text.encode(chance.choice(("utf-16", "utf-32-be", "utf-8-sig", "utf-16-le")), "surrogatepass")
    if roll < 0.27:
        opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
        return (opening * _DEEP + text + closing * _DEEP).encode("utf-8", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


def _nodes(parent: list[Json] | dict[str, Json]) -> Iterator[tuple[list[Json] | dict[str, Json], int | str]]:
    keys: list[int | str] = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    for key in keys:
        yield parent, key
        child = _get(parent, key)
        if isinstance(child, list | dict):
            yield from _nodes(child)


def _get(parent: list[Json] | dict[str, Json], key: int | str) -> Json:
    return parent[str(key)] if isinstance(parent, dict) else parent[int(key)]


def _put(parent: list[Json] | dict[str, Json], key: int | str, value: Json) -> None:
    if isinstance(parent, dict):
        parent[str(key)] = value
    else:
        parent[int(key)] = value


def _change(parent: list[Json] | dict[str, Json], key: int | str, chance: Random) -> None:
    old = _get(parent, key)
    match chance.randrange(8):
        case 0:
            _put(parent, key, [old] * chance.choice((0, 1, 2, 300)))
        case 1:
            _put(parent, key, {chance.choice(WORDS): old})
        case 2 if isinstance(parent, dict):
            parent[chance.choice(WORDS)] = parent.pop(str(key))
        case 3 if isinstance(parent, list):
            parent.extend([old] * chance.choice((1, 3)))
        case 4 if isinstance(parent, dict):
            del parent[str(key)]
        case 4 if isinstance(parent, list):
            del parent[int(key)]
        case 5 if isinstance(old, int | float):
            _put(parent, key, chance.choice((-old, old + 1, old - 1, old * 1000, old + 0.5, float(old), str(old))))
        case _:
            _put(parent, key, _odd(chance))


def _odd(chance: Random) -> Json:
    simple: tuple[Json, ...] = (None, True, False, [], {}, 1.5, -1, 1e308, 10**300, *LARGE_EDGES)
    return chance.choice(simple) if chance.random() < 0.6 else chance.choice(WORDS)


def _twice(text: str, chance: Random) -> str:
    """The text with one of its keys written twice."""
    keys = list(re.finditer(r'"[^"\\]*": ', text))
    if not keys:
        return text + text
    match = chance.choice(keys)
    return f"{text[: match.start()]}{match.group()}1, {text[match.start() :]}"
