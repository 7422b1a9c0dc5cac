"""Recordings as streams of samples, begun and ended where a player begins and ends."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import PurePosixPath

import av
import av.error
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from actors.core.errors import InputError
from actors.files import storage
from actors.files.media_tracks import LATEST_START, default_track, others_start
from jobs.audio.mpeg_parts import sound_parts
from jobs.audio.spliced_file import Part, Spliced
from jobs.audio.unread_sounds import not_sound
from jobs.audio.wav_lengths import is_round, readable_parts

# Playlists and session descriptions are left out: they make FFmpeg open other files and addresses.
CONTAINERS = {"format_whitelist": "wav,w64,flac,mp3,mov,mp4,ogg,aiff,au,matroska,webm,aac,caf"}

# Below there is no speech, above no microphone; either would make a small file ask for endless sound or memory.
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 768_000

# Codecs with frames of fixed length fill up the last one; more than this behind the end is not filling.
_LONGEST_PADDING = 8192

# Seconds by which a recording may be shorter than its header says: headers are often careless about the last frame.
_SHORTFALL = 1

# Containers whose packets have times of their own; elsewhere a packet's time is what stands before it.
_CLOCKED = {"mov", "matroska"}

# Seconds by which sound may be behind its clock before silence is put in, as in FFmpeg's resampler: clocks tremble.
_HOLE = Fraction(1, 10)

# FLAC counts samples, so that nothing trembles; half of its usual blocks at the highest usual rate.
_LOST = Fraction(1, 100)

# What is handed on is at least as long, so that small packets do not cost more than the sound in them.
_GATHERED = 1 << 14


@dataclass(frozen=True, slots=True)
class Piece:
    """Some decoded sound.

    Attributes:
        samples: ``(channels, n)`` float32, nominally in [-1, 1].
        rate: samples per second.
        layout: FFmpeg's name for what the channels are.
    """

    samples: NDArray[np.float32]
    rate: int
    layout: str


@dataclass(slots=True)
class Findings:
    """What comes out while a recording is decoded.

    Attributes:
        notes: what the user should know, without the path.
        spliced: whether it was read otherwise than it stands there: past tags, with a true header, another track than
            the first, or with silence put in.
    """

    notes: list[str] = field(default_factory=list)
    spliced: bool = False


def decoded(path: str, findings: Findings | None = None) -> Iterator[Piece]:
    """Decodes a recording piece by piece, in the order of time; all pieces have the same rate and channels.

    Where these change midway, as in files that were joined, the rest is brought to the form of the beginning.

    The first sample is the first one that a player would play: what encoders add in front (MP3, AAC, Opus) is left
    out as far as the file says how much it is, and so is what MP4 declares as filling at the end. Beside a picture
    that begins earlier, silence comes first. Where the container's clock goes on without sound, silence is put in.

    Args:
        path: any of `CONTAINERS`; of several sound tracks the one that players play is taken.
        findings: takes what is found on the way.

    Raises:
        InputError: it is missing, has no sound track, is damaged or cut off, or has a rate that is not a
            recording's.
    """
    findings = Findings() if findings is None else findings
    notes = findings.notes
    found = storage.entry(path) if storage.is_file(path) else None
    if found is None:
        raise InputError(path, "there is no such recording", "check --audio")
    if not found.size:
        raise InputError(path, "is empty", "give a recording with sound in it")
    try:
        with storage.open_input(path) as file:
            joined = sound_parts(path, file, found.size)
            parts: Sequence[Part] | None = joined or readable_parts(path, file, found.size, notes)
            findings.spliced = parts is not None
            file.seek(0)
            source = file if parts is None else Spliced(file, parts)
            with av.open(source, "r", metadata_errors="replace", options=CONTAINERS) as container:
                yield from _pieces(path, container, findings, joined=joined is not None)
    except (av.error.FFmpegError, OSError) as error:
        raise not_sound(path, error.strerror or str(error)) from error


def mono(path: str, rate: int, channels: tuple[int, ...] | None = None) -> Iterator[NDArray[np.float32]]:
    """A recording as one channel at one rate: the mean of channels, resampled without a break.

    Sound that has the rate already is taken as it is.

    Args:
        path: see `decoded`.
        rate: samples per second that are wanted.
        channels: those to take, from 0; ``None`` for all.

    Yields:
        ``(n,)`` float32, nominally in [-1, 1], n at least 1.

    Raises:
        InputError: as `decoded`, or a sample is not a finite number.
    """
    for chunk in mixed_down(decoded(path), rate, channels):
        if not np.isfinite(chunk).all():
            raise InputError(path, "holds samples that are not finite numbers", "export the recording again")
        yield chunk


def mixed_down(
    pieces: Iterator[Piece], rate: int, channels: tuple[int, ...] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Pieces of one recording as `mono` gives them, finite or not; how they are cut changes no sample."""
    for first in pieces:
        averaged = (mean_of_channels(piece.samples, channels) for piece in chain([first], pieces))
        yield from _gathered(resampled(averaged, first.rate, rate))


