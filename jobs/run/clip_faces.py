"""The face boxes of a run whose clip comes without them: prepared before, or found now, once for the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from rich.console import Console

from actors.core.choices import FaceRule
from actors.core.clip import Clip, FaceBox, FrameSource, ImageFrames
from actors.core.errors import InputError
from actors.core.faces import FaceOrigin
from actors.core.kind import ModelKind
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.files.storage import StoragePath
from jobs.clip.face_boxes import FaceBoxes, no_boxes
from jobs.clip.files import is_file
from jobs.clip.footage import Footage
from jobs.clip.identity import frames_digest, with_digests
from jobs.clip.reader import read_clip
from jobs.cluster.connection import Cluster
from jobs.console import say
from jobs.faces.choice import face_choice
from jobs.faces.dubbing import FaceRules, dubbed_face
from jobs.faces.found_so_far import read_faces
from jobs.faces.gaps import FacePath
from jobs.faces.kind_boxes import Pads, detector_style_boxes
from jobs.faces.likeness import Likeness, fit_likeness, squares_like
from jobs.faces.preparation import prepare_faces
from jobs.faces.prepared_folder import LIKE, RECORD, FootageRecord, PreparedFolder, RulesRecord
from jobs.faces.results import write_results
from jobs.faces.seen_faces import SeenFaces
from jobs.faces.weights import read_weights
from jobs.inputs.options import CompositeOptions
from jobs.run.identity_check import FIX
from jobs.run.record_file import read_run_record

# Of a face box of so many pixels the mouth has some 15.
SMALL = 40


@dataclass(slots=True)
class ClipFaces:
    """Finds the faces of a clip.

    Attributes:
        options: of the command.
        folder: the run's.
        lock: locks that folder, before anything is written there.
        join: joins the cluster; called where something is to be searched.
        console: where to say what is done.
        found: where faces that are found now are kept; ``None`` for the run's own folder.
        share: CPUs that each task of the search asks for.
        keep: writes the files about the face that was chosen, once it is known that the run is of it.
    """

    options: CompositeOptions
    folder: RunFolder
    lock: Callable[[], object]
    join: Callable[[], Cluster]
    console: Console
    found: StoragePath | None = None
    share: float = 1.0
    keep: Callable[[], None] = lambda: None

    def boxes(self, clip: Clip, frames: FrameSource, kind: ModelKind) -> FaceBoxes:
        """The box on every frame of a clip that the network expects, none where the face is not there.

        Args:
            clip: recognised, without boxes.
            frames: its full frames.
            kind: the contract of the network.

        Raises:
            InputError: boxes for such a network cannot be made, there is no face, or none as chosen.
            StoppedError: the search cannot go on, or the folder cannot be written; what was found stays.
        """
        options = self.options
        avatar = self._avatar(clip, kind)
        pads = Pads() if options.pads is None else Pads.of(options.pads)
        footage = _footage(clip.path, clip.id, frames)
        prepared = self._prepared(clip)
        if prepared is None:
            prepared = PreparedFolder(self.found or self.folder.faces)
            rules = self._rules(None)
            say(self.console, f"faces: {clip.path} has no face boxes; they are found now and kept in {prepared}")
            self._check_earlier(footage)
            dubbed = dubbed_face(self._found(prepared, footage), frames, rules, clip.path)
            self.keep = partial(write_results, prepared, footage, dubbed)
        else:
            if options.detector is not None:
                raise InputError("--detector", f"the faces in {prepared} have been found already", "leave it out")
            found = read_faces(prepared)
            rules = self._rules(prepared.searched().rules)
            _check_footage(prepared, footage)
            dubbed = dubbed_face(found, frames, rules, clip.path)
        say(self.console, f"faces: {dubbed.summary}")
        size = frames.width, frames.height
        if avatar is not None:
            boxes = squares_like(dubbed.path, size, self._likeness(*avatar))
        else:
            own = prepared.searched().own_detector
            boxes = detector_style_boxes(dubbed.path, size, pads, own_boxes=own, averaged=not options.smooth_crops)
        _warn_of_size(boxes, self.console)
        fix = "choose another face, or give face boxes by --rects or --rect"
        return FaceBoxes(str(prepared), boxes, origins=_origins(dubbed.path, boxes), fix=fix)

    def _avatar(self, clip: Clip, kind: ModelKind) -> tuple[Clip, FrameSource] | None:
        """The clip that boxes are to be like; ``None`` for kinds that take a detector's boxes.

        Raises:
            InputError: the kind needs one and there is none, or the other way round.
        """
        options = self.options
        if not kind.square:
            if options.like is not None:
                problem = f"{kind.name} takes a detector's boxes, with --pads"
                raise InputError("--like", problem, "leave it out")
            return None
        if options.pads is not None:
            raise InputError("--pads", f"{kind.name} does not take a detector's boxes", "leave it out")
        if options.like is None:
            problem = f"nothing says where the face is, and {kind.name} takes boxes as it was trained on"
            raise InputError(
                clip.path, problem, f"give --like AVATAR, the clip it was trained on; or {no_boxes('').fix}"
            )
        avatar = read_clip(options.like, boxes=None, box=None, kind=kind, faces_follow=True)
        if avatar.frames is None or avatar.boxes is None:
            lacks = "full frames" if avatar.frames is None else "face boxes or landmarks"
            problem = f"has no {lacks} to learn boxes of"
            raise InputError(options.like, problem, "name the clip folder that the network was trained on")
        return avatar, avatar.frames

    def _likeness(self, avatar: Clip, frames: FrameSource) -> Likeness:
        """What is learned from the avatar's own boxes."""
        folder = PreparedFolder((self.found or self.folder.faces) / LIKE)
        found = self._found(folder, _footage(avatar.path, avatar.id, frames))
        path = dubbed_face(found, frames, FaceRules(FaceRule.LARGEST, 0.0, self.options.covered), avatar.path).path
        likeness = fit_likeness(path, avatar.boxes or (), avatar.path)
        say(self.console, f"faces: boxes like those of {avatar.path}, off by {likeness.error} on frames held out")
        return likeness

    def _rules(self, before: RulesRecord | None) -> FaceRules:
        """What the user says about the face; where nothing is said, what was in force when faces were prepared."""
        options = self.options
        rules = FaceRules(face_choice(options.face, options.face_at), options.face_gap, options.covered)
        if before is None:
            return rules
        given = options.model_fields_set
        if options.face is None and options.face_at is None:
            rules = replace(rules, choice=before.rules.choice)
        if "face_gap" not in given:
            rules = replace(rules, gap=before.gap)
        return rules if "covered" in given else replace(rules, covered=before.covered)

    def _prepared(self, clip: Clip) -> PreparedFolder | None:
        """The folder of faces that were found before, if there is one."""
        if self.options.faces is not None:
            return PreparedFolder.at(storage.resolve(self.options.faces))
        beside = storage.resolve(clip.path)
        return PreparedFolder.at(beside) if is_file(storage.join(beside, RECORD)) else None

    def _found(self, folder: PreparedFolder, footage: Footage) -> SeenFaces:
        """Everything that is found in footage, kept in a folder of the run."""
        options = self.options
        weights = read_weights(None if options.detector is None else storage.resolve(options.detector))
        self.lock()
        # What stands there is kept to save time: which faces a run is of, its identity says.
        where = self.join, options.wait, self.console
        return prepare_faces(footage, folder, weights, *where, replace=True, share=self.share)

    def _check_earlier(self, footage: Footage) -> None:
        """Makes sure that a command that is going to be refused does not replace the faces of an earlier run.

        Raises:
            InputError: the run in the folder is of other footage.
        """
        self.lock()
        earlier = None if self.options.restart else read_run_record(self.folder)
        if earlier is not None and earlier.identity.get("clip") != frames_digest(footage.frames):
            raise InputError(footage.path, f"not what it was when the run in {self.folder} was begun", FIX)


