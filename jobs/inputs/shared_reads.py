"""What several clips of one command have in common, read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from actors.core.errors import InputError

T = TypeVar("T")

# Networks and clips that are remembered: those used last. Clips of thousands of frames take megabytes each.
MOST = 32


class SharedReads:
    """Values by what they were read of; what could not be used is remembered as well.

    A file that changes meanwhile is not read again: whoever renders from it compares it with what was read.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, object] = OrderedDict()

    def once(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives, or gave before for the same key.

        Raises:
            InputError: as `read` does, or did.
        """
        if key not in self._kept:
            try:
                self._kept[key] = read()
            except InputError as error:
                self._kept[key] = error
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found = self._kept[key]
        if isinstance(found, InputError):
            # Without where it was raised before, which would only grow.
            raise found.with_traceback(None)
        return cast("T", found)
