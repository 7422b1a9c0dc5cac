"""What fuzzing has found, one test each: the smallest input that showed it, and what must come of it instead."""

from __future__ import annotations

import json
import os
import signal
import struct
import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import pytest
from guarded import run_guarded
from numpy.typing import NDArray
from onnx import TensorProto, helper

from actors.core.choices import Delivery, Device, ImageFormat, Interpolation
from actors.core.clip import FaceBox, ImageFrames
from actors.core.errors import InputError
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model
from actors.network.session import Session, SessionOptions
from actors.rendering.blocks import BlockRequest, PictureBlock, load_block
from jobs.clip import read_clip, read_features
from jobs.clip.images import image_files, read_images
from jobs.clip.landmarks import face_square, landmark_files, read_landmarks
from jobs.clip.notes import Notes
from jobs.clip.package_info import check_package_info
from jobs.clip.video_source import read_video

PNG = Delivery(ImageFormat.PNG, 0, video=False)

SMALL = replace(UNET_328, name="small", crop=24, inner=16, mask=(2, 2, 12, 12))
WIDTH, HEIGHT = 64, 48
# The longest number that Python's JSON reads is also the longest that it prints.
LONGEST_NUMBER = "9" * 4300


def require_line(read: Callable[[], object]) -> None:
    """The input is refused, in one printable line of bounded length."""
    with pytest.raises(InputError) as caught:
        read()
    message = str(caught.value)
    assert message.isprintable(), message[:300]
    assert len(message) <= 600, message[:300]


def npy(path: Path, header: str) -> str:
    text = f"{header}\n".encode("latin1")
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(3 * 512 * 4))
    return str(path)


def picture(index: int = 0) -> NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8)


def described(path: Path, inputs: list[tuple[str, list[int]]]) -> str:
    """A network that takes ``inputs``."""
    taken = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs]
    given = [helper.make_tensor_value_info("shown", TensorProto.FLOAT, [1, 3, 320, 320])]
    graph = helper.make_graph([helper.make_node("Nope", [], ["shown"], domain="acme")], "described", taken, given)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(proto.SerializeToString())
    return str(path)


def test_a_side_of_thousands_of_digits(tmp_path: Path) -> None:
    shape = f"(0x{'f' * 9000}, 512)"
    path = npy(tmp_path / "f.npy", f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}")
    require_line(lambda: read_features(path, UNET_328))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("'<f4'", f"({'1, ' * 3000})"),
        ("'<f4'", f"(-1, {'1, ' * 3000})"),
        ("'<f4'", f"({'9' * 4000}, 512)"),
        (str([(f"a{i}", "<f4") for i in range(300)]), "(3, 512)"),
    ],
    ids=["many sides", "a negative side", "a large side", "many fields"],
)
def test_a_header_that_goes_on_and_on(tmp_path: Path, kind: str, shape: str) -> None:
    path = npy(tmp_path / "f.npy", f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}")
    require_line(lambda: read_features(path, UNET_328))


def test_python_does_not_comment_on_a_header(tmp_path: Path) -> None:
    path = npy(tmp_path / "f.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 512or 2)}")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        require_line(lambda: read_features(path, UNET_328))
    assert [str(warning.message) for warning in told] == []


def binary_export(folder: Path, start: str, *, full_frames: bool) -> str:
    folder.mkdir()
    np.zeros((3, *SMALL.planes), "<f4").tofile(folder / "visual_input.bin")
    np.zeros((3, *SMALL.audio), "<f4").tofile(folder / "audio_input.bin")
    (folder / "metadata.json").write_text(f'{{"format": "BGR", "start_frame": {start}}}')
    if full_frames:
        (folder / "crop_rects.json").write_text(json.dumps([[4, 6, 24, 26]] * 5))
        for index in range(5):
            cv2.imwrite(str(folder / f"{index}.png"), picture(index))
    return str(folder)


@pytest.mark.parametrize("full_frames", [False, True])
@pytest.mark.parametrize("start", ["1" + "0" * 600, LONGEST_NUMBER], ids=["large", "largest"])
def test_an_export_that_starts_beyond_everything(tmp_path: Path, start: str, full_frames: bool) -> None:
    folder = binary_export(tmp_path / "clip", start, full_frames=full_frames)
    require_line(lambda: read_clip(folder, boxes=None, box=None, kind=SMALL))


def test_a_package_of_countless_frames(tmp_path: Path) -> None:
    info = f'{{"videos": {{"full_body_img": {{"frame_count": {LONGEST_NUMBER}}}}}}}'
    (tmp_path / "package_info.json").write_text(info)
    notes = Notes()
    try:
        check_package_info(str(tmp_path), ImageFrames(("0.png",), WIDTH, HEIGHT), notes)
    except InputError as error:
        notes.warnings.append(str(error))
    assert all(len(line) <= 600 for line in [*notes.found, *notes.warnings])


