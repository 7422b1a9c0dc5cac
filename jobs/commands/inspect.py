"""``inspect``: what a clip is taken for, without rendering it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from actors.core.choices import AudioSource, Delivery, Device, ImageFormat
from actors.core.clip import Clip, VideoFrames
from actors.core.errors import ExitCode, InputError
from actors.core.kind import ModelKind, ModelTensors
from actors.core.pixels import guess_output
from actors.files import storage
from actors.kinds import all_kinds, kinds_named
from actors.network.recognition import recognise_model
from actors.network.sandbox import try_encoder, try_network
from jobs.audio.feature_making import window_rows
from jobs.audio.feature_source import EncoderSource, FeatureSource, read_encoder_source, read_mel_source, read_sound
from jobs.audio.recording import Recording
from jobs.clip import check_video, clock_warnings, describe, read_clip, read_features, read_parsing, read_windows
from jobs.clip.face_boxes import faceless
from jobs.clip.files import is_file
from jobs.cluster.layout import CUDA_BATCH
from jobs.console import say, terminal
from jobs.inputs.options import load_options
from jobs.inputs.sample_frames import sample_frames
from jobs.planning.block_plan import BLOCK_BYTES, BLOCK_FRAMES, background_bytes

T = TypeVar("T")

# Frames of the clip that the network is shown, where no batch is asked for.
TRIED_FRAMES = 2

WITHOUT_AUDIO = {
    AudioSource.FEATURES: "give --features",
    AudioSource.ENCODER: "give --features, or --audio with --encoder",
    AudioSource.MEL: "give --audio",
}


def inspect(
    clip: Annotated[str, typer.Argument(help="Clip folder or video file.")],
    model: Annotated[str | None, typer.Option(help="ONNX network.")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="NAME", help="Kind of the network, see `kinds`. \\[default: by its shapes]")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The network's output that is the picture. \\[default: the one of its shape]"
        ),
    ] = None,
    features: Annotated[str | None, typer.Option(help="Audio features, .npy.")] = None,
    audio: Annotated[str | None, typer.Option(help="Recording. \\[default: the clip's aud.wav]")] = None,
    encoder: Annotated[str | None, typer.Option(help="ONNX encoder that makes the features of the recording.")] = None,
    rects: Annotated[str | None, typer.Option(help="Face boxes, either JSON form.")] = None,
    rect: Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="One face box for all frames.")] = None,
    parsing: Annotated[str | None, typer.Option(metavar="DIR", help="Masks of what is in front of the face.")] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Frames per inference to try. \\[default: the export's own, else 1]"),
    ] = None,
) -> int:
    """Say what was recognised in a clip (and a model): counts, sizes, memory needed, provider, and every problem."""
    console = terminal()
    problems: list[InputError] = []
    rows: NDArray[np.float32] | None = None
    candidates = kinds_named(kind)
    network = (
        None
        if model is None
        else _attempt(lambda: recognise_model(storage.absolute(model), candidates, output), problems)
    )
    taken_for = candidates[0] if kind else _likely_kind(storage.resolve(clip)) if network is None else network[0]
    options = load_options({"clip": clip, "model": "none", "out": "none", "rects": rects, "rect": rect}, None)
    boxes, box = options.rects, options.face_box
    found = _attempt(lambda: read_clip(clip, boxes=boxes, box=box, kind=taken_for, faces_follow=True), problems)
    if found is not None:
        if network is None and kind is None:
            say(console, f"read as for {taken_for.name}, until --model or --kind says what for")
        _print_clip(console, found, taken_for)
        frames = found.frames
        if isinstance(frames, VideoFrames):
            _attempt(lambda: check_video(frames), problems)
        rows = _attempt(
            lambda: _print_audio(console, found, taken_for, features, audio or found.sound, encoder), problems
        )
        # The clip's own recording goes with the clip's own features.
        sound = audio or (None if features else found.sound)
        drives = encoder is not None or (taken_for.audio_source is AudioSource.MEL and features is None)
        _attempt(lambda: _print_sound(console, taken_for, rows, sound, drives=drives), problems)
        if parsing is not None:
            _attempt(lambda: _print_parsing(console, found, parsing), problems)
    if model is not None and network is not None:
        sample = (
            None
            if found is None or (found.frames is not None and found.boxes is None)
            else _attempt(lambda: sample_frames(found, taken_for, rows, batch or TRIED_FRAMES), problems)
        )
        _attempt(lambda: _print_model(console, model, *network, kind is not None, batch, sample), problems)
    for problem in problems:
        say(console, f"problem: {problem}", style="red")
    if not problems:
        say(console, "no problems found")
    return int(ExitCode.BAD_INPUT if problems else ExitCode.COMPLETE)


def _attempt(read: Callable[[], T], problems: list[InputError]) -> T | None:
    """What ``read`` gives, or ``None`` and one problem more: one fault does not hide the others."""
    try:
        return read()
    except InputError as error:
        problems.append(error)
        return None


def _likely_kind(folder: str) -> ModelKind:
    """What a clip is read for where nobody says: the kind of the largest pictures among those whose audio it has."""
    kinds = [kind for kind in all_kinds() if kind.features_file and is_file(storage.join(folder, kind.features_file))]
    return max(kinds or all_kinds(), key=lambda kind: kind.crop)


def _print_audio(
    console: Console, clip: Clip, kind: ModelKind, features: str | None, recording: str | None, encoder: str | None
) -> NDArray[np.float32] | None:
    """What will drive the mouth, found as a render finds it; some of its rows, where they need no encoder."""
    source = _feature_source(kind, features, recording, encoder)
    if source is not None:
        _print_recording(console, source.recording, f"{source.frames} frames at {kind.fps} fps")
        if isinstance(source, EncoderSource):
            batch = "any" if source.tensors.batch is None else source.tensors.batch
            say(console, f"encoder: {source.encoder}, batch {batch}")
            try_encoder(source.encoder, source.tensors)
            return None
        return next(window_rows(source, kind))
    path = features or clip.features
    if path is not None:
        rows = read_features(path, kind)
        say(console, f"features: {path}, {len(rows)} rows, {len(rows) / kind.fps:.2f} s at {kind.fps} fps")
        return rows
    if clip.windows is None:
        missing = kind.features_file or "aud.wav"
        raise InputError(clip.path, f"has no {missing}", WITHOUT_AUDIO[kind.audio_source])
    return read_windows(clip.windows, clip.window_count, kind)


def _feature_source(
    kind: ModelKind, features: str | None, recording: str | None, encoder: str | None
) -> FeatureSource | None:
    """The recording that drives the mouth, if one does."""
    if encoder is not None and features is not None:
        raise InputError("--encoder", "features are given already", "give one of them")
    if encoder is not None and recording is None:
        raise InputError("--encoder", "there is no recording to encode", "give one with --audio")
    if encoder is not None and recording is not None:
        return read_encoder_source(recording, encoder, kind)
    if kind.audio_source is AudioSource.MEL and features is None and recording is not None:
        return read_mel_source(recording, kind)
    return None


def _print_sound(
    console: Console,
    kind: ModelKind,
    rows: NDArray[np.float32] | None,
    recording: str | None,
    *,
    drives: bool,
) -> None:
    """The recording beside features, which is for a video alone."""
    if rows is None or recording is None or drives:
        return
    _print_recording(console, read_sound(recording, len(rows), kind), "for --video")


def _print_recording(console: Console, recording: Recording, use: str) -> None:
    say(console, f"recording: {recording.path}, {float(recording.seconds):.2f} s, {use}")
    for warning in recording.warnings:
        say(console, f"warning: {warning}", style="yellow")


def _print_parsing(console: Console, clip: Clip, folder: str) -> None:
    if clip.frames is None:
        raise InputError(folder, "there are no full frames for the masks", "leave --parsing out")
    masks = read_parsing(folder, clip.frames)
    say(console, f"parsing: {folder}, {len(masks)} masks of {masks.width}x{masks.height}")


def _print_clip(console: Console, clip: Clip, kind: ModelKind) -> None:
    say(console, f"clip: {clip.path}, form {clip.form}")
    for line in clip.found:
        say(console, f"  {line}")
    if clip.frames is not None:
        rate = f", {float(clip.frames.fps):g} fps" if isinstance(clip.frames, VideoFrames) and clip.frames.fps else ""
        say(console, f"backgrounds: {clip.backgrounds}, {clip.frames.width}x{clip.frames.height}{rate}")
        say(console, f"picture: {describe(clip.frames.picture, clip.frames.width, clip.frames.height)}")
    else:
        say(console, f"backgrounds: {clip.backgrounds} sets of planes, no full frames (--no-composite only)")
    if clip.boxes:
        sides = [box.width for box in clip.boxes if box is not None]
        parts = [f"{len(sides)}, {min(sides)} to {max(sides)} px", *filter(None, [faceless(clip.boxes)])]
        say(console, f"face boxes: {', '.join(parts)}")
    elif clip.frames is not None:
        like = ", with --like AVATAR and boxes as in its training" if kind.square else ""
        say(console, f"face boxes: none; `composite` finds the faces{like}")
    each = background_bytes(clip, kind, Delivery(ImageFormat.NONE, 0, video=False), prepare=False)
    block = min(BLOCK_FRAMES, clip.backgrounds, max(1, BLOCK_BYTES // each))
    say(
        console,
        f"memory: {clip.backgrounds * each / 2**20:.0f} MiB of object store for the whole clip,"
        f" in blocks of {block * each / 2**20:.0f} MiB",
    )
    # Frames of raw footage are paired by time where that makes a difference.
    clock = clock_warnings(clip.frames, kind) if clip.boxes else []
    for warning in (*clip.warnings, *clock):
        say(console, f"warning: {warning}", style="yellow")


def _print_model(
    console: Console,
    model: str,
    kind: ModelKind,
    tensors: ModelTensors,
    named: bool,
    batch: int | None,
    sample: tuple[NDArray[Any], NDArray[np.float32]] | None,
) -> None:
    """What the network is, and what comes of it when it runs as it would in a render, on frames of the clip."""
    path = storage.absolute(model)
    fixed = "any" if tensors.batch is None else str(tensors.batch)
    say(
        console,
        f"model: {model}, batch {fixed}, opset {tensors.opset},"
        f" inputs {tensors.image} and {tensors.audio}, output {tensors.output}",
    )
    shapes = f"{_sides(kind.planes)} and {_sides(kind.audio)} to {_sides(kind.output)}"
    say(console, f"kind: {kind.name}, {'as --kind says' if named else f'the only one that takes {shapes}'}")
    image, audio = sample or (None, None)
    trial = try_network(path, tensors, kind, batch=batch or tensors.batch or 1, image=image, audio=audio)
    say(console, f"provider: the network runs on the CPU here, at batch {trial.batch}")
    if trial.single_reason:
        say(console, f"warning: {trial.single_reason}", style="yellow")
    if trial.cuda:
        try:
            try_network(path, tensors, kind, device=Device.CUDA, batch=batch or tensors.batch or CUDA_BATCH)
            say(console, "provider: and on CUDA")
        except InputError as error:
            say(console, f"provider: not on CUDA ({error.problem})")
    if trial.conflict:
        raise InputError("onnxruntime", f"{trial.conflict} are both installed", "uninstall both, then install one")
    faults = [fault for fault in trial.faults if fault is not None]
    if faults:
        values = [value for fault in faults for value in fault.values or ()]
        guess = f" ({min(values):.4g} to {max(values):.4g})" if values else ""
        fix = guess_output(min(values), max(values), kind.value_range) if values else "export it again"
        problem = f"{len(faults)} of {len(trial.faults)} frames of the clip cannot be shown: {faults[0].reason}{guess}"
        raise InputError(path, problem, fix)


def _sides(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))
