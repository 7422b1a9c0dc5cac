"""What becomes of one range after the network: colours fitted, frames composited, encoded and written, the segment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import xxhash

from actors.core.colour import REACH, ColourFit, fit_colours, matched, smoothed
from actors.core.compositing import composite_patch
from actors.core.pixels import ColourPlanes, Image, PredictionFault, from_planes
from actors.core.ranges import ClipRange, FrameRange
from actors.core.seam import Seam, edge_pixels
from actors.core.timings import FrameTiming
from actors.core.worker_reports import FrameFailure, RangeReport
from actors.files import storage
from actors.files.run_folder import segment_name
from actors.rendering.batching import RangeBackgrounds
from actors.rendering.blocks import PlaneBlock
from actors.rendering.frame_costs import Batch, FinishedFrame, charge, measured, milliseconds
from actors.rendering.image_files import encode_frame, splice_frame
from actors.rendering.segment_writer import SegmentWriter

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from actors.core.kind import ModelKind
    from actors.network.prediction import Prediction
    from actors.rendering.worker_config import ClipConfig

# Batches that may be on their way to disk while the network runs the next one: enough to keep it busy, and few enough
# that finished frames do not pile up where disk or cores are slower than the GPU.
BATCHES_BEHIND = 2

# A colour fit that may still be on its way, with the milliseconds that it takes.
PendingFit: TypeAlias = "Future[tuple[ColourFit, float]]"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who renders, as every row of the timing table says it.

    Attributes:
        worker: its number.
        node: Ray node id.
        pid: its process.
        device: ``cpu`` or the name of the GPU.
        provider: ONNX Runtime's execution provider.
    """

    worker: int
    node: str
    pid: int
    device: str
    provider: str


