"""The finished video: joined from the segments that the workers left, with the sound that belongs to them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.digests import content_digest, file_facts
from actors.files.run_layout import segment_path, video_path
from jobs.audio.soundtrack import cut_chunks, sound_chunks
from jobs.inputs.inputs import Inputs
from jobs.process.temporary_folders import scratch_folder
from jobs.run import mux
from jobs.run.record import RunRecord


def join_video(out: str, inputs: Inputs, table: pa.Table) -> dict[str, Any]:
    """Joins the segments of these inputs' frames, and the sound that belongs to them, into the video.

    Args:
        out: the run's folder.
        inputs: what was rendered.
        table: every recorded frame.

    Returns:
        What run.json says of it: ``bytes, checksum, frames, sound``.

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
    spans = [FrameRange.parse(name.partition(".")[0]) for name in dict.fromkeys(names)]
    ends = [first, *(span.stop for span in spans)]
    if [span.start for span in spans] != ends[:-1] or ends[-1] != last:
        raise ValueError(f"its segments do not follow on each other: {', '.join(map(str, spans))}")
    segments = [segment_path(out, span) for span in spans]
    fps = inputs.kind.fps
    sound = cut_chunks(sound_chunks(inputs.sound), first, last, fps) if inputs.sound else None
    with scratch_folder() as scratch:
        joined = scratch / "video.mp4"
        mux.join(joined, segments, sound, fps)
        storage.place_file(joined, video_path(out))
    return file_facts(video_path(out)) | _made_of(inputs)


def is_joined(out: str, inputs: Inputs, before: RunRecord) -> bool:
    """Whether the video of an earlier command stands there unchanged, and is that of these inputs too.

    Raises:
        OSError: it cannot be read.
    """
    video = before.video
    if video is None or not storage.is_file(video_path(out)):
        return False
    made_of = {"frames": list(video.frames or ()), "sound": video.sound}
    facts = {"bytes": video.bytes, "checksum": video.checksum}
    return made_of == _made_of(inputs) and facts == file_facts(video_path(out))


def _made_of(inputs: Inputs) -> dict[str, Any]:
    sound = content_digest(inputs.sound.path) if inputs.sound else None
    return {"frames": [inputs.frames.start, inputs.frames.stop], "sound": sound}
