import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clip_inputs import PATIENT, given_or_refused
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.errors import InputError
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip import read_features

SHORT = replace(UNET_328, feature=(4,), audio=(4, 4, 4))


def saved(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_features_of_any_float_type_become_float32_rows(tmp_path: Path, dtype: str, order: str, rows: int) -> None:
    values = np.random.default_rng(rows).random((rows, 512)).astype(dtype)
    path = tmp_path / "f.npy"
    np.save(path, np.asfortranarray(values) if order == "F" else values)
    features = read_features(str(path), UNET_328)
    assert features.dtype == np.float32
    assert features.dtype.isnative
    assert features.flags.c_contiguous
    assert np.array_equal(features, values.astype(np.float32))


def test_a_kind_with_larger_rows_gets_them(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 2, 1024), np.float32)
    np.save(tmp_path / "f.npy", values)
    assert np.array_equal(
        read_features(str(tmp_path / "f.npy"), replace(UNET_328, feature=(2, 1024), audio=(32, 32, 32))), values
    )


@pytest.mark.parametrize("shape", [(512,), (512, 30), (1, 30, 512), (0, 512), (30, 511), ()])
def test_another_shape_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "f.npy"
    np.save(path, np.zeros(shape, np.float32))
    with pytest.raises(InputError) as caught:
        read_features(str(path), UNET_328)
    assert str(caught.value).startswith(f"{path}: shape {shape} is not (T, 512)")


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint8, np.bool_, np.complex64, np.longdouble, "U3", "M8[s]"])
def test_what_is_not_floating_point_is_refused(tmp_path: Path, dtype: type[np.generic] | str) -> None:
    path = tmp_path / "f.npy"
    np.save(path, np.zeros((20, 512), dtype))
    with pytest.raises(InputError, match="not floating-point numbers; save it by numpy"):
        read_features(str(path), UNET_328)


def test_pickled_objects_are_refused_without_being_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    np.save(path, np.array([[print] * 512] * 2, dtype=object))
    with pytest.raises(InputError, match="pickled Python objects, which are never read"):
        read_features(str(path), UNET_328)


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, "f4"), (np.inf, "f2"), (-np.inf, "f8"), (1e300, "f8")])
def test_the_first_row_that_is_not_finite_is_named(tmp_path: Path, value: float, dtype: str) -> None:
    path = tmp_path / "f.npy"
    values = np.zeros((30, 512), dtype)
    values[[17, 23], 5] = value
    np.save(path, values)
    with pytest.raises(InputError) as caught:
        read_features(str(path), UNET_328)
    assert str(caught.value).startswith(f"{path}: row 17 holds values that are not finite numbers (2 of 30 rows do)")


def test_every_truncation_and_an_appended_byte_are_refused(tmp_path: Path) -> None:
    whole = saved(np.zeros((2, 4), np.float32))
    path = tmp_path / "f.npy"
    for data in [*(whole[:keep] for keep in range(len(whole))), whole + b"\0"]:
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            read_features(str(path), SHORT)
        assert caught.value.subject == str(path)


def test_a_header_that_asks_for_terabytes_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    path.write_bytes(saved(np.zeros((7, 512), np.float32)).replace(b"(7, 512)", b"(999999999, 512)")[:4096])
    with pytest.raises(InputError, match="truncated: its header asks for 2047999998080 bytes, it has 4096"):
        read_features(str(path), UNET_328)


@pytest.mark.parametrize(
    "content", [b"no array", b"PK\x03\x04" + b"\0" * 60, b"\x93NUMPY\x03\x00" + b"\0" * 60, b"\x93NUMPY\x09\x09"]
)
def test_what_is_no_npy_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match="save it by numpy"):
        read_features(str(path), UNET_328)


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    os.mkfifo(path)
    with pytest.raises(InputError, match="is empty"):
        read_features(str(path), UNET_328)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npy: no such file"):
        read_features(str(tmp_path / "none.npy"), UNET_328)


@settings(PATIENT, max_examples=examples(300))
@given(data=st.data())
def test_a_damaged_file_gives_features_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(saved(np.ones((3, 4), np.float32)))
    for place in data.draw(st.lists(st.integers(0, 127), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(content)
    rows = given_or_refused(lambda: read_features(str(path), SHORT), path)
    assert rows is None or (rows.shape[1:] == (4,) and np.isfinite(rows).all())
