"""The worker: an actor that holds one session and turns ranges of output frames into finished files."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import xxhash

from actors import storage
from actors.core.pixels import (
    Image,
    Interpolation,
    Planes,
    network_planes,
    paste,
    prediction_fault,
    render_square,
    to_pixels,
)
from actors.core.report import FrameFailure, RangeReport, WorkerReport
from actors.core.timings import FrameTiming
from actors.device import Device, own_device
from actors.encoding import ImageFormat, encode_image
from actors.layout import frame_path, segment_name, segment_path
from actors.proof import NodeProof, prove_node
from actors.segments import SegmentEncoder

if TYPE_CHECKING:
    from actors.backgrounds import Block
    from actors.core.audio import AudioTrack
    from actors.core.kind import ModelKind, ModelTensors
    from actors.core.timeline import FrameRange
    from actors.session import Session


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything a worker needs besides sound and backgrounds; the same for every worker of a run.

    Attributes:
        model: path of the ONNX file.
        tensors: its inputs and output.
        kind: the contract it honours.
        provider: ONNX Runtime execution provider to insist on.
        threads: intra-op threads.
        batch: frames per inference.
        gpus: fraction of a card this worker has; 0 on the CPU.
        interpolation: filter of the paste.
        composite: whether frames are finished at all; without it only the network runs.
        image_format: format of the frame files.
        quality: quality of the frame files.
        video: whether each range is encoded into a segment.
        out: the run's folder.
        proof: what the worker's node must show before it renders.
    """

    model: str
    tensors: ModelTensors
    kind: ModelKind
    provider: str
    threads: int
    batch: int
    gpus: float
    interpolation: Interpolation
    composite: bool
    image_format: ImageFormat
    quality: int
    video: bool
    out: str
    proof: NodeProof


@dataclass(slots=True)
class _Spent:
    """Milliseconds of one frame by stage, and what was written."""

    composite_ms: float = 0.0
    encode_ms: float = 0.0
    write_ms: float = 0.0
    video_ms: float = 0.0
    bytes: int = 0
    checksum: str = ""


