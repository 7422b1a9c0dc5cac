"""The worker: an actor that holds one session and turns ranges of output frames into finished files."""

from __future__ import annotations

import gc
import importlib
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import xxhash
from numpy.typing import NDArray

from actors.core.colour import REACH, ColourFit, fit_colours, matched, smoothed
from actors.core.compositing import composite_patch
from actors.core.pixels import ColourPlanes, Image, Planes, PredictionFault, from_planes
from actors.core.ranges import ClipRange, FrameRange
from actors.core.seam import Seam, edge_pixels
from actors.core.timings import FrameTiming
from actors.core.worker_reports import FrameFailure, RangeReport, WorkerReport
from actors.files import storage
from actors.files.node_check import check_clip, check_code, check_model
from actors.files.run_folder import segment_name
from actors.network.cpu_kind import cpu_kind
from actors.network.device import own_device
from actors.rendering.batching import RangeBackgrounds, batches
from actors.rendering.blocks import Block, PlaneBlock
from actors.rendering.executors import executor
from actors.rendering.frame_costs import Batch, FinishedFrame, charge, measured, milliseconds
from actors.rendering.image_files import encode_frame, splice_frame
from actors.rendering.segment_writer import SegmentWriter
from actors.rendering.worker_config import ClipConfig, NetworkConfig

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from actors.network.session import Session

# Batches that may be on their way to disk while the network runs the next one: enough to keep it busy, and few enough
# that finished frames do not pile up where disk or cores are slower than the GPU.
BATCHES_BEHIND = 2

# Of one batch: the network's view of the backgrounds, the audio tensors, and what the face encoder made before.
NetworkInput: TypeAlias = "tuple[NDArray[Any], Planes, tuple[Planes, ...]]"

# A colour fit that may still be on its way, with the milliseconds that it takes.
PendingFit: TypeAlias = "Future[tuple[ColourFit, float]]"


