"""The finished video: joined from the segments that the workers left, with the sound that belongs to them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from actors.files import storage
from actors.files.digests import content_digest, file_facts
from actors.files.run_folder import RunFolder, segment_range
from jobs.audio.soundtrack import cut_chunks, sound_chunks
from jobs.inputs.inputs import Inputs
from jobs.process.temporary_folders import scratch_folder
from jobs.run import mux
from jobs.run.record import Video


def join_video(folder: RunFolder, inputs: Inputs, table: pa.Table) -> Video:
    """Joins the segments of these inputs' frames, and the sound that belongs to them, into the video.

    Args:
        folder: the run's.
        inputs: what was rendered.
        table: every recorded frame.

    Raises:
        ValueError: the segments do not follow on each other.
        InputError: the sound cannot be used.
        OSError: something cannot be read or written.
        FFmpegError: a segment or the sound cannot be read as such.
    """
    first, last = inputs.frames.start, inputs.frames.stop
    names = [
        name
        for frame, name in zip(table["frame"].to_pylist(), table["segment"].to_pylist(), strict=True)
        if first <= frame < last
    ]
    named = dict.fromkeys(names)
    spans = [span for name in named if (span := segment_range(name)) is not None]
    ends = [first, *(span.stop for span in spans)]
    if len(spans) < len(named) or [span.start for span in spans] != ends[:-1] or ends[-1] != last:
        raise ValueError(f"its segments do not follow on each other: {', '.join(named)}")
    segments = [folder.segment(span) for span in spans]
    fps = inputs.kind.fps
    sound = cut_chunks(sound_chunks(inputs.sound), first, last, fps) if inputs.sound else None
    with scratch_folder() as scratch:
        joined = scratch / storage.name_of(str(folder.video))
        mux.join(joined, segments, sound, fps)
        storage.place_file(joined, folder.video)
    return Video.model_validate(file_facts(folder.video) | _made_of(inputs))


def is_joined(folder: RunFolder, inputs: Inputs, video: Video | None) -> bool:
    """Whether the video of an earlier command stands there unchanged, and is that of these inputs too.

    Raises:
        OSError: it cannot be read.
    """
    if video is None or not storage.is_file(folder.video):
        return False
    made_of = {"frames": video.frames, "sound": video.sound}
    facts = {"bytes": video.bytes, "checksum": video.checksum}
    return made_of == _made_of(inputs) and facts == file_facts(folder.video)


def _made_of(inputs: Inputs) -> dict[str, Any]:
    sound = content_digest(inputs.sound.path) if inputs.sound else None
    return {"frames": (inputs.frames.start, inputs.frames.stop), "sound": sound}
