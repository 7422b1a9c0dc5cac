"""What the arguments of a batch name: a manifest, or recordings of one clip."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from actors.core.errors import InputError
from jobs.batch.manifest import Manifest
from jobs.batch.manifest_file import FORMS, form_of
from jobs.process.temporary_folders import scratch_folder

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class ClipsNamed:
    """What the clips of a batch come from.

    Attributes:
        manifest: path of a manifest, or `STANDARD_INPUT`; empty where there are sounds.
        sounds: paths of recordings.
    """

    manifest: str = ""
    sounds: tuple[str, ...] = ()


def manifest_of(arguments: Sequence[str], *, clip: bool) -> ClipsNamed:
    """Tells a manifest from recordings.

    Args:
        arguments: paths as given.
        clip: whether a clip is given besides, which recordings need.

    Raises:
        InputError: there is nothing, several manifests, a manifest among recordings, or recordings of no clip.
    """
    manifests = [path for path in arguments if path == STANDARD_INPUT or form_of(path) in FORMS]
    sounds = tuple(path for path in arguments if path not in manifests)
    forms = ", ".join(FORMS)
    if not arguments:
        raise InputError("CLIPS", "must be given", f"name a manifest ({forms}), or recordings and --clip AVATAR")
    if len(manifests) > 1:
        raise InputError(manifests[1], "is a second manifest", "give one; each row names its own files")
    if manifests and sounds:
        raise InputError(manifests[0], "is a manifest, and recordings stand beside it", "give either of them")
    if manifests:
        return ClipsNamed(manifests[0])
    if not clip:
        problem = "is no manifest, and as a recording it needs a clip"
        raise InputError(sounds[0], problem, f"name a manifest ({forms}), or give --clip AVATAR")
    return ClipsNamed(sounds=sounds)


@contextmanager
def open_manifest(named: ClipsNamed, standard_input: IO[bytes]) -> Iterator[Manifest]:
    """The rows of what is named; for as long as they are read.

    Args:
        named: by `manifest_of`.
        standard_input: JSON Lines; kept in a temporary file, because rows are read more than once.

    Raises:
        InputError: nothing can be found by a path.
        OSError: there is no room for the temporary file.
    """
    if named.sounds:
        yield Manifest.of_sounds(named.sounds)
    elif named.manifest != STANDARD_INPUT:
        yield Manifest.of_file(named.manifest)
    else:
        with scratch_folder() as folder:
            copy = folder / "clips.jsonl"
            with copy.open("wb") as file:
                shutil.copyfileobj(standard_input, file)
            yield Manifest.of_copy(str(copy), "standard input")
