"""The worker: an actor that holds one session and turns ranges of output frames into finished files."""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import time
from collections import deque
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import cv2

from actors.core.errors import of_clip
from actors.core.ranges import FrameRange
from actors.core.worker_reports import RangeReport, WorkerReport
from actors.files.node_check import check_clip, check_code, check_model
from actors.network.cpu_kind import cpu_kind
from actors.network.device import own_device
from actors.rendering.batching import RangeBackgrounds, batches
from actors.rendering.blocks import Block
from actors.rendering.calls import Calls
from actors.rendering.executors import Share, executor
from actors.rendering.finishing import Origin, RangeFinishing
from actors.rendering.frame_costs import Batch, milliseconds
from actors.rendering.network_stage import InlineNetwork, NetworkThreads
from actors.rendering.precision_check import check_precision
from actors.rendering.worker_config import ClipConfig, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    from ray import ObjectRef

    from actors.rendering.network_stage import Answered, Gathered


# The thread that runs the network waits so long for threads that composite, each time it comes back from the GPU. By
# Python's own choice, 5 ms, the network would stand still for a tenth of its time.
SWITCH_SECONDS = 0.001


class Compositor:
    """Renders ranges of clips. One per Ray actor; nothing in it is shared with another.

    Attributes:
        finishing: what takes the frames of a range from the network to their files.
    """

    finishing = RangeFinishing

    def __init__(self, worker: int, config: NetworkConfig) -> None:
        """Keeps the configuration; `prepare` does the work that can fail.

        Args:
            worker: number of this worker, for the timing table.
            config: which network to run, and how.
        """
        cv2.setNumThreads(1)
        if config.compositing_threads:
            sys.setswitchinterval(SWITCH_SECONDS)
        self._config = config
        self._clips: dict[str, ClipConfig] = {}
        self._device = device = own_device(config.gpus)
        self._origin = Origin(worker, device.node, os.getpid(), device.name, config.device.provider)
        self._network = NetworkThreads() if config.compositing_threads else InlineNetwork()
        self._compositing = executor(config.compositing_threads)
        self._calls = Calls()
        # Held while a clip is opened: calls may overlap.
        self._opening = Lock()
        # Frames of the largest batch, once there is a session.
        self._batch = 0

    def open_clip(self, clip: ClipConfig) -> None:
        """Takes a clip, of which ranges can be rendered from now on.

        Raises:
            ClipError: this node does not see a file of the clip, or cannot write its folder.
            RuntimeError: a clip of that id is open already.
        """
        if clip.id in self._clips:
            raise RuntimeError(f"a clip {clip.id} is open already")
        with of_clip():
            check_clip(clip.check)
        self._clips[clip.id] = clip

    def close_clip(self, clip_id: str) -> None:
        """Forgets a clip; no range of it may be rendering."""
        self._clips.pop(clip_id, None)

    def prepare(self, clip: ClipConfig) -> WorkerReport:
        """Checks the node, opens a first clip, builds and warms the session.

        Args:
            clip: one that will be rendered; whether answers depend on their batch is seen by its frames.

        Raises:
            ClipError: as `open_clip` does, or a frame to compare cannot be read.
            ClipStoppedError: a frame to compare is not what it was.
            InputError: the node lacks the model or has other program files, the session cannot be had, half precision
                shows, or the network answers differently each time.
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
        precision = self._network.call(check_precision, config, clip)
        ready = self._network.call(ready_session, config, self._device.memory, clip)
        session = ready.session
        self._network.open(session)
        self._batch = session.batch
        # What there is by now stays for good; a collection that walks through it again takes 50 ms, every few ranges.
        gc.freeze()
        return WorkerReport(
            worker=self._origin.worker,
            node=self._device.node,
            host=socket.gethostname(),
            pid=self._origin.pid,
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
            tuning=session.tuning,
            precision=precision,
        )

    def render(
        self, clip_id: str, start: int, stop: int, *blocks: Block, opening: Sequence[ObjectRef[ClipConfig]] = ()
    ) -> RangeReport:
        """Renders one range; every delivered file stands under its final name when this returns.

        With compositing threads the network runs one batch while the next is gathered and earlier ones are composited,
        and calls may overlap: frames of the earliest go through the network first.

        Args:
            clip_id: of the clip.
            start: the first output frame.
            stop: end of the output frames.
            blocks: blocks that together hold the backgrounds of these frames and, where colours are matched, of those
                within `ClipConfig.reach` before and after them, as far as there are any.
            opening: a reference to the clip, where it may not be open yet; in a list, so that Ray leaves it as it is.

        Raises:
            ClipError: as `open_clip` does.
            OSError: a file cannot be written.
            RuntimeError: `prepare` was not called, or the clip was not opened.
        """
        clip = self._clips.get(clip_id) or self._opened(clip_id, opening)
        if not self._batch or clip is None:
            raise RuntimeError("render was called before prepare, or of a clip that was not opened")
        with self._calls.one() as call:
            report = self._render(call.order, clip, FrameRange(start, stop), blocks)
        return replace(report, seconds=call.seconds)

    def _opened(self, clip_id: str, opening: Sequence[ObjectRef[ClipConfig]]) -> ClipConfig | None:
        """A clip that may have to be opened first; ``None`` where nothing is known of it."""
        # Only where there is Ray there are references.
        import ray  # noqa: PLC0415

        with self._opening:
            if opening and clip_id not in self._clips:
                self.open_clip(ray.get(opening[0]))
            return self._clips.get(clip_id)

    def _render(self, order: int, clip: ClipConfig, frames: FrameRange, blocks: tuple[Block, ...]) -> RangeReport:
        """All frames of a range through all stages, in order; the network runs for their neighbours too."""
        seen = clip.pairing.around(frames, clip.reach, len(clip.audio))
        backgrounds = RangeBackgrounds(clip.pairing.backgrounds_of(seen), seen, blocks)
        parts = batches(frames, seen, clip.reach, self._batch, clip.audio)
        network, ahead = self._network, deque[tuple[FrameRange, "Future[Answered]"]]()
        # Leaving them waits for what still runs of this call, also after an error: nothing is written once this has
        # returned.
        with Share(self._compositing) as own, executor(min(1, self._config.compositing_threads)) as encoding:
            finishing = self._finishing(clip, frames, backgrounds, own, encoding)
            for number, part in enumerate(parts):
                gather = partial(self._gather, clip, number, part, frames, backgrounds)
                ahead.append((part, own.including(network.submit(order, gather))))
                while len(ahead) > (network.ahead if part != parts[-1] else 0):
                    answered, answer = ahead.popleft()
                    finishing.add(answered, *answer.result(), last=answered == parts[-1])
            return finishing.report()

    def _finishing(
        self,
        clip: ClipConfig,
        frames: FrameRange,
        backgrounds: RangeBackgrounds,
        compositing: Executor,
        encoding: Executor,
    ) -> RangeFinishing:
        return self.finishing(
            clip,
            self._config.kind,
            frames,
            backgrounds,
            origin=self._origin,
            batch=self._batch,
            compositing=compositing,
            encoding=encoding,
        )

    def _gather(
        self, clip: ClipConfig, number: int, part: FrameRange, frames: FrameRange, backgrounds: RangeBackgrounds
    ) -> Gathered:
        """The network's input for one batch; ``None`` where it need not run."""
        started_at, clock = time.time(), time.perf_counter()
        if not clip.audio.opacity(part.start):
            return Batch(number, len(part), started_at, milliseconds(clock)), None
        kind, size = self._config.kind, sum(frame in frames for frame in part)
        sound = clip.audio.tensors(part.start, part.stop, kind)
        given = backgrounds.image(part, kind), sound, backgrounds.faces(part)
        return Batch(number, size, started_at, milliseconds(clock)), given
