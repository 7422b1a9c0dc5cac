"""Arguments of a batch: one manifest, standard input, or recordings; everything else is refused."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from actors.core.errors import InputError
from jobs.batch.manifest_source import ClipsNamed, manifest_of, open_manifest


@pytest.mark.parametrize("path", ["m.jsonl", "folder/M.CSV", "s3://bucket/m.parquet", "-"])
def test_one_manifest_is_one(path: str) -> None:
    assert manifest_of([path], clip=False) == manifest_of([path], clip=True) == ClipsNamed(path)


def test_anything_else_is_a_recording_of_the_clip() -> None:
    assert manifest_of(["a.wav", "b"], clip=True) == ClipsNamed(sounds=("a.wav", "b"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "CLIPS: must be given"),
        (["a.jsonl", "b.csv"], "b.csv: is a second manifest"),
        (["a.jsonl", "-"], "-: is a second manifest"),
        (["a.wav", "b.csv"], "b.csv: is a manifest, and recordings stand beside it"),
        (["rows.json"], "rows.json: is no manifest, and as a recording it needs a clip"),
    ],
)
def test_mixtures_are_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        manifest_of(arguments, clip=False)
    assert str(caught.value).startswith(f"{said};")


def test_standard_input_is_read_more_than_once_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    given = io.BytesIO(b'{"clip": "avatar", "audio": "a.wav"}\n{"clip": "/b"}\n')
    with open_manifest(manifest_of(["-"], clip=False), given) as manifest:
        assert manifest.check() == 2
        assert [row.id for row in manifest.rows_by_priority()] == ["avatar-a", "b"]
        assert next(iter(manifest.rows())).values["clip"] == str(tmp_path / "avatar")
        assert len(list((tmp_path / "temporary").iterdir())) == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_standard_input_is_named_in_messages() -> None:
    given = io.BytesIO(b'{"clap": 1}\n')
    with open_manifest(ClipsNamed("-"), given) as manifest, pytest.raises(InputError) as caught:
        manifest.check()
    assert caught.value.subject == "standard input: row 1: clap"


def test_files_and_sounds_are_opened_too(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("clip\nc\n")
    with open_manifest(ClipsNamed(str(tmp_path / "m.csv")), io.BytesIO()) as manifest:
        assert [row.id for row in manifest.rows()] == ["c"]
    with open_manifest(ClipsNamed(sounds=("a.wav",)), io.BytesIO()) as manifest:
        assert [row.id for row in manifest.rows()] == ["a"]