def _footage(path: str, name: str, frames: FrameSource) -> Footage:
    return Footage(path, name, with_digests(frames) if isinstance(frames, ImageFrames) else frames, (), ())


def _check_footage(folder: PreparedFolder, footage: Footage) -> None:
    """Makes sure that faces were found in this footage.

    Raises:
        InputError: they were found in another.
    """
    before = folder.searched().footage
    if before.digest != FootageRecord.of(footage).digest:
        problem = f"holds the faces of other footage ({before.name}, {before.frames} frames)"
        raise InputError(str(folder), problem, f"give the footage that it was made of, or prepare {footage.path}")


def _warn_of_size(boxes: Sequence[FaceBox | None], console: Console) -> None:
    widths = [box.width for box in boxes if box is not None]
    if widths and (middle := median(widths)) < SMALL:
        problem = f"half of its boxes are at most {middle:.0f} px wide: hardly anything of a mouth will be seen"
        say(console, f"warning: the face is small, {problem}", style="yellow")


def _origins(path: FacePath, boxes: tuple[object, ...]) -> tuple[FaceOrigin, ...]:
    """How each box came about; a face of which no box can be made is none."""
    pairs = zip(path.origins, boxes, strict=True)
    return tuple(FaceOrigin.NONE if box is None else origin for origin, box in pairs)
