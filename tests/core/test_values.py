"""The small values that everything else is made of: rectangles, parts of sources, errors, the timing schema."""

import copy
import re
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clip import Clip, FaceBox, ImageFrames, PlaneFile, VideoFrames
from actors.core.errors import ExitCode, InputError, NoCudaError, StoppedError, printable
from actors.core.timings import SCHEMA, STAGES, FrameTiming, to_table
from actors.core.video_packets import KeyPacket, Packets
from actors.kinds.unet_328_ave import KIND as UNET_328

SOURCES = [
    ImageFrames(tuple(f"/c/{i}.png" for i in range(10)), 64, 48),
    VideoFrames(
        "/c/v.mp4",
        tuple(range(0, 100, 10)),
        (0, 2, 1, 3, 5, 4, 6, 8, 7, 9),
        Fraction(1, 250),
        Packets(0, bytes(range(80)), tuple(KeyPacket(i, i * 10, i * 10) for i in (0, 3, 4, 5, 6, 8)), 2),
        64,
        48,
        None,
    ),
    PlaneFile("/c/visual_input.bin", 5, 10),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
@given(st.data())
def test_a_part_has_the_frames_between(source: ImageFrames | VideoFrames | PlaneFile, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 9))
    stop = data.draw(st.integers(start + 1, 10))
    part = source.part(start, stop)
    assert len(part) == stop - start
    inner = data.draw(st.integers(0, len(part) - 1))
    again = part.part(inner, len(part))
    assert again == source.part(start + inner, stop)
    if isinstance(part, ImageFrames) and isinstance(source, ImageFrames):
        assert part.paths == source.paths[start:stop]
    if isinstance(part, VideoFrames) and isinstance(source, VideoFrames):
        assert part.timestamps == source.timestamps[start:stop]
        packets = part.packets
        assert part.places == source.places[start:stop]
        # The three keyframes before are still there, and every packet from there to the last frame's.
        starts = [key.place for key in source.packets.keys if key.place <= min(part.places)][-3:]
        assert [key.place for key in packets.starts(min(part.places))] == starts[::-1]
        assert packets.first == starts[0]
        assert packets.stop == min(max(part.places) + 2, 10)
        for place in range(packets.first, packets.stop):
            assert packets.digest(place) == bytes(range(8 * place, 8 * place + 8))
    if isinstance(part, PlaneFile):
        assert part.first == 5 + start


@given(st.tuples(*[st.integers(-3, 12)] * 4))
def test_a_rect_is_inside_when_all_its_pixels_exist(sides: tuple[int, int, int, int]) -> None:
    box = FaceBox(*sides)
    pixels = {(x, y) for x in range(box.x0, box.x1) for y in range(box.y0, box.y1)}
    frame = {(x, y) for x in range(10) for y in range(8)}
    assert box.inside(10, 8) == (bool(pixels) and pixels <= frame)
    if pixels:
        assert len(pixels) == box.width * box.height


def test_a_clip_counts_what_the_network_is_fed_from() -> None:
    frames, planes = SOURCES[0], SOURCES[2]
    assert isinstance(frames, ImageFrames)
    assert isinstance(planes, PlaneFile)
    boxes = (FaceBox(0, 0, 9, 9),) * 10
    whole = Clip("c", "/c", "dataset", frames, None, boxes, None, None, 0, None, (), ())
    bare = Clip("c", "/c", "binary", None, planes.part(0, 4), None, None, "/c/a.bin", 4, None, (), ())
    assert (whole.backgrounds, bare.backgrounds) == (10, 4)


def test_the_kind_is_that_of_the_facts() -> None:
    assert UNET_328.border == 4
    assert UNET_328.planes == (6, 320, 320)
    assert UNET_328.output == (3, 320, 320)
    assert (UNET_328.rows * UNET_328.feature[0],) == (32 * 16 * 16,)


