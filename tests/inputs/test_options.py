"""Options: one declaration behind flags, file, record and messages."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import in_process
import pytest
import typer
import typer.main
from small import SmallClip

from actors.core.choices import Blend, Device, ImageFormat, Interpolation, Loop
from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.__main__ import COMMANDS, application
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions, Decides, DeviceChoice, load_options

NEEDED = {"clip": "walker", "model": "m.onnx", "out": "run"}

# Issue 3: these may change between runs into one folder, all others decide pixels.
FREE = {
    "out",
    "frames",
    "workers",
    "threads",
    "batch",
    "gpus_per_worker",
    "tuned",
    "video",
    "address",
    "restart",
    "wait",
}


def flags_of_composite() -> dict[str, list[str]]:
    """Every parameter of the command and the names that users give it."""
    group: Any = typer.main.get_command(application(COMMANDS))
    return {param.name: param.opts + param.secondary_opts for param in group.commands["composite"].params}


def flags_of(command: str) -> set[str]:
    """The names that users give to a command's parameters."""
    group: Any = typer.main.get_command(application(COMMANDS))
    return {flag for param in group.commands[command].params for flag in param.opts}


def options(**flags: object) -> CompositeOptions:
    return load_options({**NEEDED, **flags}, None)


def refusal(config: Path | None = None, **flags: object) -> InputError:
    with pytest.raises(InputError) as caught:
        load_options({**NEEDED, **flags}, None if config is None else str(config))
    assert "\n" not in str(caught.value)
    return caught.value


def decided_by(name: str) -> tuple[str, ...]:
    declared = [part for part in CompositeOptions.model_fields[name].metadata if isinstance(part, Decides)]
    assert len(declared) == 1, f"{name} must be annotated with exactly one Decides"
    return declared[0].identity


@pytest.mark.parametrize("name", list(CompositeOptions.model_fields))
def test_every_option_declares_whether_it_changes_pixels(name: str) -> None:
    assert bool(decided_by(name)) == (name not in FREE)


def test_what_options_decide_is_the_identity_that_runs_are_compared_by(clip: SmallClip, model: Path) -> None:
    plain = options(clip=str(clip.folder), model=str(model))
    identity = read_inputs(plain).identity(plain, Device.CPU)
    assert {part for name in CompositeOptions.model_fields for part in decided_by(name)} == set(identity)


def test_options_are_named_like_flags() -> None:
    flags = flags_of_composite()
    # The file that holds options is no option itself; compositing is an option that has only an off switch.
    del flags["config"]
    assert {name.removesuffix("_") for name in flags} == set(CompositeOptions.model_fields)
    for name, given in flags.items():
        plain = name.removesuffix("_")
        expected = {"clip": "clip", "composite": "--no-composite"}.get(plain, f"--{plain.replace('_', '-')}")
        assert expected in given


def test_the_promised_flags_are_there() -> None:
    promised = "model out features rects rect frames workers batch gpus-per-worker device format quality video audio"
    promised += " loop interpolation no-composite address restart blend colour-match smooth-crops parsing"
    given = {flag for names in flags_of_composite().values() for flag in names}
    assert {f"--{name}" for name in promised.split()} <= given


def test_defaults() -> None:
    plain = options()
    assert (plain.device, plain.format) == (DeviceChoice.AUTO, ImageFormat.PNG)
    assert (plain.kind, plain.interpolation, plain.loop) == (None, None, None)
    assert (plain.workers, plain.batch, plain.gpus_per_worker) == (None, None, None)
    assert plain.composite
    assert not plain.video
    assert not plain.restart
    assert plain.face_box is None
    assert plain.image_format is ImageFormat.PNG


def test_filters_are_the_kinds_unless_one_is_given() -> None:
    kind = replace(UNET_328, crop_filter=Interpolation.AREA, paste_filter=Interpolation.LINEAR)
    assert options().filters(kind) == (Interpolation.AREA, Interpolation.LINEAR)
    assert options(interpolation="cubic").filters(kind) == (Interpolation.CUBIC, Interpolation.CUBIC)


