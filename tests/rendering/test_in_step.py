"""Sound and picture of a long video, played back: whoever claps is heard clapping, at its end as at its beginning."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from actors.core.yuv import to_yuv420
from actors.rendering.video_segments import SegmentEncoder
from jobs.audio.recording import check_recording
from jobs.audio.soundtrack import cut_chunks, sound_chunks
from jobs.run.mux import join

SIDE, SEGMENT_SECONDS = 32, 10
# Every five seconds a bright frame, and a click in its middle.
EVERY = 5


def write_clicks(path: Path, seconds: int, rate: int, fps: int) -> None:
    """A recording that is never quiet, with a click in each bright frame, in stereo."""
    second = np.random.default_rng(4).normal(0, 300, rate)
    middle = round(rate / 2 / fps)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        for number in range(seconds):
            samples = second.copy()
            if number % EVERY == 0:
                samples[middle - rate // 4000 : middle + rate // 4000] = 24_000
            file.writeframes(np.repeat(samples.astype("<i2"), 2).tobytes())


def write_flashes(path: Path, fps: int) -> None:
    encoder = SegmentEncoder(SIDE, SIDE, Fraction(fps))
    dark, bright = (to_yuv420(np.full((SIDE, SIDE, 3), level, np.uint8)) for level in (30, 220))
    for frame in range(SEGMENT_SECONDS * fps):
        encoder.add(dark if frame % (EVERY * fps) else bright)
    path.write_bytes(encoder.finish())


def flash_times(path: Path) -> list[float]:
    """When a bright frame is shown."""
    with av.open(str(path)) as container:
        # The first row is one of luma, whatever the format's name.
        seen = [
            (frame.pts or 0, frame.time_base or 0, frame.to_ndarray()[0].mean()) for frame in container.decode(video=0)
        ]
    return [float(pts * time_base) for pts, time_base, light in seen if light > 128]


def click_times(path: Path) -> list[float]:
    """The middles of the loud moments."""
    loud: list[NDArray[np.float64]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            start = float((frame.pts or 0) * (frame.time_base or 0))
            loud.append(start + np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.35) / frame.sample_rate)
    moments = np.concatenate(loud)
    clicks = np.split(moments, np.flatnonzero(np.diff(moments) > 1) + 1)
    return [float(click.min() + click.max()) / 2 for click in clicks]


def render(folder: Path, seconds: int, rate: int, fps: int) -> Path:
    """A video of a recording of so many seconds, joined as a run joins it."""
    recording, segment, target = folder / "clicks.wav", folder / "segment.mp4", folder / "video.mp4"
    write_clicks(recording, seconds, rate, fps)
    write_flashes(segment, fps)
    sound = cut_chunks(sound_chunks(check_recording(str(recording))), 0, seconds * fps, fps)
    join(target, [str(segment)] * (seconds // SEGMENT_SECONDS), sound, fps)
    return target


def check_in_step(video: Path, seconds: int, fps: int) -> tuple[float, float]:
    """Checks that each click is heard while its frame is shown; gives the least and the greatest of their distances."""
    flashes, clicks = flash_times(video), click_times(video)
    assert flashes == pytest.approx([float(second) for second in range(0, seconds, EVERY)], abs=1e-6)
    assert len(clicks) == len(flashes)
    late = [click - flash for flash, click in zip(flashes, clicks, strict=True)]
    assert all(0 < each < 1 / fps for each in late)
    # And none drifts: the click stays where it was put in its frame.
    assert all(abs(each - 1 / 2 / fps) < 2e-4 for each in late)
    with av.open(str(video)) as container:
        lengths = [(stream.duration or 0) * (stream.time_base or 0) for stream in container.streams]
    assert lengths == [pytest.approx(seconds, abs=1e-4)] * 2
    return min(late), max(late)


@pytest.mark.parametrize(("rate", "fps"), [(44_100, 25), (22_050, 20)])
def test_clicks_are_heard_when_they_are_seen(tmp_path: Path, rate: int, fps: int) -> None:
    """Half a minute, after which what is a frame too late in an hour is 0.3 ms too late."""
    check_in_step(render(tmp_path, 30, rate, fps), 30, fps)