class Compositor:
    """Renders ranges of clips. One per Ray actor; nothing in it is shared with another."""

    def __init__(self, worker: int, config: NetworkConfig) -> None:
        """Keeps the configuration; `prepare` does the work that can fail.

        Args:
            worker: number of this worker, for the timing table.
            config: which network to run, and how.
        """
        cv2.setNumThreads(1)
        self._worker = worker
        self._config = config
        self._clips: dict[str, ClipConfig] = {}
        self._device = own_device(config.gpus)
        self._session: Session | None = None

    def open_clip(self, clip: ClipConfig) -> None:
        """Takes a clip, of which ranges can be rendered from now on.

        Raises:
            InputError: this node does not see a file of the clip, or cannot write its folder.
            RuntimeError: a clip of that id is open already.
        """
        if clip.id in self._clips:
            raise RuntimeError(f"a clip {clip.id} is open already")
        check_clip(clip.check)
        self._clips[clip.id] = clip

    def prepare(self, clip: ClipConfig) -> WorkerReport:
        """Checks the node, opens a first clip, builds and warms the session.

        Args:
            clip: one that will be rendered; whether answers depend on their batch is seen by its frames.

        Raises:
            InputError: the node lacks a file, cannot write the clip's folder, the session cannot be had, or the network
                answers differently each time.
        """
        # Imported here so that its cost is measured, and so that a driver never loads the runtime.
        began = time.perf_counter()
        from actors.rendering.worker_session import ready_session  # noqa: PLC0415

        if clip.video:
            importlib.import_module("actors.rendering.video_segments")
        imported = time.perf_counter()
        config = self._config
        check_code(config.code)
        self.open_clip(clip)
        check_model(config.check)
        ready = ready_session(config, self._device.memory, clip)
        self._session = session = ready.session
        # What there is by now stays for good; a collection that walks through it again takes 50 ms, every few ranges.
        gc.freeze()
        return WorkerReport(
            worker=self._worker,
            node=self._device.node,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=self._device.name,
            cpu=cpu_kind(),
            provider=session.device.provider,
            batch=session.batch,
            threads=config.threads,
            cpu_nodes=session.cpu_nodes,
            import_seconds=imported - began,
            session_seconds=ready.session_seconds,
            warm_seconds=ready.warm_seconds,
            notes=ready.notes,
        )

    def render(self, clip_id: str, start: int, stop: int, *blocks: Block) -> RangeReport:
        """Renders one range; every delivered file stands under its final name when this returns.

        With compositing threads the network runs one batch while the next is gathered and earlier ones are composited.

        Args:
            clip_id: of a clip that was opened.
            start: the first output frame.
            stop: end of the output frames.
            blocks: blocks that together hold the backgrounds of these frames and, where colours are matched, of those
                within `ClipConfig.reach` before and after them, as far as there are any.

        Raises:
            OSError: a file cannot be written.
            RuntimeError: `prepare` was not called, or the clip was not opened.
        """
        clip = self._clips.get(clip_id)
        if self._session is None or clip is None:
            raise RuntimeError("render was called before prepare, or of a clip that was not opened")
        began = time.perf_counter()
        frames, threads = FrameRange(start, stop), self._config.compositing_threads
        alone = min(1, threads)
        # Leaving them waits for whatever still runs, also after an error: nothing is written once this has returned.
        with executor(alone) as gathering, executor(threads) as compositing, executor(alone) as encoding:
            writer = (
                SegmentWriter(encoding, self._config.kind.fps, clip.video.aspect, 2 * self._session.batch)
                if clip.video
                else None
            )
            seen = clip.pairing.around(frames, clip.reach, len(clip.audio))
            backgrounds = RangeBackgrounds(clip.pairing.backgrounds_of(seen), seen, blocks)
            done, failures = self._run(self._session, clip, frames, backgrounds, gathering, compositing, writer)
            # With a hole in it a segment would shift every later frame; the run reports the hole instead.
            segment = writer.finish() if writer and done and not failures else None
        timings = tuple(self._timing(frame, frames, seam) for frame, seam in zip(done, measured(done), strict=True))
        if segment is not None:
            timings = _keep_segment(clip, frames, segment, timings)
        return RangeReport.of(ClipRange(clip_id, frames), timings, tuple(failures), time.perf_counter() - began)

    def _run(
        self,
        session: Session,
        clip: ClipConfig,
        frames: FrameRange,
        backgrounds: RangeBackgrounds,
        gathering: Executor,
        compositing: Executor,
        writer: SegmentWriter | None,
    ) -> tuple[list[FinishedFrame], list[FrameFailure]]:
        """All frames of a range through all stages, in order; the network runs for their neighbours too."""
        done: list[FinishedFrame] = []
        failures: list[FrameFailure] = []
        begun: list[Batch] = []
        behind: deque[list[Future[FinishedFrame]]] = deque()
        waiting: deque[tuple[int, ColourPlanes | None, Batch]] = deque()
        fits: dict[int, PendingFit] = {}
        parts = batches(frames, backgrounds.seen, clip.reach, session.batch, clip.audio)
        gathered = gathering.submit(self._gather, clip, 0, parts[0], frames, backgrounds)
        for number, part in enumerate(parts):
            batch, given = gathered.result()
            if number + 1 < len(parts):
                gathered = gathering.submit(self._gather, clip, number + 1, parts[number + 1], frames, backgrounds)
            begun.append(batch)
            for frame, mouth, fault in _predicted(session, part, given, batch):
                if mouth is not None and not fault and clip.colour_match:
                    fits[frame] = compositing.submit(self._fit, backgrounds.crop(frame), mouth)
                if frame in frames and fault:
                    failures.append(FrameFailure(frame, fault.reason, fault.values))
                elif frame in frames:
                    waiting.append((frame, mouth, batch))
            behind.append([])
            while waiting and min(waiting[0][0] + clip.reach, parts[-1].stop - 1) < part.stop:
                frame, mouth, own = waiting.popleft()
                reached = range(frame - REACH, frame + REACH + 1) if mouth is not None else ()
                near = {i: fits[i] for i in reached if i in fits}
                behind[-1].append(compositing.submit(self._composite, clip, frame, mouth, own, backgrounds, near))
            if len(behind) > BATCHES_BEHIND:
                done.extend(_collect(behind.popleft(), writer))
        while behind:
            done.extend(_collect(behind.popleft(), writer))
        charge(begun)
        return done, failures

    def _gather(
        self, clip: ClipConfig, number: int, part: FrameRange, frames: FrameRange, backgrounds: RangeBackgrounds
    ) -> tuple[Batch, NetworkInput | None]:
        """The network's input for one batch; ``None`` where it need not run."""
        started_at, clock = time.time(), time.perf_counter()
        if not clip.audio.opacity(part.start):
            return Batch(number, len(part), started_at, milliseconds(clock)), None
        kind, size = self._config.kind, sum(frame in frames for frame in part)
        sound = clip.audio.tensors(part.start, part.stop, kind)
        given = backgrounds.image(part, kind), sound, backgrounds.faces(part)
        return Batch(number, size, started_at, milliseconds(clock)), given

    def _fit(self, crop: Image, mouth: ColourPlanes) -> tuple[ColourFit, float]:
        """What brings one frame's colours to those of its background."""
        clock = time.perf_counter()
        return fit_colours(crop, from_planes(mouth), self._config.kind), milliseconds(clock)

    def _composite(
        self,
        clip: ClipConfig,
        frame: int,
        planes: ColourPlanes | None,
        batch: Batch,
        backgrounds: RangeBackgrounds,
        near: Mapping[int, PendingFit],
    ) -> FinishedFrame:
        """Composites, encodes and writes one frame.

        Args:
            clip: whose frame it is.
            frame: the output frame.
            planes: what the network made of it; ``None`` where the background is shown alone.
            batch: the batch it was in.
            backgrounds: where its background is found.
            near: colour fits of the frame and its neighbours; empty where colours are left as they are.
        """
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
            patch = composite_patch(block.crops[i], mouth, box, target, self._config.kind, clip.interpolation, opacity)
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

    def _timing(self, done: FinishedFrame, frames: FrameRange, seam: Seam) -> FrameTiming:
        batch = done.batch
        return FrameTiming(
            frame=done.frame,
            background=done.background,
            face=done.face.value,
            range_id=frames.id,
            batch_id=batch.number,
            batch_size=batch.size,
            worker=self._worker,
            node=self._device.node,
            pid=os.getpid(),
            device=self._device.name,
            provider=self._config.device.provider,
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


def _collect(futures: list[Future[FinishedFrame]], writer: SegmentWriter | None) -> list[FinishedFrame]:
    """The finished frames of a batch, once they are; they go to the segment in order."""
    done = [future.result() for future in futures]
    if writer is not None:
        for frame in done:
            writer.add(frame)
    return done


def _predicted(
    session: Session, part: FrameRange, given: NetworkInput | None, batch: Batch
) -> list[tuple[int, ColourPlanes | None, PredictionFault | None]]:
    """The frames of a batch, what the network makes of each and what is wrong with it; nothing if it need not run."""
    if given is None:
        return [(frame, None, None) for frame in part]
    clock = time.perf_counter()
    prediction = session.run(*given)
    batch.inference_ms = milliseconds(clock)
    return list(zip(part, prediction.planes, prediction.faults, strict=True))
