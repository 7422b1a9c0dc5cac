"""What a file that is no ONNX model is instead, and what to do about it."""

from __future__ import annotations

import re
import zipfile
from typing import IO

from actors.core.errors import InputError

# As much of a file as tells what it is.
HEAD = 4096

AGAIN = "fetch it again"
EXPORT = "give its export: torch.onnx.export writes one"
UNPACK = "unpack it, and give the .onnx file inside"
CONVERT = "convert it to ONNX: tf2onnx does"
SWAPPED = "give the .onnx file: are two options swapped?"

# How a pointer begins that Git leaves where LFS has not fetched a file, and what to do about it.
LFS_POINTER, LFS_PULL = b"version https://git-lfs", "run: git lfs pull"

# What stands at a place near a file's beginning, what the file is and what to do. The first that fits counts.
SIGNS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, LFS_POINTER, "is a Git LFS pointer, the model itself was not fetched", LFS_PULL),
    (4, b"ORTM", "is in ONNX Runtime's own ORT format", "give the .onnx file that it was made of"),
    (4, b"TFL3", "is a TensorFlow Lite model", "convert it to ONNX: tf2onnx --tflite does"),
    (0, b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes", CONVERT),
    (0, b"GGUF", "is a GGUF file", "give a network in ONNX"),
    (0, b"ptrt", "is a TensorRT engine", "give the .onnx file that it was made of"),
    (0, b"ftrt", "is a TensorRT engine", "give the .onnx file that it was made of"),
    (0, b"\x1f\x8b", "is compressed by gzip", UNPACK),
    (0, b"BZh", "is compressed by bzip2", UNPACK),
    (0, b"\xfd7zXZ", "is compressed by xz", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "is compressed by zstd", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive", UNPACK),
    (0, b"Rar!", "is a RAR archive", UNPACK),
    (257, b"ustar", "is a tar archive", UNPACK),
    (0, b"\x93NUMPY", "is a NumPy array", SWAPPED),
    (0, b"\x89PNG", "is a picture", SWAPPED),
    (0, b"\xff\xd8\xff", "is a picture", SWAPPED),
    (0, b"RIFF", "is a recording or a picture", SWAPPED),
    (4, b"ftyp", "is a video or a recording", SWAPPED),
    (0, b"\x00asm", "is a WebAssembly module", "give an exported .onnx file"),
    (0, b"\x7fELF", "is a program", "give an exported .onnx file"),
)
# The same of texts, in small letters and without what is blank before them.
TEXTS: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"<!doctype html|<html|<head",
        "is a web page, not what it links to",
        "download the file itself: sign in or agree",
    ),
    (rb"(<\?xml[^>]*>\s*)?<net\b", "is OpenVINO's description of a network", "give the ONNX file that it was made of"),
    (rb"<\?xml|<error", "is XML, as a server's answer is where a download fails", AGAIN),
    (rb"[{\[]", "is JSON", SWAPPED),
    (rb"7767517", "is an ncnn network", "give the ONNX file that it was made of"),
)


def check_head(path: str, file: IO[bytes], size: int) -> None:
    """Looks at a file's beginning.

    Args:
        path: of the file, for messages.
        file: the file, open and seekable; left at its beginning.
        size: its bytes.

    Raises:
        InputError: it is known to be something else than an ONNX model.
    """
    head = file.read(HEAD)
    said = _known(head, file, size)
    if said is not None:
        raise InputError(path, *said)
    file.seek(0)


def not_onnx_error(path: str, content: bytes, error: Exception | None) -> InputError:
    """Why a file that looked like a model is none.

    Args:
        path: of the file.
        content: all of it.
        error: why it cannot be parsed; ``None`` where it can, but holds no network.
    """
    missing = _missing(content)
    if missing:
        return InputError(path, f"is cut off: at least {missing} bytes are missing", AGAIN)
    if any(word in content for word in (b"Placeholder", b"saved_model", b"tensorflow", b"serving_default")):
        return InputError(path, "is a TensorFlow graph", CONVERT)
    if error is None:
        return InputError(path, "not an ONNX network: it has no graph", "give an exported .onnx file")
    return InputError(path, f"not an ONNX file ({type(error).__name__})", "give an exported .onnx file")


def _known(head: bytes, file: IO[bytes], size: int) -> tuple[str, str] | None:
    if not head:
        return "is empty", "fetch or export it again"
    if not head.strip(b"\0"):
        return "begins with nothing but zeros", AGAIN
    if head.startswith(b"PK\x03\x04"):
        return _archive(file)
    for start, sign, what, fix in SIGNS:
        if head.startswith(sign, start):
            return what, fix
    return _weights(head, size) or _text(head)


def _weights(head: bytes, size: int) -> tuple[str, str] | None:
    # Pickles of protocol 2 and up; no model of ONNX begins so.
    if head[:1] == b"\x80" and 2 <= head[1] <= 5:
        return "is a pickle, as PyTorch writes checkpoints", EXPORT
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= length <= size - 8:
        return "is a safetensors file: weights without a network", EXPORT
    return None


def _text(head: bytes) -> tuple[str, str] | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for pattern, what, fix in TEXTS:
        if re.match(pattern, text):
            return what, fix
    try:
        words = head.decode()
    except UnicodeDecodeError:
        return None
    if all(letter.isprintable() or letter.isspace() for letter in words):
        return "is a text file", "give an exported .onnx file"
    return None


def _archive(file: IO[bytes]) -> tuple[str, str]:
    """What a zip archive is by the names in it; nothing in it is read."""
    file.seek(0)
    try:
        names = zipfile.ZipFile(file).namelist()
    except NotImplementedError as error:
        # The archive asks for a later version of the format than the library knows.
        return f"is a zip archive that cannot be read here ({error})", UNPACK
    except (zipfile.BadZipFile, ValueError):
        return (
            "is a damaged zip archive, or a checkpoint of PyTorch that is cut off",
            f"{AGAIN}; if it is whole, {EXPORT}",
        )
    if any("/code/" in name for name in names):
        return "is a TorchScript archive", EXPORT
    if any(name.endswith(("data.pkl", "/version")) for name in names):
        return "is a PyTorch checkpoint: weights without a network", EXPORT
    if any(name.endswith((".weights.h5", "metadata.json")) for name in names):
        return "is a Keras model", CONVERT
    return "is a zip archive", UNPACK


def _missing(content: bytes) -> int:
    """How many bytes a file lacks at least, if it is of protobuf's parts and ends within one; 0 if not."""
    at, end = 0, len(content)
    while at < end:
        key, at = _number(content, at)
        kind = key & 7
        if kind == 0:
            _, at = _number(content, at)
        elif kind == 2:
            length, at = _number(content, at)
            at += length
        elif kind in {1, 5}:
            at += 8 if kind == 1 else 4
        else:
            return 0
        # The fields of a model; anything else is no model, so that nothing is known of its length.
        if not 1 <= key >> 3 <= 26:
            return 0
    return at - end


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends; one that is cut off reads as if a byte were missing."""
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    return value, max(at, len(content) + 1)