@pytest.mark.parametrize(
    ("given", "quality"),
    [({}, 0), ({"format": "jpg"}, 95), ({"format": "webp"}, 101), ({"format": "jpg", "quality": 7}, 7)],
)
def test_quality_follows_the_format(given: dict[str, Any], quality: int) -> None:
    assert options(**given).image_quality == quality


def test_squares_are_pasted_as_upstream_unless_told_otherwise() -> None:
    plain = options()
    assert (plain.blend, plain.colour_match, plain.smooth_crops, plain.parsing) == (Blend.HARD, False, False, None)
    # What the network sees is smoothed without compositing too.
    assert options(smooth_crops=True, composite=False).smooth_crops


def test_nothing_is_written_without_compositing() -> None:
    assert options(composite=False).image_format is ImageFormat.NONE
    assert options(composite=False, format="jpg", quality=90).image_format is ImageFormat.NONE


def test_a_rect_is_a_corner_and_two_sides() -> None:
    assert options(rect="4,5,100,90").face_box == FaceBox(4, 5, 104, 95)


@pytest.mark.parametrize(
    ("frames", "expected"), [(None, (0, 40)), (":", (0, 40)), ("7:", (7, 40)), (":9", (0, 9)), ("39:40", (39, 40))]
)
def test_frames(frames: str | None, expected: tuple[int, int]) -> None:
    assert options(frames=frames).frame_range(40) == expected


@pytest.mark.parametrize("frames", ["0:0", "5:5", "9:7", "0:41", "40:41", "40:", ":0"])
def test_frames_out_of_range_are_refused(frames: str) -> None:
    with pytest.raises(InputError) as caught:
        options(frames=frames).frame_range(40)
    assert caught.value.subject == f"--frames {frames}"
    assert "0:40" in caught.value.fix


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"workers": 0}, "--workers"),
        ({"workers": 5000}, "--workers"),
        ({"workers": "many"}, "--workers"),
        ({"batch": 0}, "--batch"),
        ({"batch": 257}, "--batch"),
        ({"gpus_per_worker": 0}, "--gpus-per-worker"),
        ({"gpus_per_worker": -1}, "--gpus-per-worker"),
        ({"gpus_per_worker": 1.5}, "--gpus-per-worker"),
        ({"gpus_per_worker": float("nan")}, "--gpus-per-worker"),
        ({"device": "tpu"}, "--device"),
        ({"format": "gif"}, "--format"),
        ({"format": "jpg", "quality": 0}, "--quality"),
        ({"format": "jpg", "quality": 101}, "--quality"),
        ({"format": "webp", "quality": 102}, "--quality"),
        ({"quality": 90}, "--quality"),
        ({"format": "none", "quality": 90}, "--quality"),
        ({"loop": "twice"}, "--loop"),
        ({"interpolation": "lanczos"}, "--interpolation"),
        ({"rect": "1,2,3"}, "--rect"),
        ({"rect": "-1,2,3,4"}, "--rect"),
        ({"rect": "1,2,3,4,5"}, "--rect"),
        ({"rect": "a,b,c,d"}, "--rect"),
        ({"frames": "5"}, "--frames"),
        ({"frames": "-5:3"}, "--frames"),
        ({"frames": "1:2:3"}, "--frames"),
        ({"rects": "r.json", "rect": "1,2,3,4"}, "--rects and rect"),
        ({"video": True, "composite": False}, "--video"),
        ({"blend": "feather", "composite": False}, "--blend"),
        ({"colour_match": True, "composite": False}, "--colour-match"),
        ({"parsing": "masks", "composite": False}, "--parsing"),
        ({"blend": "soft"}, "--blend"),
        ({"wait": 0}, "--wait"),
        ({"wait": -3}, "--wait"),
        ({"mood": "good"}, "--mood"),
        ({"model": None}, "--model"),
        ({"clip": None}, "clip"),
    ],
    ids=str,
)
def test_what_is_not_valid_is_one_line_that_names_the_flag(given: dict[str, Any], subject: str) -> None:
    error = refusal(**given)
    assert error.subject == subject
    assert error.problem
    assert error.fix


