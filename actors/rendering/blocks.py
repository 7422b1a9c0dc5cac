"""Background blocks: runs of consecutive backgrounds, decoded once and shared by every worker of a node."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Blend, Delivery, ImageFormat, Interpolation
from actors.core.clip import FaceBox, ImageFrames, PlaneFile, VideoFrames
from actors.core.compositing import BlendTarget, blend_target
from actors.core.errors import InputError
from actors.core.face_box import SubpixelBox
from actors.core.faces import FaceOrigin
from actors.core.fingerprints import changed
from actors.core.pixels import Image, Planes, crop_face, paste, to_planes
from actors.core.warp import warp_crop
from actors.core.yuv import patch_yuv420, to_yuv420
from actors.files import storage
from actors.files.node_check import ModelCheck, check_code, check_model
from actors.rendering.image_files import Prepared, prepare_background
from actors.rendering.source_frames import frames_of

if TYPE_CHECKING:
    from actors.core.kind import ModelKind, ModelTensors


@dataclass(frozen=True, slots=True)
class FaceRequest:
    """The network whose face encoder is run on each background of a block.

    Attributes:
        tensors: which of its tensors is which; they include face tensors.
        check: names the model, and says how the node shows that it sees the same as the driver.
    """

    tensors: ModelTensors
    check: ModelCheck


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """One block to load.

    Attributes:
        first: background index of the block's first frame.
        source: exactly the frames of this block.
        boxes: one face box per frame, ``None`` for a frame without a face; empty for ready-made planes.
        interpolation: filter of the crop.
        delivery: what finished frames become; ``None`` for inference alone.
        prepare: whether what is the same in every frame drawn on a background is encoded now; not where that would cost
            more than it saves.
        exact_boxes: where the crops lie, one per frame, if their edges are not whole pixels; ``boxes`` are the pixels.
        origins: how the boxes came about, one per frame; ``None`` where all of them are given.
        blend: how finished patches meet the frame.
        parsing: one image per frame that says what is in front of the face, if there are any.
        keep_originals: whether the frames' own pixels under the boxes are needed whatever the blend.
        faces: whose face encoder to run, ``None`` where workers run the whole network for each frame.
        code: the driver's `actors.files.digests.code_digest`; empty where loader and driver are one process.
    """

    first: int
    source: ImageFrames | VideoFrames | PlaneFile
    boxes: tuple[FaceBox | None, ...]
    interpolation: Interpolation
    delivery: Delivery | None = None
    prepare: bool = False
    exact_boxes: tuple[SubpixelBox | None, ...] | None = None
    origins: tuple[FaceOrigin, ...] | None = None
    blend: Blend = Blend.HARD
    parsing: ImageFrames | None = None
    keep_originals: bool = False
    faces: FaceRequest | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class VideoCanvases:
    """What frames of a video are made from.

    Attributes:
        frames: ``(n, H, W, 3)`` uint8 BGR.
        yuv: ``(n, 3 H / 2, W)`` uint8, the same as the video encoder takes them; ``None`` where it is not prepared.
    """

    frames: Image
    yuv: Image | None

    def picture(self, place: int, patch: Image | None, box: FaceBox | None) -> Image:
        """A finished frame as the video encoder takes it, ``(3 H / 2, W)`` uint8; ``None`` where there is no face."""
        frame, yuv = self.frames[place], None if self.yuv is None else self.yuv[place]
        if patch is None or box is None:
            return to_yuv420(frame) if yuv is None else yuv
        return to_yuv420(paste(frame, patch, box)) if yuv is None else patch_yuv420(yuv, frame, patch, box)


@dataclass(frozen=True, slots=True)
class Canvases:
    """What a patch becomes a finished frame with, for each background.

    Attributes:
        targets: what compositing needs besides the crop; ``None`` where there is no face.
        files: what frame files are made from: prepared encodings to splice into, or full frames ``(n, H, W, 3)`` uint8
            BGR; ``None`` where no frame files are written.
        video: what the video's frames are made from; ``None`` where there is no video.
    """

    targets: tuple[BlendTarget | None, ...]
    files: tuple[Prepared, ...] | Image | None
    video: VideoCanvases | None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; frames that files and video share count once."""
        frames = self.video.frames if self.video else self.files if isinstance(self.files, np.ndarray) else None
        arrays = [frames, self.video.yuv if self.video else None]
        prepared: tuple[Prepared, ...] = self.files if isinstance(self.files, tuple) else ()
        parts = sum(one.nbytes for one in self.targets if one is not None) + sum(one.nbytes for one in prepared)
        return parts + sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True, slots=True)