class Compositor:
    """Renders ranges. One per Ray actor; nothing in it is shared with another."""

    def __init__(self, worker: int, config: WorkerConfig, audio: AudioTrack) -> None:
        """Keeps the configuration; `prepare` does the work that can fail.

        Args:
            worker: number of this worker, for the timing table.
            config: what to run and where to write.
            audio: the sound's features, read-only and shared through the object store.
        """
        cv2.setNumThreads(1)
        self._worker = worker
        self._config = config
        self._audio = audio
        self._device: Device = own_device(config.gpus)
        self._session: Session | None = None

    def prepare(self) -> WorkerReport:
        """Proves the node, builds and warms the session.

        Raises:
            InputError: the node lacks a file, cannot write the run's folder, or the session cannot be had.
        """
        # Imported here so that its cost is measured, and so that a driver never loads the runtime.
        began = time.perf_counter()
        from actors.session import Session, SessionOptions, runtime_conflict  # noqa: PLC0415

        imported = time.perf_counter()
        config = self._config
        prove_node(config.proof)
        options = SessionOptions(config.provider, config.threads, config.batch, int(self._device.memory * config.gpus))
        self._session = Session(config.model, config.tensors, config.kind, options)
        built = time.perf_counter()
        self._session.warm_up()
        warm = time.perf_counter()
        clash = runtime_conflict()
        return WorkerReport(
            worker=self._worker,
            node=self._device.node,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=self._device.name,
            provider=self._session.provider,
            batch=self._session.batch,
            threads=config.threads,
            cpu_nodes=self._session.cpu_nodes,
            import_seconds=imported - began,
            session_seconds=built - imported,
            warm_seconds=warm - built,
            notes=(f"{clash} are both installed: the last one installed wins",) if clash else (),
        )

    def render(self, frames: FrameRange, backgrounds: tuple[int, ...], *blocks: Block) -> RangeReport:
        """Renders one range; every delivered file stands under its final name when this returns.

        Args:
            frames: the output frames.
            backgrounds: the background of each.
            blocks: blocks that together hold all of these backgrounds.

        Raises:
            OSError: a file cannot be written.
            RuntimeError: `prepare` was not called.
        """
        if self._session is None:
            raise RuntimeError("render was called before prepare")
        config, size = self._config, self._session.batch
        places = _Places(blocks)
        timings: list[FrameTiming] = []
        failures: list[FrameFailure] = []
        encoder: SegmentEncoder | None = None
        for batch, start in enumerate(range(frames.start, frames.stop, size)):
            stop = min(start + size, frames.stop)
            shown = backgrounds[start - frames.start : stop - frames.start]
            started_at, clock = time.time(), time.perf_counter()
            image = places.planes(shown, config.kind)
            audio = self._audio.tensors(start, stop, config.kind)
            gathered = time.perf_counter()
            predictions = self._session.run(image, audio)
            inferred = time.perf_counter()
            for frame, background, prediction in zip(range(start, stop), shown, predictions, strict=True):
                fault = prediction_fault(prediction)
                if fault:
                    failures.append(FrameFailure(frame, fault))
                    continue
                spent = _Spent()
                if config.composite:
                    finished = self._finish(frame, background, prediction, places, spent)
                    if config.video:
                        before = time.perf_counter()
                        encoder = encoder or _encoder(finished, config.kind)
                        encoder.add(finished)
                        spent.video_ms = _ms(before)
                timings.append(
                    FrameTiming(
                        frame=frame,
                        background=background,
                        range_id=frames.id,
                        batch_id=batch,
                        batch_size=stop - start,
                        worker=self._worker,
                        node=self._device.node,
                        pid=os.getpid(),
                        device=self._device.name,
                        provider=self._session.provider,
                        started_at=started_at,
                        gather_ms=(gathered - clock) * 1e3 / (stop - start),
                        inference_ms=(inferred - gathered) * 1e3 / (stop - start),
                        composite_ms=spent.composite_ms,
                        encode_ms=spent.encode_ms,
                        write_ms=spent.write_ms,
                        video_ms=spent.video_ms,
                        bytes=spent.bytes,
                        checksum=spent.checksum,
                        segment="",
                        segment_bytes=0,
                        segment_checksum="",
                    )
                )
        # With a hole in it a segment would shift every later frame; the run reports the hole instead.
        if encoder and not failures:
            timings = self._keep_segment(frames, encoder, timings)
        return RangeReport(frames, tuple(timings), tuple(failures))

    def _keep_segment(
        self, frames: FrameRange, encoder: SegmentEncoder, timings: list[FrameTiming]
    ) -> list[FrameTiming]:
        """Writes the range's segment and names it in every frame's timing; ends the encoder."""
        clock = time.perf_counter()
        segment = encoder.finish()
        storage.write_atomic(segment_path(self._config.out, frames), segment)
        checksum = xxhash.xxh3_64_hexdigest(segment)
        # The encoder holds frames back and finishes them only now.
        rest = _ms(clock) / len(timings)
        return [
            replace(
                timing,
                video_ms=timing.video_ms + rest,
                segment=segment_name(frames),
                segment_bytes=len(segment),
                segment_checksum=checksum,
            )
            for timing in timings
        ]

    def _finish(self, frame: int, background: int, prediction: Planes, places: _Places, spent: _Spent) -> Image:
        """Composites, encodes and writes one frame; adds what it took to ``spent``."""
        config = self._config
        block, i = places.find(background)
        if block.frames is None or block.crops is None:
            raise RuntimeError("compositing was asked for, but the block has no full frames")
        clock = time.perf_counter()
        rect = block.rects[i]
        square = render_square(block.crops[i], to_pixels(prediction), rect, config.kind, config.interpolation)
        finished = paste(block.frames[i], square, rect)
        spent.composite_ms = _ms(clock)
        if config.image_format is not ImageFormat.NONE:
            clock = time.perf_counter()
            content = encode_image(finished, config.image_format, config.quality)
            spent.encode_ms = _ms(clock)
            clock = time.perf_counter()
            storage.write_atomic(frame_path(config.out, frame, config.image_format), content)
            spent.write_ms = _ms(clock)
            spent.bytes = content.nbytes
            spent.checksum = xxhash.xxh3_64_hexdigest(content)
        return finished


class _Places:
    """Finds backgrounds in the blocks of one range."""

    def __init__(self, blocks: tuple[Block, ...]) -> None:
        self._blocks = blocks

    def find(self, background: int) -> tuple[Block, int]:
        """The block that holds a background, and its position there."""
        for block in self._blocks:
            held = block.planes if block.planes is not None else block.crops
            if held is not None and block.first <= background < block.first + len(held):
                return block, background - block.first
        raise KeyError(f"background {background} is in none of the range's blocks")

    def planes(self, backgrounds: tuple[int, ...], kind: ModelKind) -> Planes:
        """The image tensor of a batch, ``(n, 6, inner, inner)`` float32 in [0, 1]."""
        found = [self.find(background) for background in backgrounds]
        ready = [block.planes[i] for block, i in found if block.planes is not None]
        if ready:
            return np.stack(ready)
        return network_planes(np.stack([block.crops[i] for block, i in found if block.crops is not None]), kind)


def _encoder(first: Image, kind: ModelKind) -> SegmentEncoder:
    height, width = first.shape[:2]
    return SegmentEncoder(width, height, Fraction(kind.fps))


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1e3
