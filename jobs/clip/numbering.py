"""The order of numbered files: by the last number of the name, without gaps or doubles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from pathlib import PurePosixPath

from actors.core.errors import InputError
from actors.files.storage import Entry

_LAST_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")
_SHOWN = 5


def number_of(name: str) -> int | None:
    """The last decimal number in a file name without its suffix: 7 for ``clip2_frame_0007.png``."""
    match = _LAST_NUMBER.search(PurePosixPath(name).stem)
    return None if match is None else int(match.group())


def in_order(entries: Iterable[Entry], folder: str) -> list[Entry]:
    """The entries sorted by number.

    Exports count from 0 or from 1, so the first number may be anything and only the position counts.

    Raises:
        InputError: a name has no number, two names have the same one, or numbers are missing in between.
    """
    numbered: dict[int, Entry] = {}
    for item in entries:
        number = number_of(item.name)
        if number is None:
            raise InputError(
                item.path, "no number in its name", f"move it out of {folder}, or number it like the others"
            )
        if number in numbered:
            raise InputError(
                folder,
                f"{numbered[number].name} and {item.name} have the same number",
                "keep one file for each frame",
            )
        numbered[number] = item
    require_contiguous(sorted(numbered), folder, "frames")
    return [numbered[number] for number in sorted(numbered)]


def require_contiguous(numbers: Sequence[int], subject: str, what: str) -> None:
    """Checks that ascending ``numbers`` leave none out.

    Raises:
        InputError: some are left out; the first of them are named.
    """
    if not numbers:
        return
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing == 0:
        return
    gaps = (m for low, high in pairwise(numbers) for m in range(low + 1, high))
    shown = ", ".join(str(number) for number in islice(gaps, _SHOWN))
    more = f", ... ({missing} in all)" if missing > _SHOWN else ""
    raise InputError(
        subject,
        f"{what} missing: {shown}{more} (there are {numbers[0]} to {numbers[-1]})",
        "extract or export them again, or number what is there without gaps",
    )
