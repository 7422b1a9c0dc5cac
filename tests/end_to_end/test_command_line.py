"""The command line itself: help, what stands in it, and names that ask for something else than they say."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import in_process
import pytest

from jobs.__main__ import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_default(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    result = in_process.command(command, "--help")
    assert result.code == 0
    written = re.findall(r"\\\\\[(default: .*?)\]", inspect.getsource(import_module(f"jobs.commands.{command}")))
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split())
    for default in written:
        assert f"[{default}]" in said
    # Rich would swallow the brackets of what is not written so.
    assert "[default" not in re.sub(r"\\\\\[default", "", inspect.getsource(import_module(f"jobs.commands.{command}")))


def test_help_says_what_is_required() -> None:
    assert in_process.command("composite", "--help").output.count("required") == 3
    assert "[required]" in in_process.command("tune", "--help").output


def test_the_bare_command_is_help() -> None:
    bare = in_process.command()
    assert bare.code == 0
    assert bare.output == in_process.command("--help").output
    assert all(command in bare.output for command in COMMANDS)


@pytest.mark.parametrize("name", ["film.mp4", "a b.MOV", "sound.wav", "run.json", "frames.png"])
@pytest.mark.parametrize("command", ["composite", "demo", "soak", "benchmark"])
def test_a_file_name_is_no_folder_without_a_question(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    needed = ("clip", "--model", "m.onnx") if command == "composite" else ()
    result = in_process.command(command, *needed, "--out", name)
    assert result.code == 2
    assert "would be a folder" in result.output
    if command == "composite" and name == "film.mp4":
        assert "give --out film --video: the video will be film/video.mp4" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_has_such_a_name_already_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").mkdir()
    result = in_process.command("composite", "clip", "--model", "m.onnx", "--out", tmp_path / "film.mp4")
    assert "would be a folder" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("soak", "--minutes", "nan"), "--minutes: must be a number from 0.01"),
        (("soak", "--seed", "1.5"), "--seed: must be a whole number"),
        (("benchmark", "--out", "b", "--system", "x"), "--system: must be one of bare, "),
        (("benchmark", "--out", "b", "--format", "x"), "--format: must be one of jpg, png, video; see"),
        (("tune", "c", "--model", "m", "--seconds", "x"), "--seconds: must be a number from 1"),
    ],
)
def test_values_of_every_command_are_refused_in_our_words(arguments: tuple[str, ...], words: str) -> None:
    result = in_process.command(*arguments)
    assert result.code == 2
    assert result.output.startswith(f"error: {words}")
    assert "Value error" not in result.output
