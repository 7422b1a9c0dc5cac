"""The run's folder: what can be one, whose it is, and what starting over removes."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_run import record

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import FACES, RECORD, RunFolder
from jobs.cluster import connection
from jobs.run.folder import clear, find_folder, holds_record
from jobs.run.folder_lock import LOCK
from jobs.run.record import RunRecord
from jobs.run.record_file import read_run_record, write_record


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_run(out: Path) -> None:
    """A folder as a finished run leaves it."""
    RunFolder.at(out).make_folders(frames=True, segments=True)
    write_record(RunFolder.at(out), RunRecord.model_validate(record(1, identity={"model": "abc", "loop": "bounce"})))
    for name in ("frames/frame_000000.png", "segments/000000000-000000001.mp4", "timings/000000000-000000001.parquet"):
        (out / name).write_bytes(b"x")
    (out / "video.mp4").write_bytes(b"x")


def holds_run(folder: RunFolder) -> bool:
    return holds_record(folder.path, RECORD, "run", {FACES})


def test_a_new_an_empty_and_a_locked_folder_hold_no_run(tmp_path: Path) -> None:
    assert not holds_run(RunFolder.at(tmp_path / "new"))
    assert not holds_run(RunFolder.at(tmp_path))
    (tmp_path / LOCK).touch()
    assert not holds_run(RunFolder.at(tmp_path))


def test_an_earlier_run_is_recognised(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert holds_run(RunFolder.at(tmp_path))
    before = read_run_record(RunFolder.at(tmp_path))
    assert before is not None
    assert before.identity == {"model": "abc", "loop": "bounce"}


def refusal(out: Path) -> InputError:
    def look() -> None:
        assert holds_run(RunFolder.at(out))
        read_run_record(RunFolder.at(out))

    with pytest.raises(InputError) as caught:
        look()
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "holds no run" in refusal(tmp_path).problem
    assert names(tmp_path) == {"thesis.tex"}


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch()
    assert refusal(path).problem == "is a file"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        '{"version": 0, "identity": {}}',
        '{"version": 1}',
        '{"version": 1, "identity": [], "attempts": 7, "deaths": [7]}',
        '{"version": 2}',
        '{"version": 3}',
        '{"version": []}',
        "\x00\x01",
    ],
)
def test_a_run_json_that_is_not_ours_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    error = refusal(tmp_path)
    assert error.subject == str(tmp_path / "run.json")
    assert "--out" in error.fix


def test_a_driver_that_was_killed_before_its_first_record_can_be_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / ".driver-0123456789ab").touch()
    assert not holds_run(RunFolder.at(tmp_path))


def test_starting_over_removes_the_run_and_leaves_the_rest(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "frame_000000.png").write_bytes(b"mine")
    clear(RunFolder.at(tmp_path))
    assert names(tmp_path) == {"notes.txt", "stills"}
    assert (tmp_path / "stills" / "frame_000000.png").read_bytes() == b"mine"
    clear(RunFolder.at(tmp_path))


def test_starting_over_leaves_what_a_user_put_among_the_frames(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "frames" / "best-take.psd").write_bytes(b"mine")
    clear(RunFolder.at(tmp_path))
    assert (tmp_path / "frames" / "best-take.psd").read_bytes() == b"mine"
    assert names(tmp_path / "frames") == {"best-take.psd"}


@pytest.mark.parametrize(("frames", "segments"), [(True, True), (True, False), (False, True), (False, False)])
def test_only_the_folders_that_are_used_are_made(tmp_path: Path, frames: bool, segments: bool) -> None:
    for _ in range(2):
        RunFolder.at(tmp_path).make_folders(frames=frames, segments=segments)
    assert names(tmp_path) == {"timings"} | ({"frames"} if frames else set()) | ({"segments"} if segments else set())


def test_a_relative_out_is_fine_outside_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(connection.JOB_MARK, raising=False)
    monkeypatch.chdir(tmp_path)
    assert str(find_folder("run", {})) == str(tmp_path / "run")


@pytest.mark.parametrize("out", ["run", "./run", "../run"])
def test_a_relative_out_is_refused_inside_of_a_job(monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.setenv(connection.JOB_MARK, "{}")
    with pytest.raises(InputError) as caught:
        find_folder(out, {})
    assert caught.value.subject == f"--out {out}"
    assert "temporary copy" in caught.value.problem
    assert "absolute path" in caught.value.fix


def test_rays_copy_of_the_working_directory_is_refused_even_if_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(connection.JOB_MARK, "{}")
    with pytest.raises(InputError, match="temporary copy"):
        find_folder(str(tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_0a1b" / "run"), {})
    assert str(find_folder(str(tmp_path / "run"), {})) == str(tmp_path / "run")
    uri = f"file://{tmp_path}/run"
    assert str(find_folder(uri, {})) == uri
    assert storage.is_local(str(tmp_path))


@pytest.mark.parametrize("flag", ["", "--audio"])
@pytest.mark.parametrize("name", ["frames", "frames/frame_000000.png", "video.mp4", "features/a.npy", "run.json", "."])
def test_what_a_run_writes_is_no_input_of_it(tmp_path: Path, flag: str, name: str) -> None:
    (tmp_path / "other").symlink_to(tmp_path / "run")
    for run in ("run", "other"):
        with pytest.raises(InputError) as caught:
            find_folder(str(tmp_path / "run"), {"--model": "m.onnx", flag: str(tmp_path / run / name)})
        assert caught.value.subject == f"{flag} {tmp_path / run / name}".strip()
    for apart in ("run/clip", "run.mp4", "frames"):
        assert str(find_folder(str(tmp_path / "run"), {flag: str(tmp_path / apart)})) == str(tmp_path / "run")
