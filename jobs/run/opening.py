"""A clip on the threshold of being rendered: what the driver keeps of it, and what its folder is made to hold."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.choices import ImageFormat
from actors.core.errors import StoppedError
from actors.core.ranges import ClipRange, FrameRange
from actors.files import storage
from actors.files.digests import text_digest
from actors.files.run_folder import RunFolder
from actors.rendering.worker_config import NetworkConfig
from jobs.planning.render_plan import BlockNeeds
from jobs.run.decide import Decision, RenderRequest
from jobs.run.failures import hopeless
from jobs.run.folder import clear_data, sweep
from jobs.run.ledger import Ledger
from jobs.run.record import RunRecord
from jobs.run.record_file import write_record
from jobs.scheduling.open_clip import ClipJob, OpenClip


@dataclass(frozen=True, slots=True)
class Opening:
    """What the driver needs of a clip while it is rendered; it is small, whatever the clip is.

    Attributes:
        clip: its id among those that are rendered.
        folder: its run's.
        network: that renders it.
        ranges: of the frames that are missing.
        blocks_of: the blocks that a range needs.
        record: the run's, as it stands while the run goes on.
        wanted: how many frames were asked for, those that are there already included.
        image_format: of its frame files.
        joined: the frames that its video is joined of, ``None`` without one.
        value_range: what black and white are to the network.
    """

    clip: str
    folder: RunFolder
    network: NetworkConfig
    ranges: tuple[FrameRange, ...]
    blocks_of: BlockNeeds
    record: RunRecord
    wanted: int
    image_format: ImageFormat
    joined: FrameRange | None
    value_range: tuple[float, float]

    @classmethod
    def of(cls, request: RenderRequest, decision: Decision) -> Opening:
        """The opening of what has been decided."""
        plan, inputs, options = decision.plan, request.inputs, request.options
        return cls(
            clip=plan.clip_id,
            folder=request.folder,
            network=plan.network,
            ranges=decision.ranges,
            blocks_of=plan.blocks_of,
            record=decision.record,
            wanted=len(inputs.frames),
            image_format=options.image_format,
            joined=inputs.frames if options.video else None,
            value_range=inputs.kind.value_range,
        )

    @property
    def ledger(self) -> Ledger:
        """The run's."""
        return Ledger(self.folder, self.image_format, self.joined)

    @property
    def network_key(self) -> str:
        """Names the network among those of a command; workers that hold it render any clip of it."""
        return text_digest(repr(self.network))

    @property
    def capacity(self) -> int:
        """Bytes of its backgrounds that may be held at once."""
        return self.blocks_of.blocks.capacity * self.blocks_of.blocks.bytes

    def hopeless(self, clip: OpenClip) -> StoppedError | None:
        """Why rendering need not go on where none of its frames could be delivered so far, or ``None``."""
        if clip.done or clip.total != self.wanted:
            return None
        return hopeless(clip.failures, clip.remaining, self.value_range)

    def job(self, priority: int = 0) -> ClipJob:
        """The clip as it is scheduled."""
        ranges = tuple(ClipRange(self.clip, frames) for frames in self.ranges)
        size = self.blocks_of.blocks.bytes
        return ClipJob(self.clip, ranges, self.blocks_of, size, priority, self.network_key)


def prepare_folder(request: RenderRequest, record: RunRecord) -> None:
    """Makes a run's folder what workers may write into.

    Raises:
        OSError: it cannot be written.
    """
    folder, options = request.folder, request.options
    sweep(folder, request.mark)
    if options.restart:
        clear_data(folder)
    if options.video:
        # What stands there was joined of other frames than those this run will have.
        storage.remove_file(folder.video)
    # The record comes before anything that only makes sense with it.
    write_record(folder, record)
    folder.make_folders(frames=options.image_format is not ImageFormat.NONE, segments=options.video)
