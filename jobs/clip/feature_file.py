"""Audio features from ``.npy`` files, read without NumPy's own loader: header first, against the file's size."""

from __future__ import annotations

import io
import math
import tokenize
import warnings

import numpy as np
from numpy.typing import NDArray

from actors.core.errors import InputError, error_text
from actors.core.kind import ModelKind
from actors.files import storage
from jobs.clip.files import as_input_errors, exactly, file_at

# The format allows 64 KiB; a header of plain numbers takes 128 bytes.
_HEADER_LIMIT = 1 << 16
_WIDTHS = (2, 4, 8)
# No array in memory has a longer side.
_LARGEST = 1 << 48
_SAVE = "save it by numpy.save as float32"


def read_features(path: storage.AnyPath, kind: ModelKind) -> NDArray[np.float32]:
    """The audio features of a clip, one row for each output frame.

    Args:
        path: a ``.npy`` file of float16, float32 or float64.
        kind: says the shape of a row.

    Returns:
        ``(T, *kind.feature)`` float32, finite, C-contiguous, with T at least 1.

    Raises:
        InputError: anything else, without having allocated more than the file's size.
    """
    size = file_at(path).size
    name = str(path)
    with as_input_errors(name), storage.open_input(path) as file:
        shape, fortran, dtype, start = _header(file.read(_HEADER_LIMIT), name)
        row = "x".join(str(side) for side in kind.feature)
        if len(shape) != 1 + len(kind.feature) or shape[1:] != kind.feature or shape[0] < 1:
            raise InputError(
                name, f"shape {shape} is not (T, {row}) with at least one row", "give one feature row per frame"
            )
        if dtype.kind != "f" or dtype.itemsize not in _WIDTHS:
            raise InputError(name, f"holds {dtype}, not floating-point numbers", _SAVE)
        needed = start + math.prod(shape) * dtype.itemsize
        if needed != size:
            state = "truncated" if size < needed else "damaged"
            raise InputError(
                name, f"{state}: its header asks for {needed} bytes, it has {size}", "copy or save it again"
            )
        data = exactly(file, start, size - start)
    stored = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.ascontiguousarray(stored, dtype=np.float32)
    require_finite(rows, name, "row")
    return rows


def require_finite(rows: NDArray[np.float32], path: str, what: str) -> None:
    """Checks that every value along every row is a finite number.

    Raises:
        InputError: the first row with one that is not.
    """
    bad = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
    if bad.size:
        raise InputError(
            path,
            f"{what} {bad[0]} holds values that are not finite numbers ({bad.size} of {len(rows)} {what}s do)",
            "compute the features again from clean audio",
        )


def _header(head: bytes, path: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Shape, Fortran order, type and the offset of the data (``numpy.lib.format``)."""
    stream = io.BytesIO(head)
    try:
        with warnings.catch_warnings():
            # NumPy warns about headers written by Python 2, Python about odd literals; what counts is what they hold.
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
            else:
                raise InputError(path, f"its .npy format version {version} is not for plain numbers", _SAVE)
    # The header is a Python literal; a damaged one fails in NumPy, in the tokeniser or in the parser.
    except (
        ValueError,
        TypeError,
        SyntaxError,
        tokenize.TokenError,
        RecursionError,
        MemoryError,
        OverflowError,
    ) as error:
        raise InputError(path, f"not a .npy file of numbers ({error_text(error)})", _SAVE) from error
    if dtype.hasobject:
        raise InputError(path, "holds pickled Python objects, which are never read", _SAVE)
    if not all(isinstance(side, int) and not isinstance(side, bool) and 0 <= side < _LARGEST for side in shape):
        raise InputError(path, "its shape makes no sense", _SAVE)
    return shape, fortran, dtype, stream.tell()