class PictureBlock:
    """Backgrounds ``first <= i < first + count`` of a clip of pictures, read-only once in the object store.

    Attributes:
        first: background index of the first frame.
        boxes: the face boxes, ``None`` for a frame without a face.
        crops: ``(n, crop, crop, 3)`` uint8 BGR; 0 where there is no face.
        canvases: what finished frames are made with; ``None`` for inference alone.
        origins: how the face boxes came about; ``None`` where all of them are given.
        face_tensors: what the network's face encoder makes of the backgrounds, for each of the model's face tensors
            ``(n, *sides)`` float32, 0 where there is no face; empty where it was not run.
    """

    first: int
    boxes: tuple[FaceBox | None, ...]
    crops: Image
    canvases: Canvases | None = None
    origins: tuple[FaceOrigin, ...] | None = None
    face_tensors: tuple[Planes, ...] = ()

    @property
    def count(self) -> int:
        """How many backgrounds it holds."""
        return len(self.crops)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        held = self.crops.nbytes + sum(array.nbytes for array in self.face_tensors)
        return held + (self.canvases.nbytes if self.canvases else 0)

    def origin(self, place: int) -> FaceOrigin:
        """How the face box of one background came about."""
        return FaceOrigin.GIVEN if self.origins is None else self.origins[place]


@dataclass(frozen=True, slots=True)
class PlaneBlock:
    """Backgrounds ``first <= i < first + count`` of a clip of network input, read-only once in the object store.

    Attributes:
        first: background index of the first one.
        planes: ``(n, 6, inner, inner)`` float32 in [0, 1] from a binary export.
        face_tensors: as those of a `PictureBlock`.
    """

    first: int
    planes: Planes
    face_tensors: tuple[Planes, ...] = ()

    @property
    def count(self) -> int:
        """How many backgrounds it holds."""
        return len(self.planes)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (self.planes, *self.face_tensors))

    def origin(self, place: int) -> FaceOrigin:  # noqa: ARG002 - the same for each
        """Whoever exported the network's input had the face box of every background."""
        return FaceOrigin.GIVEN


Block: TypeAlias = PictureBlock | PlaneBlock


@dataclass(frozen=True, slots=True)
class BlockReceipt:
    """What the driver learns of a loaded block, without touching it.

    Attributes:
        bytes: its size.
        seconds: how long it took in all.
        prepare_seconds: processor time that preparing encodings and the face encoder took; meanwhile sessions are built
            on the same cores.
    """

    bytes: int
    seconds: float
    prepare_seconds: float


def load_block(request: BlockRequest, kind: ModelKind) -> tuple[Block, BlockReceipt]:
    """Decodes a block and makes each background's crop.

    Raises:
        InputError: a file is gone, cannot be decoded or has another size than its header said, or this process runs
            other files than the driver.
    """
    began = time.perf_counter()
    if request.code:
        check_code(request.code)
    cv2.setNumThreads(1)
    block: Block
    if isinstance(request.source, PlaneFile):
        block = PlaneBlock(request.first, _read_planes(request.source, kind))
        loaded = time.thread_time()
    else:
        crops, frames, targets = _read_pictures(request, request.source, kind)
        loaded = time.thread_time()
        canvases = None
        if request.delivery is not None:
            canvases = _canvases(frames, targets, request.boxes, request.delivery, prepare=request.prepare)
        block = PictureBlock(request.first, request.boxes, crops, canvases, request.origins)
    if request.faces is not None:
        block = replace(block, face_tensors=_encode_faces(block, request.faces, kind))
    prepared = time.thread_time() - loaded
    return block, BlockReceipt(block.nbytes, time.perf_counter() - began, prepared)


def load_one_of(requests: Sequence[BlockRequest], place: int, kind: ModelKind) -> tuple[Block, BlockReceipt]:
    """Loads the block that one of some requests asks for; see `load_block`."""
    return load_block(requests[place], kind)