class RangeFinishing:
    """The frames of one range, taken batch by batch, in order."""

    def __init__(
        self,
        clip: ClipConfig,
        kind: ModelKind,
        frames: FrameRange,
        backgrounds: RangeBackgrounds,
        *,
        origin: Origin,
        batch: int,
        compositing: Executor,
        encoding: Executor,
    ) -> None:
        """Takes a range, of which nothing is there yet.

        Args:
            clip: whose frames they are.
            kind: of the network.
            frames: the range.
            backgrounds: what its frames are drawn on.
            origin: who renders it.
            batch: frames of the largest batch.
            compositing: composites, encodes and writes frames.
            encoding: encodes the segment, one frame after the other.
        """
        self._clip = clip
        self._kind = kind
        self._frames = frames
        self._backgrounds = backgrounds
        self._origin = origin
        self._compositing = compositing
        self._writer = SegmentWriter(encoding, kind.fps, clip.video.aspect, 2 * batch) if clip.video else None
        self._batches: list[Batch] = []
        self._behind: deque[list[Future[FinishedFrame]]] = deque()
        self._waiting: deque[tuple[int, ColourPlanes | None, Batch]] = deque()
        self._fits: dict[int, PendingFit] = {}
        self._done: list[FinishedFrame] = []
        self._failures: list[FrameFailure] = []

    def add(self, part: FrameRange, batch: Batch, prediction: Prediction | None, *, last: bool) -> None:
        """Takes the next batch; waits where too many frames are not finished yet.

        Args:
            part: its output frames, which may be neighbours of the range.
            batch: what it has cost.
            prediction: what the network says; ``None`` where it did not run.
            last: no other follows.
        """
        self._batches.append(batch)
        for frame, mouth, fault in _answers(part, prediction):
            if mouth is not None and not fault and self._clip.colour_match:
                self._fits[frame] = self._compositing.submit(self._fit, self._backgrounds.crop(frame), mouth)
            if frame in self._frames and fault:
                self._failures.append(FrameFailure(frame, fault.reason, fault.values))
            elif frame in self._frames:
                self._waiting.append((frame, mouth, batch))
        ready: list[Future[FinishedFrame]] = []
        while self._waiting and (last or self._waiting[0][0] + self._clip.reach < part.stop):
            frame, mouth, own = self._waiting.popleft()
            reached = range(frame - REACH, frame + REACH + 1) if mouth is not None else ()
            near = {i: self._fits[i] for i in reached if i in self._fits}
            ready.append(self._compositing.submit(self._composite, frame, mouth, own, near))
        self._behind.append(ready)
        if len(self._behind) > BATCHES_BEHIND:
            self._collect()

    def report(self) -> RangeReport:
        """Waits for all frames, keeps the segment, and says what has become of the range."""
        while self._behind:
            self._collect()
        charge(self._batches)
        done = self._done
        # With a hole in it a segment would shift every later frame; the run reports the hole instead.
        segment = self._writer.finish() if self._writer and done and not self._failures else None
        timings = tuple(self._timing(frame, seam) for frame, seam in zip(done, measured(done), strict=True))
        if segment is not None:
            timings = _keep_segment(self._clip, self._frames, segment, timings)
        return RangeReport.of(ClipRange(self._clip.id, self._frames), timings, tuple(self._failures))

    def _collect(self) -> None:
        """The frames of the earliest batch, once they are finished; they go to the segment in order."""
        for future in self._behind.popleft():
            frame = future.result()
            self._done.append(frame)
            if self._writer is not None:
                self._writer.add(frame)

    def _fit(self, crop: Image, mouth: ColourPlanes) -> tuple[ColourFit, float]:
        """What brings one frame's colours to those of its background."""
        clock = time.perf_counter()
        return fit_colours(crop, from_planes(mouth), self._kind), milliseconds(clock)

    def _composite(
        self, frame: int, planes: ColourPlanes | None, batch: Batch, near: Mapping[int, PendingFit]
    ) -> FinishedFrame:
        """Composites, encodes and writes one frame.

        Args:
            frame: the output frame.
            planes: what the network made of it; ``None`` where the background is shown alone.
            batch: the batch it was in.
            near: colour fits of the frame and its neighbours; empty where colours are left as they are.
        """
        clip, backgrounds = self._clip, self._backgrounds
        delivery = clip.delivery
        block, i = backgrounds.find(frame)
        finished = FinishedFrame(frame, backgrounds.background(frame), block.origin(i), batch)
        if delivery is None:
            return finished
        if isinstance(block, PlaneBlock) or block.canvases is None:
            raise RuntimeError(f"background {finished.background} was loaded without what a frame is made with")
        box, canvases, patch = block.boxes[i], block.canvases, None
        target = canvases.targets[i]
        if box is not None and target is not None:
            clock = time.perf_counter()
            mouth = None if planes is None else from_planes(planes)
            if mouth is not None and near:
                mouth = matched(mouth, smoothed({other: fit.result()[0] for other, fit in near.items()}, frame))
                finished.composite_ms = near[frame].result()[1]
            opacity = clip.audio.opacity(frame)
            patch = composite_patch(block.crops[i], mouth, box, target, self._kind, clip.interpolation, opacity)
            finished.edges = target.seam, edge_pixels(target.seam, patch)
            finished.composite_ms += milliseconds(clock)
        if canvases.files is not None:
            clock = time.perf_counter()
            if isinstance(canvases.files, tuple):
                content = memoryview(splice_frame(canvases.files[i], patch))
            else:
                content = memoryview(encode_frame(canvases.files[i], patch, box, delivery))
            finished.encode_ms = milliseconds(clock)
            clock = time.perf_counter()
            storage.write_atomic(clip.folder.frame(frame, delivery.image_format), content)
            finished.write_ms = milliseconds(clock)
            finished.bytes = content.nbytes
            finished.checksum = xxhash.xxh3_64_hexdigest(content)
        if canvases.video is not None:
            clock = time.perf_counter()
            finished.yuv = canvases.video.picture(i, patch, box)
            finished.video_ms = milliseconds(clock)
        return finished

    def _timing(self, done: FinishedFrame, seam: Seam) -> FrameTiming:
        batch, origin = done.batch, self._origin
        return FrameTiming(
            frame=done.frame,
            background=done.background,
            face=done.face.value,
            range_id=self._frames.id,
            batch_id=batch.number,
            batch_size=batch.size,
            worker=origin.worker,
            node=origin.node,
            pid=origin.pid,
            device=origin.device,
            provider=origin.provider,
            started_at=batch.started_at,
            gather_ms=batch.gather_ms / batch.size,
            inference_ms=batch.inference_ms / batch.size,
            composite_ms=done.composite_ms,
            encode_ms=done.encode_ms,
            write_ms=done.write_ms,
            video_ms=done.video_ms,
            seam=seam.value,
            seam_at=seam.edge,
            bytes=done.bytes,
            checksum=done.checksum,
            segment="",
            segment_bytes=0,
            segment_checksum="",
        )


def _answers(
    part: FrameRange, prediction: Prediction | None
) -> list[tuple[int, ColourPlanes | None, PredictionFault | None]]:
    """The frames of a batch, what the network makes of each, and what is wrong with it."""
    if prediction is None:
        return [(frame, None, None) for frame in part]
    return list(zip(part, prediction.planes, prediction.faults, strict=True))


def _keep_segment(
    clip: ClipConfig, frames: FrameRange, segment: bytes, timings: tuple[FrameTiming, ...]
) -> tuple[FrameTiming, ...]:
    """Writes the range's segment and names it in every frame's timing."""
    clock = time.perf_counter()
    storage.write_atomic(clip.folder.segment(frames), segment)
    checksum = xxhash.xxh3_64_hexdigest(segment)
    each = milliseconds(clock) / len(timings)
    return tuple(
        replace(
            timing,
            video_ms=timing.video_ms + each,
            segment=segment_name(frames),
            segment_bytes=len(segment),
            segment_checksum=checksum,
        )
        for timing in timings
    )
