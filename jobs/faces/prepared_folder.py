"""The folder that holds what was found in some footage: its files' names, its record, and what is there already."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Annotated, Literal, Self

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actors.core.choices import FACE, Covered
from actors.core.clip import FrameSource, VideoFrames
from actors.core.errors import InputError, StoppedError, error_text
from actors.core.faces import FoundFaces
from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.digests import file_facts, stream_checksum
from actors.files.run_folder import fragment_name, fragment_range
from actors.files.storage import HALF_WRITTEN, StoragePath
from jobs.clip.backgrounds import CONTACT_SHEET
from jobs.clip.files import is_file, load, parse_json, show
from jobs.clip.footage import Footage
from jobs.clip.identity import frames_digest
from jobs.faces.choice import FacePoint, face_choice
from jobs.faces.detections_file import from_parquet, to_parquet
from jobs.faces.dubbing import FaceRules

RECORD = "faces.json"
PAGE = "faces.html"
# Below a run's faces: the folder of the clip that boxes are to be like.
LIKE = "like"

# Bytes of the record, and of what was found on one range.
LARGEST_RECORD = 1 << 20
LARGEST_RANGE = 64 << 20

# File names have nine digits for a frame.
MOST_FRAMES = 10**9

Name = Annotated[str, Field(max_length=255)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16,128}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class FootageRecord(_Part):
    """The footage by which the folder is known again.

    Attributes:
        name: of its file or folder.
        digest: `jobs.clip.identity.frames_digest`.
        frames: how many it has.
        width: in pixels, upright.
        height: likewise.
        fps: its average frame rate as a fraction; ``None`` for images, and where a video does not say.
    """

    name: Name
    digest: Digest
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)]
    width: Annotated[int, Field(ge=1, le=1 << 16)]
    height: Annotated[int, Field(ge=1, le=1 << 16)]
    fps: Annotated[str | None, Field(pattern=r"^[0-9]{1,12}(/[1-9][0-9]{0,11})?$")] = None

    @classmethod
    def of(cls, footage: Footage) -> Self:
        """The record of footage that has been read."""
        frames = footage.frames
        return cls(
            name=footage.name,
            digest=frames_digest(frames),
            frames=len(frames),
            width=frames.width,
            height=frames.height,
            fps=_rate(frames),
        )

    @property
    def rate(self) -> Fraction | None:
        """Frames per second."""
        return None if self.fps is None else Fraction(self.fps)


class FileRecord(_Part):
    """A file that was made of what was found.

    Attributes:
        bytes: its size.
        checksum: xxh3-64 of its content in hexadecimal.
    """

    bytes: Annotated[int, Field(ge=0, le=1 << 53)]
    checksum: Digest

    @classmethod
    def of(cls, content: builtins.bytes) -> Self:
        """The record of a file with that content."""
        return cls(bytes=len(content), checksum=xxhash.xxh3_64_hexdigest(content))

    @classmethod
    def read(cls, file: IO[builtins.bytes]) -> Self:
        """The record of an open file; afterwards it stands at its end."""
        file.seek(0)
        checksum = stream_checksum(file)
        return cls(bytes=file.tell(), checksum=checksum)


class RulesRecord(_Part):
    """Which face is dubbed, and what becomes of frames without it.

    Attributes:
        face: as ``--face`` or ``--face-at`` takes it.
        gap: seconds without it that are interpolated.
        covered: what is shown where the mouth is covered.
    """

    face: Annotated[str, Field(pattern=rf"^({FACE}|[0-9]{{1,9}}(,[0-9]{{1,9}}){{1,2}})$")]
    gap: Annotated[float, Field(ge=0, le=60)]
    covered: Covered

    @classmethod
    def of(cls, rules: FaceRules) -> Self:
        """The record of rules in force."""
        choice = rules.choice
        face = f"{choice.x},{choice.y},{choice.frame}" if isinstance(choice, FacePoint) else str(choice)
        return cls(face=face, gap=rules.gap, covered=rules.covered)

    @property
    def rules(self) -> FaceRules:
        """The rules themselves."""
        choice = face_choice(face_at=self.face) if "," in self.face else face_choice(self.face)
        return FaceRules(choice, self.gap, self.covered)


class FacesRecord(_Part):
    """``faces.json``: which footage was searched, and with what.

    Attributes:
        version: of this format.
        footage: the footage.
        finder: digest of the weights that find faces; what another one finds does not join with it.
        own_detector: whether a detector of the user's was among them, whose boxes Wav2Lip kinds get as they are.
        rules: which face the files are about; ``None`` until all frames have been searched.
        thorough: whether smaller faces are searched beside clear ones on all frames.
        files: what was made of what was found, by file name.
    """

    version: Literal[1] = 1
    footage: FootageRecord
    finder: Digest
    own_detector: bool = False
    thorough: bool = False
    rules: RulesRecord | None = None
    files: dict[Name, FileRecord] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedFolder:
    """Where each file stands.

    Attributes:
        path: the folder itself, with its file system.
    """

    path: StoragePath

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def at(cls, path: str) -> PreparedFolder:
        """The folder at an absolute path or a URI."""
        return cls(storage.locate(path))

    @property
    def record_file(self) -> StoragePath:
        """What was searched, and with what."""
        return self.path / RECORD

    @property
    def detections(self) -> StoragePath:
        """Folder of all that was found, a file for each range."""
        return self.path / "detections"

    @property
    def table(self) -> StoragePath:
        """The chosen face on every frame."""
        return self.path / "faces.parquet"

    @property
    def boxes(self) -> StoragePath:
        """The chosen face's boxes, as ``--rects`` takes them."""
        return self.path / "face_boxes.json"

    @property
    def page(self) -> StoragePath:
        """The page about the faces."""
        return self.path / PAGE

    @property
    def sheet(self) -> StoragePath:
        """A picture of every track, with its number."""
        return self.path / CONTACT_SHEET

    def record(self) -> FacesRecord | None:
        """The folder's record; ``None`` where there is none.

        Raises:
            InputError: there is one that cannot be used.
        """
        if not is_file(self.record_file):
            return None
        path, fix = str(self.record_file), "name another folder, or remove this one"
        value = parse_json(load(self.record_file, LARGEST_RECORD), path)
        try:
            return FacesRecord.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            problem = f"is no record of prepared faces ({where} cannot be {show(first['input'])})"
            raise InputError(path, problem, fix) from error

    def searched(self) -> FacesRecord:
        """The record of a folder that must have one.

        Raises:
            InputError: there is none, or it cannot be used.
        """
        record = self.record()
        if record is None:
            raise InputError(str(self), "holds no prepared faces", "name a folder that `mouthpiece prepare` has made")
        return record

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns what the file system refuses inside the block into a `StoppedError`."""
        try:
            yield
        except OSError as error:
            problem = f"{self} cannot be written ({error_text(error)})"
            raise StoppedError(problem, "mend it and run the same command again") from error

    def begin(self, record: FacesRecord) -> None:
        """Writes the record, before anything is found; by it the folder is known from then on."""
        storage.make_folder(self.path)
        self._write(record)
        storage.make_folder(self.detections)

    def conclude(self, record: FacesRecord, contents: Mapping[StoragePath, bytes]) -> None:
        """Writes files about what was found, then the record that holds their checksums.

        Args:
            record: as it stands.
            contents: of files of this folder.

        Raises:
            OSError: they cannot be written.
        """
        for path, content in contents.items():
            storage.write_atomic(path, content)
        files = {storage.name_of(str(path)): FileRecord.of(content) for path, content in contents.items()}
        self._write(record.model_copy(update={"files": {**record.files, **files}}))

    def holds(self, record: FacesRecord, path: StoragePath) -> bool:
        """Whether a file is there as the record says."""
        before = record.files.get(storage.name_of(str(path)))
        if before is None or not is_file(path):
            return False
        return file_facts(path) == before.model_dump()

    def begin_thorough(self) -> None:
        """Forgets what was found, and says that all frames are searched thoroughly from now on."""
        record = self.searched()
        # While any of them is there the record must not say that they were.
        for frames in self.ranges():
            self.remove(frames)
        self._write(record.model_copy(update={"thorough": True, "files": {}}))

    def forget(self) -> None:
        """Removes what was found and made of it. The record stays, so that the folder is still known."""
        for frames in self.ranges():
            self.remove(frames)
        for path in (self.table, self.boxes, self.page, self.sheet):
            storage.remove_file(path)

    def sweep(self) -> None:
        """Removes what killed processes left half-written."""
        for path in (self.path, self.detections):
            for entry in storage.children(path):
                if not entry.is_folder and HALF_WRITTEN.fullmatch(entry.name):
                    storage.remove_file(path / entry.name)

    def keep(self, found: FoundFaces) -> None:
        """Writes what was found on a range; it counts as searched from then on."""
        storage.write_atomic(self._range_file(FrameRange(found.first, found.stop)), to_parquet(found))

    def ranges(self) -> tuple[FrameRange, ...]:
        """The ranges that files are there for, ascending; what stands in them has not been looked at."""
        entries = storage.children(self.detections)
        found = (fragment_range(entry.name) for entry in entries if not entry.is_folder)
        return tuple(sorted(each for each in found if each is not None))

    def read(self, frames: FrameRange) -> FoundFaces | None:
        """What was found on a range; ``None`` where the file is damaged."""
        path = self._range_file(frames)
        found = storage.entry(path)
        if found is None or found.size > LARGEST_RANGE:
            return None
        return from_parquet(storage.read_bytes(path), frames)

    def parts(self) -> Iterator[tuple[FrameRange, FoundFaces | None]]:
        """Each range in order, one at a time, with what was found.

        That is ``None`` where the file is damaged, overlaps one before it or reaches too far.

        Raises:
            InputError: the folder has no record.
        """
        frames = self.searched().footage.frames
        stop = 0
        for span in self.ranges():
            found = self.read(span) if stop <= span.start and span.stop <= frames else None
            if found is not None:
                stop = span.stop
            yield span, found

    def remove(self, frames: FrameRange) -> None:
        """Removes a range's file."""
        storage.remove_file(self._range_file(frames))

    def _write(self, record: FacesRecord) -> None:
        storage.write_atomic(self.record_file, record.model_dump_json(indent=1).encode(), durable=True)

    def _range_file(self, frames: FrameRange) -> StoragePath:
        return self.detections / fragment_name(frames)


def unsearched(spans: Sequence[FrameRange], frames: int) -> tuple[FrameRange, ...]:
    """The longest ranges of some footage that none of the spans, which are ascending, shares a frame with."""
    starts, stops = [span.start for span in spans], [span.stop for span in spans]
    gaps = zip([0, *stops], [*starts, frames], strict=True)
    return tuple(FrameRange(first, stop) for first, stop in gaps if first < stop)


def _rate(frames: FrameSource) -> str | None:
    return str(frames.fps) if isinstance(frames, VideoFrames) and frames.fps is not None else None
