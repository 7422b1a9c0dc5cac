"""What is no model is told for what it is, with what to do about it: network and encoder alike."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import small

from actors.core.errors import InputError
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.audio_encoder import read_encoder
from actors.network.recognition import read_model


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, b"content")
    return file.getvalue()


def later_archive() -> bytes:
    """Its directory asks for version 9.9 of the format; there is 6.3."""
    content = bytearray(archive("model.onnx"))
    content[content.index(b"PK\x01\x02") + 6] = 99
    return bytes(content)


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        made.addfile(tarfile.TarInfo("model.onnx"))
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
# What stands in the file, what it is called and a word of what is to be done.
OTHERS: dict[str, tuple[bytes, str, str]] = {
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS", "git lfs pull"),
    "web page": (b"\n <!DOCTYPE html><html><body>Sign in</body></html>", "web page", "download"),
    "server's answer": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML", "fetch"),
    "openvino": (b'<?xml version="1.0"?>\n<net name="m" version="11"><layers/></net>', "OpenVINO", "ONNX"),
    "json": (b'{"layers": []}', "JSON", "swapped"),
    "text": ("Netzwerk für später\n".encode(), "text", ".onnx"),
    "checkpoint": (archive("m/data.pkl", "m/data/0"), "PyTorch checkpoint", "torch.onnx.export"),
    "torchscript": (archive("m/data.pkl", "m/code/__torch__.py"), "TorchScript", "torch.onnx.export"),
    "keras": (archive("config.json", "metadata.json", "model.weights.h5"), "Keras", "tf2onnx"),
    "zip": (archive("model.onnx"), "zip archive", "unpack"),
    "cut zip": (archive("m/data.pkl")[:40], "damaged zip", "again"),
    "later zip": (later_archive(), "zip file version 9.9", "unpack"),
    "pickle": (pickle.dumps({"w": [1.5]}), "pickle", "torch.onnx.export"),
    "safetensors": (struct.pack("<Q", len(HEADER)) + HEADER + b"\0\0\0\0", "safetensors", "torch.onnx.export"),
    "ort": (b"\x20\0\0\0ORTM" + bytes(64), "ORT format", ".onnx"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite", "tf2onnx"),
    "tensorflow": (b"\x0a\x14\x0a\x01x\x12\x0bPlaceholder\x1a\x02in", "TensorFlow", "tf2onnx"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5", "tf2onnx"),
    "gzip": (gzip.compress(b"model"), "gzip", "unpack"),
    "tar": (tar(), "tar", "unpack"),
    "features": (array(), "NumPy", "swapped"),
    "picture": (cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes(), "picture", "swapped"),
    "nothing": (b"", "empty", "again"),
    "zeros": (bytes(5000), "zeros", "again"),
    "noise": (bytes(range(128, 256)), "not an ONNX file", ".onnx"),
    "no graph": (b"\x08\x08", "no graph", ".onnx"),
}


def refusals(path: Path) -> list[InputError]:
    found = []
    for read in (lambda: read_model(str(path), UNET_328), lambda: read_encoder(str(path))):
        with pytest.raises(InputError) as caught:
            read()
        assert caught.value.subject == str(path)
        assert "\n" not in str(caught.value)
        found.append(caught.value)
    return found


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_model_is_told_for_what_it_is(tmp_path: Path, name: str) -> None:
    content, what, fix = OTHERS[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    for error in refusals(path):
        assert what in error.problem
        assert fix in error.fix


def test_a_model_that_is_cut_off_says_so(tmp_path: Path) -> None:
    whole = small.write_model(tmp_path / "whole.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    for keep in (len(whole) // 100, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:keep])
        for error in refusals(path):
            assert "cut off" in error.problem
            assert error.fix == "fetch it again"


def test_a_folder_names_the_model_in_it(tmp_path: Path) -> None:
    for error in refusals(tmp_path):
        assert "is a folder" in error.problem
    small.write_model(tmp_path / "only.onnx")
    assert [error.fix for error in refusals(tmp_path)] == [
        f"{flag} {tmp_path}/only.onnx" for flag in ("--model", "--encoder")
    ]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for error in refusals(tmp_path / "pipe"):
        assert "pipe" in error.problem