@pytest.mark.parametrize(
    "error",
    [
        InputError("clip/1.png", "is not a whole image", "write it again"),
        NoCudaError("--device cuda", "there is no GPU", "use --device cpu"),
        StoppedError("the disk is full", "make room"),
    ],
)
def test_errors_survive_the_way_from_a_worker(error: Exception) -> None:
    # Ray rebuilds an exception by the same protocol as this: from its class, its arguments and its attributes.
    back = copy.copy(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_errors_are_one_line_that_names_subject_problem_and_fix() -> None:
    assert str(InputError("a.png", "is gone", "put it back")) == "a.png: is gone; put it back"
    assert str(StoppedError("the disk is full", "make room")) == "the disk is full; make room"


def test_only_the_words_of_others_are_shortened() -> None:
    command = f"ffmpeg -i {'long/' * 100}in.mov out.mp4"
    said = str(InputError("a" * 1000, "b" * 1000, command))
    assert said.endswith(f"; {command}")
    assert re.match(r"a{118}\.\.\.a{118}: b{118}\.\.\.b{118}; ", said)
    assert str(StoppedError("c" * 1000, command)) == f"{'c' * 1000}; {command}"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[31mred\x07\x9b", "\\x1b[31mred\\x07\\x9b"),
        ("fdp\u202e.exe\u2066", "fdp\\u202e.exe\\u2066"),
        ("\udcb2\udce2.wav", "\\udcb2\\udce2.wav"),
        ("line\u2028end\x85", "line\\u2028end\\x85"),
        ("[bold]x[/bold] {0} %s", "[bold]x[/bold] {0} %s"),
        ("测试 é", "测试 é"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_instead(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown
    assert str(InputError(hostile, hostile, hostile)) == f"{shown}: {shown}; {shown}"
    assert str(StoppedError(hostile, hostile)) == f"{shown}; {shown}"


def test_exit_codes_are_those_that_are_promised() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 130]


def timing(frame: int) -> FrameTiming:
    numbers = dict.fromkeys(STAGES, 0.25)
    place = {"range_id": "r", "batch_id": 0, "batch_size": 1, "worker": 3, "node": "n", "pid": 9}
    rest = {"device": "cpu", "provider": "CPU", "started_at": 1.5, "bytes": 2**40, "checksum": "ab"}
    segment = {"seam": 1.0, "seam_at": "mask", "segment": "", "segment_bytes": 0, "segment_checksum": ""}
    values = {"frame": frame, "background": 1, "face": "detected", **place, **rest, **numbers, **segment}
    return FrameTiming(**values)  # type: ignore[arg-type]


def test_the_schema_has_one_column_for_each_field_and_no_nulls() -> None:
    assert SCHEMA.names == [field.name for field in fields(FrameTiming)]
    assert not any(field.nullable for field in SCHEMA)
    assert set(STAGES) <= set(SCHEMA.names)


def test_timings_become_a_table_and_back() -> None:
    rows = [timing(3), timing(4)]
    table = to_table(rows)
    assert table.schema == SCHEMA
    assert [FrameTiming(**row) for row in table.to_pylist()] == rows
    assert to_table([]).schema == SCHEMA
    assert isinstance(table, pa.Table)


def test_fragments_are_written_and_read_without_pandas() -> None:
    """It takes most of a second to import, in the driver and in every worker."""
    code = (
        "import sys; from dataclasses import fields;"
        "from actors.core.timings import FrameTiming, from_parquet, to_parquet, to_table;"
        "values = {'int': 1, 'float': 0.5, 'str': 'a'};"
        "rows = [FrameTiming(**{field.name: values[field.type] for field in fields(FrameTiming)})];"
        "assert from_parquet(to_parquet(to_table(rows))).num_rows == 1;"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_worker_loads_no_video_library_until_it_needs_one() -> None:
    code = "import sys; import actors.rendering.compositor; assert 'cv2' in sys.modules; assert 'av' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