def mean_of_channels(samples: NDArray[np.float32], channels: tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """The mean ``(n,)`` of channels ``(channels, n)``, of all or of these, rounded once."""
    taken = samples if channels is None else samples[list(channels)]
    return np.asarray(taken.mean(axis=0, dtype=np.float64), np.float32)


def resampled(chunks: Iterable[NDArray[np.float32]], rate: int, wanted: int) -> Iterator[NDArray[np.float32]]:
    """One channel at another rate, by one continuous swresample filter: how the sound is cut changes nothing.

    Args:
        chunks: ``(n,)`` each.
        rate: samples per second that they have.
        wanted: samples per second of the result; the same rate gives the same samples.

    Yields:
        ``(n,)`` float32; sample ``i`` of all of them is at ``i / wanted`` seconds.
    """
    if rate == wanted:
        yield from chunks
        return
    resampler = av.AudioResampler(format="flt", layout="mono", rate=wanted)
    for chunk in chunks:
        if len(chunk):
            yield from (out.to_ndarray()[0] for out in resampler.resample(frame_of(chunk[None], rate, "mono")))
    yield from (out.to_ndarray()[0] for out in resampler.resample(None))


def frame_of(samples: NDArray[np.float32], rate: int, layout: str) -> av.AudioFrame:
    """Samples ``(channels, n)`` as FFmpeg wants them: interleaved, because PyAV misreads eight planes."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T).reshape(1, -1), "flt", layout)
    frame.sample_rate = rate
    return frame


def _pieces(path: str, container: InputContainer, findings: Findings, *, joined: bool) -> Iterator[Piece]:
    notes = findings.notes
    if not len(container.streams):
        raise InputError(path, "is damaged or cut off: nothing in it can be read", "copy or export it again")
    if not container.streams.audio:
        raise InputError(path, "has no sound track", "give a recording with a sound track")
    stream = default_track(container.streams.audio)
    findings.spliced |= stream.index != container.streams.audio[0].index
    tick = Fraction(stream.time_base or 1)
    declared = None if stream.duration is None else stream.duration * tick
    if declared is None and len(container.streams) == 1 and container.duration is not None:
        # Matroska counts it from its clock's zero, not from the first sample.
        declared = Fraction(container.duration, av.time_base) - (stream.start_time or 0) * tick
    frames = _in_time(path, container, _frames(path, container), findings)
    first = next(frames, None)
    if first is None:
        return
    rate = first.sample_rate
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise InputError(path, f"has {rate} samples a second", f"record at {_LOWEST_RATE} to {_HIGHEST_RATE}")
    sound = _floats(chain([first], frames), notes)
    if "mp4" in container.format.name.split(",") and declared is not None:
        sound = _without_padding(sound, round(declared * rate))
    silence = round(_delay(path, container, first) * rate)
    channels, count = first.layout.nb_channels, 0
    for start in range(0, silence, rate):
        yield Piece(np.zeros((channels, min(rate, silence - start)), np.float32), rate, first.layout.name)
    for samples in sound:
        count += samples.shape[1]
        yield Piece(samples, rate, first.layout.name)
    # Of these two the length is a guess from the bit rate, unless an MP3 has the header that also names its delay.
    guessed = container.format.name == "aac" or (container.format.name == "mp3" and not stream.start_time)
    if declared is not None and not guessed and not joined:
        _check_length(path, Fraction(count, rate), declared, rate, notes)


def _check_length(path: str, length: Fraction, declared: Fraction, rate: int, notes: list[str]) -> None:
    """Whether all seconds are there that a header declares."""
    if length >= declared - _SHORTFALL:
        return
    if not is_round(round(declared * rate)):
        problem = f"ends after {float(length):.2f} s of {float(declared):.2f} s: it is cut off"
        raise InputError(path, problem, "copy or export it again")
    notes.append(f"its header says {round(declared * rate)} samples, a round number: read to its end")


def _frames(path: str, container: InputContainer) -> Iterator[av.AudioFrame]:
    """Decoded frames; what cannot be decoded is passed over at the very end only, where tags may follow the sound."""
    stream = default_track(container.streams.audio)
    damage: av.error.FFmpegError | None = None
    end: float | None = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            damage = error
            continue
        for frame in frames:
            if damage is not None:
                where = "" if end is None else f" after {end:.2f} s"
                raise InputError(path, f"is damaged{where}", "copy or export it again") from damage
            end = frame.time or end or 0.0
            yield frame
    if damage is not None and end is None:
        raise damage


def _in_time(
    path: str, container: InputContainer, frames: Iterator[av.AudioFrame], findings: Findings
) -> Iterator[av.AudioFrame]:
    """The frames with silence where the container's clock goes on without them, as players show them beside a picture.

    In FLAC frames are lost by damage alone.

    Raises:
        InputError: frames of a FLAC file are lost, or there is a hole as damage leaves.
    """
    names = set(container.format.name.split(","))
    clocked, counted = bool(names & _CLOCKED), names == {"flac"}
    end: Fraction | None = None
    holes: list[Fraction] = []
    for frame in frames:
        time = None if frame.pts is None or frame.time_base is None else frame.pts * Fraction(frame.time_base)
        if end is None or (time is not None and time < end - _HOLE):
            # Where the clock goes back, as in files that were joined, it counts anew.
            end = time
        behind = Fraction(0) if end is None or time is None else time - end
        if end is not None and counted and behind > _LOST:
            raise InputError(path, f"is damaged before {float(time or 0):.2f} s", "copy or export it again")
        if end is not None and clocked and behind > _HOLE:
            if behind > _SHORTFALL:
                problem = f"its sound stops at {float(end):.2f} s and goes on {float(behind):.2f} s later"
                raise InputError(
                    path, problem, f"copy it again; if it was recorded so, put silence in: {_filled(path)}"
                )
            holes.append(behind)
            yield from _silence(round(behind * frame.sample_rate), frame)
            end += behind
        yield frame
        if end is not None:
            end += Fraction(frame.samples, frame.sample_rate)
    if holes:
        places = "one place" if len(holes) == 1 else f"{len(holes)} places"
        findings.spliced = True
        findings.notes.append(
            f"its clock goes on without sound in {places} ({float(sum(holes)):.2f} s): silence is put in"
        )


def _filled(path: str) -> str:
    """The command that makes a WAV of a recording with silence wherever its clock goes on without sound."""
    target = f"{PurePosixPath(path).stem}.filled.wav"
    return f"ffmpeg -i {shlex.quote(path)} -af aresample=async=1 {shlex.quote(target)}"


def _silence(count: int, like: av.AudioFrame) -> Iterator[av.AudioFrame]:
    for start in range(0, count, like.sample_rate):
        samples = np.zeros((like.layout.nb_channels, min(like.sample_rate, count - start)), np.float32)
        yield frame_of(samples, like.sample_rate, like.layout.name)


def _floats(frames: Iterator[av.AudioFrame], notes: list[str]) -> Iterator[NDArray[np.float32]]:
    """The frames' samples, ``(channels, n)`` float32; where rate or channels change, in the form of the first."""
    form: tuple[str, str, int] | None = None
    converter = av.AudioResampler(format="flt")
    layout, rate, changed = "", 0, False
    for frame in frames:
        given = (frame.format.name, frame.layout.name, frame.sample_rate)
        if given != form:
            if form is None:
                layout, rate = frame.layout.name, frame.sample_rate
            elif not changed and given[1:] != (layout, rate):
                changed = True
                form_of = f"{rate} samples a second ({layout})"
                notes.append(
                    f"changes its rate or its channels midway: all of it is read as at its beginning, {form_of}"
                )
            yield from _interleaved(converter.resample(None) if form else ())
            form, converter = given, av.AudioResampler(format="flt", layout=layout, rate=rate)
        yield from _interleaved(converter.resample(frame))
    yield from _interleaved(converter.resample(None) if changed else ())


def _interleaved(frames: Iterable[av.AudioFrame]) -> Iterator[NDArray[np.float32]]:
    """``(channels, n)`` each. FFmpeg gives them interleaved: PyAV would read past the end of eight planes."""
    for frame in frames:
        yield np.ascontiguousarray(np.asarray(frame.to_ndarray(), np.float32).reshape(-1, frame.layout.nb_channels).T)


def _without_padding(sound: Iterator[NDArray[np.float32]], end: int) -> Iterator[NDArray[np.float32]]:
    """The sound up to a declared end, as long as what follows is no more than a codec's filling."""
    position = 0
    held: list[NDArray[np.float32]] = []
    for samples in sound:
        inside = min(max(0, end - position), samples.shape[1])
        position += samples.shape[1]
        if inside:
            yield samples[:, :inside]
        if inside < samples.shape[1]:
            held.append(samples[:, inside:])
        if position > end + _LONGEST_PADDING:
            yield from held
            held = []


def _delay(path: str, container: InputContainer, first: av.AudioFrame) -> Fraction:
    """Seconds by which the sound begins later than what is beside it in the file; 0 where it is alone."""
    own = default_track(container.streams.audio)
    began = others_start(container, own)
    if began is None or first.pts is None or first.time_base is None:
        return Fraction(0)
    delay = max(Fraction(0), first.pts * Fraction(first.time_base) - began)
    if delay > LATEST_START:
        raise InputError(path, f"its sound begins {float(delay):.0f} s after its picture", "export the sound alone")
    return delay


def _gathered(chunks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    held: list[NDArray[np.float32]] = []
    for chunk in chunks:
        held.append(chunk)
        if sum(map(len, held)) >= _GATHERED:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
