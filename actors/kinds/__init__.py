"""Every kind of network, one module each, found by looking through this package.

A module describes one kind, as its ``KIND``; one whose name begins with an underscore holds what several share. Nothing
outside of this package names a kind.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache

from actors.core.errors import InputError
from actors.core.kind import ModelKind


@cache
def all_kinds() -> tuple[ModelKind, ...]:
    """Every kind, in the order of their names.

    Raises:
        ValueError: a module's name is not that of its kind.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    kinds: list[ModelKind] = [importlib.import_module(f"{__name__}.{name}").KIND for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if kind.name.replace("-", "_") != name:
            raise ValueError(f"the module {name} describes the kind {kind.name}")
    return tuple(kinds)


def kinds_named(name: str | None) -> tuple[ModelKind, ...]:
    """The kind of this name alone, or every kind where none is named.

    Raises:
        InputError: there is no such kind.
    """
    if name is None:
        return all_kinds()
    found = tuple(kind for kind in all_kinds() if kind.name == name)
    if not found:
        similar = get_close_matches(name, [kind.name for kind in all_kinds()], cutoff=0.0)
        raise InputError(
            f"--kind {name}", f"there is no such kind; similar are {', '.join(similar)}", "mouthpiece kinds lists all"
        )
    return found