def test_an_infinity_of_gpus_is_not_valid() -> None:
    assert refusal(gpus_per_worker=float("inf")).subject == "--gpus-per-worker"


@pytest.mark.parametrize("name", ["clip", "model", "out"])
def test_what_must_be_given_is_named(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load_options({key: value for key, value in NEEDED.items() if key != name}, None)
    assert caught.value.subject.removeprefix("--") == name
    assert caught.value.problem == "must be given"


def test_a_misspelt_name_comes_before_the_one_that_it_leaves_out() -> None:
    with pytest.raises(InputError) as caught:
        load_options({"clip": "walker", "modle": "m.onnx", "out": "run"}, None)
    assert (caught.value.subject, caught.value.problem) == ("--modle", "there is no such option")


def test_whole_gpus_and_shares_of_one_are_valid() -> None:
    assert [options(gpus_per_worker=share).gpus_per_worker for share in (0.01, 1, 3)] == [0.01, 1, 3]


def config_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mouth.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_flag_beats_the_file_and_the_file_the_default(tmp_path: Path) -> None:
    config = config_of(tmp_path, 'clip = "other"\nworkers = 3\nloop = "wrap"\ngpus-per-worker = 0.5\nformat = "jpg"\n')
    merged = load_options({**NEEDED, "workers": 5}, str(config))
    assert merged.clip == "walker"
    assert merged.workers == 5
    assert merged.loop is Loop.WRAP
    assert merged.gpus_per_worker == 0.5
    assert merged.format is ImageFormat.JPG
    assert merged.batch is None


def test_the_file_alone_is_enough(tmp_path: Path) -> None:
    config = config_of(tmp_path, 'clip = "c"\nmodel = "m"\nout = "o"\ncomposite = false\n')
    merged = load_options({}, str(config))
    # Files stand beside the one that names them, wherever the command runs.
    expected = (str(tmp_path / "c"), str(tmp_path / "m"), str(tmp_path / "o"), False)
    assert (merged.clip, merged.model, merged.out, merged.composite) == expected


def test_a_mark_of_the_encoding_is_no_part_of_the_file(tmp_path: Path) -> None:
    assert load_options(NEEDED, str(config_of(tmp_path, "\ufeffworkers = 3\n"))).workers == 3


def test_no_path_is_no_file() -> None:
    with pytest.raises(InputError, match="names no file"):
        load_options(NEEDED, "")


def test_options_that_the_file_does_not_know_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mouth.toml"
    assert refusal(config_of(tmp_path, "wrokers = 3\n")).subject == f"{path}: wrokers"
    assert refusal(config_of(tmp_path, "[machine]\nworkers = 3\n")).subject == f"{path}: machine"


def test_the_file_takes_every_flag_by_its_name(tmp_path: Path) -> None:
    text = "no-composite = true\nno_tuned = true\ncolour-match = false\nsmooth_crops = true\nretime = false\n"
    merged = load_options(NEEDED, str(config_of(tmp_path, text)))
    assert (merged.composite, merged.tuned, merged.smooth_crops) == (False, False, True)
    for names in flags_of_composite().values():
        for flag in names:
            if flag.startswith("--") and flag not in {"--config", "--help"}:
                error = refusal(config_of(tmp_path, f"{flag.removeprefix('--')} = [1]\n"))
                assert error.subject == f"{tmp_path / 'mouth.toml'}: {flag.removeprefix('--')}"
                assert error.problem.startswith("must be ")


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ('workers = "3"', "workers", "must be a whole number from 1 to 4096"),
        ("workers = true", "workers", "must be a whole number from 1 to 4096"),
        ("workers = 1.5", "workers", "must be a whole number from 1 to 4096"),
        ("workers = 0", "workers", "must be a whole number from 1 to 4096"),
        ('video = "yes"', "video", "must be true or false"),
        ("no-tuned = 1", "no-tuned", "must be true or false"),
        ('format = "gif"', "format", "must be one of png, jpg, webp, none"),
        ("format = 3", "format", "must be one of png, jpg, webp, none"),
        ("wait = -1.0", "wait", "must be a number above 0"),
        ("wait = nan", "wait", "must be a number above 0"),
        ("gpus-per-worker = 65", "gpus-per-worker", "must be a number above 0 and at most 64"),
        ("rect = [1, 2, 3, 4]", "rect", "must be X,Y,W,H"),
        ('rect = "1, 2, 3, 4"', "rect", "must be X,Y,W,H"),
        ('frames = "9"', "frames", "must be A:B"),
        ("clip = 3", "clip", "must be text in quotes"),
        ("parsing = 2026-01-01", "parsing", "must be text in quotes"),
        ("wait = 1\n'wait' = 2", "", "cannot be read as TOML"),
        ("gpus-per-worker = 1\ngpus_per_worker = 1", "gpus_per_worker", "is given twice"),
        ("composite = false\nno-composite = true", "no-composite", "is given twice"),
    ],
)
def test_what_the_file_says_wrongly_is_told_by_file_and_name(text: str, key: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_options({}, str(config_of(tmp_path, text + "\n")))
    path = tmp_path / "mouth.toml"
    assert caught.value.subject.replace("-", "_") == (f"{path}: {key}" if key else str(path)).replace("-", "_")
    assert caught.value.problem.startswith(problem)


WORDS = [
    ("rect", "300,-2,134,134", "must be X,Y,W,H"),
    ("rect", "300, 2, 134, 134", "must be X,Y,W,H"),
    ("rect", "300,2,134", "must be X,Y,W,H"),
    ("rect", "300,2,0,134", "must be X,Y,W,H"),
    ("rect", "9" * 5000 + ",2,1,1", "must be X,Y,W,H"),
    ("frames", "9" * 5000 + ":", "must be A:B"),
    ("workers", "many", "must be a whole number from 1 to 4096"),
    ("device", "tpu", "must be one of auto, cpu, cuda"),
    ("quality", "1e3", "must be a whole number from 1 to 101"),
    ("wait", "soon", "must be a number above 0"),
]


@pytest.mark.parametrize(("name", "value", "problem"), WORDS)
def test_a_wrong_value_is_told_in_the_same_words_everywhere(
    name: str, value: str, problem: str, tmp_path: Path, clip: SmallClip
) -> None:
    given: dict[str, Any] = {name: value}
    told = refusal(**given)
    assert told.problem.startswith(problem)
    for command in ("composite", "tune", "inspect"):
        if command != "composite" and f"--{name}" not in flags_of(command):
            continue
        needed = {"inspect": ()}.get(command, ("--model", "m.onnx"))
        result = in_process.command(command, clip.folder, *needed, f"--{name}={value}")
        assert result.code == 2
        assert result.output == f"error: {told}\n"


@pytest.mark.parametrize("text", ["workers = ", "workers = 3\nworkers = 4\n", "clip = 'a", "="])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text: str) -> None:
    config = config_of(tmp_path, text)
    error = refusal(config)
    assert error.subject == str(config)
    assert "TOML" in error.problem


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.toml").problem == "there is no such file"
    assert "TOML" in refusal(tmp_path).problem
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refusal(binary).subject == str(binary)


def test_options_can_be_recorded_and_read_back() -> None:
    given = options(format="jpg", loop="mirror", rect="1,2,30,40", frames="3:9")
    record = given.model_dump(mode="json")
    assert CompositeOptions.model_validate(record) == given
    assert all(re.fullmatch(r"[a-z_]+", name) for name in record)