def _canvases(
    frames: Image,
    targets: tuple[BlendTarget | None, ...],
    boxes: tuple[FaceBox | None, ...],
    delivery: Delivery,
    *,
    prepare: bool,
) -> Canvases:
    """What finished frames are made with; full frames are kept where something needs them."""
    files: tuple[Prepared, ...] | Image | None = None if delivery.image_format is ImageFormat.NONE else frames
    if prepare:
        found = [prepare_background(frame, box, delivery) for frame, box in zip(frames, boxes, strict=True)]
        files = tuple(one for one in found if one is not None) or files
    if not delivery.video:
        return Canvases(targets, files, None)
    yuv = None
    if prepare:
        height, width = frames.shape[1:3]
        yuv = np.empty((len(frames), height * 3 // 2, width), np.uint8)
        for planes, frame in zip(yuv, frames, strict=True):
            planes[:] = to_yuv420(frame)
    return Canvases(targets, files, VideoCanvases(frames, yuv))


def _encode_faces(block: Block, request: FaceRequest, kind: ModelKind) -> tuple[Planes, ...]:
    """What the face encoder makes of each background, 0 of those without a face.

    Raises:
        InputError: this node does not see the same model, or cannot load it.
    """
    # Imported here, so that a driver never loads the runtime, nor a loader that does not need it.
    from actors.network.session import FaceEncoder  # noqa: PLC0415

    check_model(request.check)
    ready_planes = isinstance(block, PlaneBlock)
    every = range(block.count)
    shown = every if isinstance(block, PlaneBlock) else [i for i in every if block.boxes[i] is not None]
    encoder = FaceEncoder(request.check.model, request.tensors, kind, ready_planes=ready_planes)
    made = tuple(np.zeros((block.count, *face.sides), np.float32) for face in request.tensors.face)
    for i in shown:
        for kept, one in zip(made, encoder.run(network_view(block, i, kind)[None]), strict=True):
            kept[i : i + 1] = one
    return made


def network_view(block: Block, place: int, kind: ModelKind) -> NDArray[Any]:
    """What the network is fed of one background: ``(3, inner, inner)`` uint8, or ready planes in float32."""
    if isinstance(block, PlaneBlock):
        return np.asarray(block.planes[place])
    inner = slice(kind.border, kind.border + kind.inner)
    return to_planes(block.crops[place][inner, inner])


def _read_pictures(
    request: BlockRequest, source: ImageFrames | VideoFrames, kind: ModelKind
) -> tuple[Image, Image, tuple[BlendTarget | None, ...]]:
    """The crops; for a delivery also the frames and what compositing needs of each, else none of either."""
    size = (source.height, source.width, 3)
    composited = request.delivery is not None
    frames = np.empty((len(source) if composited else 0, *size), np.uint8)
    crops = np.zeros((len(source), kind.crop, kind.crop, 3), np.uint8)
    targets: list[BlendTarget | None] = []
    masks = frames_of(request.parsing) if request.parsing and composited else None
    for i, frame in enumerate(frames_of(source, request.first)):
        box, exact = request.boxes[i], request.exact_boxes[i] if request.exact_boxes else None
        if exact is not None:
            crops[i] = warp_crop(frame, exact, kind, request.interpolation)
        elif box is not None:
            crops[i] = crop_face(frame, box, kind, request.interpolation)
        if composited:
            frames[i] = frame
            parsing, keep, target = next(masks) if masks else None, request.keep_originals, None
            if box is not None:
                target = blend_target(frame, box, exact, kind, request.blend, parsing, keep_original=keep)
            targets.append(target)
    return crops, frames, tuple(targets)


def _read_planes(source: PlaneFile, kind: ModelKind) -> NDArray[np.float32]:
    shape = (source.count, *kind.planes)
    each = int(np.prod(kind.planes)) * 4
    try:
        with storage.open_input(source.path) as file:
            file.seek(source.first * each)
            content = file.read(source.count * each)
        # Looked at afterwards: whatever was written before that shows.
        stamp = storage.stamp(source.path)
    except OSError as error:
        raise InputError(source.path, f"cannot be read ({error})", "put it back, or mend its permissions") from error
    if len(content) != source.count * each:
        raise InputError(source.path, "has become shorter since the run began", "export it again")
    if source.stamp not in {None, stamp}:
        raise changed(source.path)
    return np.frombuffer(content, "<f4").reshape(shape)