def test_points_of_hundreds_of_digits(tmp_path: Path) -> None:
    digits = "9" * 1000
    lines = ["1 2"] * 109 + [f"{digits} {digits}e"]
    (tmp_path / "0.lms").write_text("\n".join(lines))

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, give_up)
    # Processor seconds, of which a good reader takes thousandths.
    signal.setitimer(signal.ITIMER_PROF, 1.5)
    try:
        require_line(lambda: face_square((tmp_path / "0.lms").read_bytes(), "0.lms"))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("name", ["a\nb.lms", "\x1b[2J.lms"], ids=["a line break", "an escape sequence"])
def test_a_file_name_that_is_not_for_the_terminal(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no number")
    require_line(lambda: read_landmarks(str(tmp_path), landmark_files(str(tmp_path))))


def test_frames_with_numbers_as_long_as_names_may_be(tmp_path: Path) -> None:
    for last in "17":
        cv2.imwrite(str(tmp_path / f"{'9' * 220}{last}.png"), picture())
    require_line(lambda: read_images(str(tmp_path), image_files(str(tmp_path)), Notes()))


def test_a_file_name_that_is_not_utf_8(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), picture())
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff1.png"))).write_bytes((tmp_path / "0.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    require_line(lambda: read_images(str(tmp_path), image_files(str(tmp_path)), Notes()))


@pytest.mark.parametrize(
    "inputs",
    [[("a\nb", [1, 2])], [("\x1b[2J", [1, 2])], [("a" * 5000, [1])], [(f"a{i}", [1, 2]) for i in range(400)]],
    ids=["a line break", "an escape sequence", "a long name", "many inputs"],
)
def test_a_network_whose_tensors_are_not_for_the_terminal(tmp_path: Path, inputs: list[tuple[str, list[int]]]) -> None:
    path = described(tmp_path / "m.onnx", inputs)
    require_line(lambda: read_model(path, UNET_328))


@pytest.mark.parametrize("operator", ["x" * 5000, "\x1b[2J"], ids=["a long name", "an escape sequence"])
def test_a_network_whose_operators_are_not_for_the_terminal(tmp_path: Path, operator: str) -> None:
    path = described(tmp_path / "m.onnx", [("a", [1, 6, 320, 320]), ("b", [1, 32, 16, 16])])
    proto = onnx.load(path)
    proto.graph.node[0].op_type = operator
    onnx.save(proto, path)
    require_line(lambda: read_model(path, UNET_328))
    # One that claims to be the runtime's own is only missed when a session is built.
    proto.graph.node[0].domain = ""
    onnx.save(proto, path)
    tensors = read_model(path, UNET_328)
    require_line(lambda: Session(path, tensors, UNET_328, SessionOptions(Device.CPU)))


@pytest.mark.parametrize("name", ["a\0b", "a\nb"], ids=["a NUL", "a line break"])
def test_a_network_whose_weights_have_an_impossible_name(tmp_path: Path, name: str) -> None:
    path = described(tmp_path / "m.onnx", [("a", [1, 6, 320, 320]), ("b", [1, 32, 16, 16])])
    proto = onnx.load(path)
    weights = proto.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=name)
    Path(path).write_bytes(proto.SerializeToString())
    require_line(lambda: read_model(path, UNET_328))


def test_a_picture_whose_chunk_claims_gigabytes(tmp_path: Path) -> None:
    folder = tmp_path / "full_body_img"
    folder.mkdir()
    content = bytearray(cv2.imencode(".png", picture())[1].tobytes())
    at = content.index(b"IDAT")
    content[at - 4 : at] = struct.pack(">I", 0x7FFFFF00)
    (folder / "0.png").write_bytes(content)
    (tmp_path / "crop_rects.json").write_text("[[4, 6, 24, 26]]")
    (report,) = run_guarded(folder, ("clip", tmp_path, tmp_path))
    assert report.outcome.startswith("refused: ")
    assert report.grown < 256 << 20


def test_an_avi_with_b_frames_and_close_keyframes_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.max_b_frames = 2
        stream.codec_context.gop_size = 3
        for index in range(7):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        container.mux(stream.encode())
    video = read_video(str(path))
    boxes = (FaceBox(4, 6, 24, 26),) * len(video)
    block, _ = load_block(BlockRequest(0, video, boxes, Interpolation.LINEAR, delivery=PNG), SMALL)
    assert isinstance(block, PictureBlock)
    assert block.canvases is not None
    assert isinstance(block.canvases.files, np.ndarray)
    assert np.abs(block.canvases.files.mean(axis=(1, 2, 3)) - 20 * np.arange(7)).max() < 6
