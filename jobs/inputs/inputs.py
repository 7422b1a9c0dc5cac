"""Everything a render is given, read and checked before anything is started or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from actors.core.audio_track import AudioTrack
from actors.core.choices import AudioSource, Device, Loop, Precision
from actors.core.clip import Clip, FrameSource, ImageFrames, VideoFrames
from actors.core.colour import REACH, has_margin
from actors.core.errors import InputError
from actors.core.face_box import SubpixelBox, smooth_boxes
from actors.core.face_presence import face_opacities
from actors.core.kind import ModelKind, ModelTensors
from actors.core.pairing import Pairing, retimed
from actors.core.ranges import FrameRange, divide
from actors.core.voice_activity import mouth_opacities, speech_hops
from actors.files import storage
from actors.files.digests import array_digest, model_digest, text_digest
from actors.files.media_tracks import LATEST_START
from actors.kinds import kinds_named
from actors.network.recognition import recognise_model
from actors.network.sandbox import try_network
from jobs.audio.feature_source import FeatureSource, read_encoder_source, read_mel_source, read_sound
from jobs.audio.recording import Recording
from jobs.clip import clock_warnings, needs_retiming, read_clip, read_features, read_parsing, read_windows
from jobs.clip.face_boxes import FaceBoxes
from jobs.clip.files import as_input_errors
from jobs.clip.identity import backgrounds_digest, images_digest, with_digests
from jobs.clip.notes import Notes
from jobs.inputs.options import CompositeOptions
from jobs.inputs.shared_reads import SharedReads


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run renders.

    Attributes:
        model: absolute path of the model.
        digest: SHA-256 of the model.
        tensors: its inputs and output.
        kind: the contract it honours.
        clip: the recognised clip.
        audio: what drives the mouth: features, or a recording that features have yet to be made of.
        pairing: which background each output frame is drawn on.
        frames: the output frames to render.
        exact_boxes: where the face is on each background, its jitter filtered, ``None`` where there is none; all of it
            ``None`` for ``clip.boxes`` as they are.
        parsing: what is in front of the face on each background, if anything says so.
        reach: how many output frames before and after a frame the network must run for it.
        silence: how much of the rendered face each output frame shows by the sound, ``(len(audio),)`` in 255ths;
            ``None``: all.
        presence: how much of it each shows by what its background shows, likewise; 0 exactly where there is no face.
        sound: recording to mux, or ``None``.
        warnings: what the user should know, one line each.
    """

    model: str
    digest: str
    tensors: ModelTensors
    kind: ModelKind
    clip: Clip
    audio: AudioTrack | FeatureSource
    pairing: Pairing
    frames: FrameRange
    exact_boxes: tuple[SubpixelBox | None, ...] | None
    parsing: ImageFrames | None
    reach: int
    silence: NDArray[np.uint8] | None
    presence: NDArray[np.uint8] | None
    sound: Recording | None
    warnings: tuple[str, ...]

    @property
    def opacities(self) -> NDArray[np.uint8] | None:
        """How much of the rendered face each output frame shows, ``(len(audio),)`` in 255ths; ``None``: all."""
        if self.silence is None or self.presence is None:
            return self.presence if self.silence is None else self.silence
        return np.minimum(self.silence, self.presence)

    def around(self, frames: FrameRange) -> FrameRange:
        """The output frames for which the network must run to deliver some of them."""
        return self.pairing.around(frames, self.reach, len(self.audio))

    def shown(self, todo: Sequence[int]) -> frozenset[int]:
        """The backgrounds that some output frames, ascending, are drawn on."""
        drawn = (self.pairing.backgrounds_of(frames) for frames in divide(todo, len(todo)))
        return frozenset(background for backgrounds in drawn for background in backgrounds)

    def identity(self, options: CompositeOptions, device: Device | None) -> dict[str, Any]:
        """Everything that decides pixels: it must not change between runs into one folder.

        Which option decides which part is declared with the options, as `jobs.inputs.options.Decides`.
        """
        return {
            "model": self.digest,
            "kind": self.kind.name,
            "output": self.tensors.output,
            "clip": backgrounds_digest(self.clip),
            "rects": text_digest(repr([r and (r.x0, r.y0, r.x1, r.y1) for r in self.clip.boxes or ()])),
            "features": self.audio.key if isinstance(self.audio, FeatureSource) else array_digest(self.audio.rows),
            "loop": self.pairing.loop.value,
            "retime": self.pairing.retimed is not None,
            "silence": options.silence.value if self.silence is None else array_digest(self.silence),
            "interpolation": " and ".join(dict.fromkeys(one.value for one in options.filters(self.kind))),
            "blend": options.blend.value,
            "colour_match": options.colour_match,
            "smooth_crops": options.smooth_crops,
            "parsing": None if self.parsing is None else images_digest(self.parsing),
            "format": options.image_format.value,
            "quality": options.image_quality,
            "composite": options.composite,
            "device": None if device is None else device.provider,
            "precision": options.precision.value,
        }


# Finds the face boxes of a clip whose full frames came without any.
FaceSearch: TypeAlias = Callable[[Clip, FrameSource, ModelKind], FaceBoxes]


def read_inputs(
    options: CompositeOptions, find_faces: FaceSearch | None = None, shared: SharedReads | None = None
) -> Inputs:
    """Reads and checks what the options name.

    Args:
        options: of the clip.
        find_faces: called where full frames have no face boxes, once everything else is known to be usable; ``None``
            where boxes must be given.
        shared: what was read for other clips before, and is read for others after.

    Raises:
        InputError: something cannot be used.
    """
    shared = shared or SharedReads()
    named = options.model, options.kind, options.output
    model, digest, kind, tensors = shared.once(("network", *named), partial(_read_network, *named))
    if options.precision is Precision.FP16 and tensors.quantised:
        problem = f"the model is quantised already ({', '.join(tensors.quantised)})"
        raise InputError("--precision fp16", problem, "use --precision fp32")
    clip = _read_clip(options, kind, shared, faces_follow=find_faces is not None)
    raw = clip.frames is not None and clip.boxes is None
    retime = options.retime or (raw and needs_retiming(clip.frames, kind))
    audio, pairing = _audio(options, clip, kind, retime=retime)
    start, stop = options.frame_range(len(audio))
    if pairing.loop is Loop.ONCE and stop > len(pairing):
        raise InputError(
            "--loop once",
            f"output frames {start}:{stop} reach past the last of {clip.backgrounds} backgrounds",
            f"use --frames {start}:{len(pairing)} or --loop bounce",
        )
    warnings = [*clip.warnings, *_clock(options, clip, kind, retime=retime)]
    recording = _recording(options, clip, audio, kind)
    if isinstance(audio, FeatureSource):
        warnings.extend(audio.recording.warnings)
    elif recording is not None:
        warnings.extend(recording.warnings)
    parsing = _parsing(options, clip, kind)
    silence = _mouth_opacities(options, recording, len(audio), kind)
    if find_faces is not None and clip.frames is not None and raw:
        clip = shared.once(
            ("faces", kind.name, options.smooth_crops, options.face_flags, *options.face_options),
            partial(_with_faces, clip, clip.frames, kind, find_faces),
        )
    if tensors.batch is not None:
        change = (
            "" if options.batch in {None, tensors.batch} else f": it is rewritten for {options.batch}, if that can be"
        )
        warnings.append(f"{options.model} is fixed to batch {tensors.batch}{change}")
    return Inputs(
        model=model,
        digest=digest,
        tensors=tensors,
        kind=kind,
        clip=_with_stamps(clip, shared),
        audio=audio,
        pairing=pairing,
        frames=FrameRange(start, stop),
        exact_boxes=_exact_boxes(options, clip),
        parsing=None if parsing is None else _with_digests(parsing, shared),
        reach=REACH if options.colour_match else 0,
        silence=silence,
        presence=_face_opacities(clip, pairing, len(audio), kind),
        sound=recording if options.video else None,
        warnings=tuple(warnings),
    )


def _read_network(model: str, kind: str | None, output: str | None) -> tuple[str, str, ModelKind, ModelTensors]:
    """Absolute path of the model, its digest, and what it is."""
    path = storage.absolute(model)
    recognised, tensors = recognise_model(path, kinds_named(kind), output)
    if not tensors.plain:
        try_network(path, tensors, recognised, batch=tensors.batch or 1)
    return path, model_digest(path, tensors.external), recognised, tensors


def _read_clip(options: CompositeOptions, kind: ModelKind, shared: SharedReads, *, faces_follow: bool) -> Clip:
    """The clip, of which everything can be had that the options want.

    Raises:
        InputError: it has no frames to composite into, none of even sides for a video, or boxes of its own where the
            options are about faces that are to be found.
    """
    read = partial(
        read_clip, options.clip, boxes=options.rects, box=options.face_box, kind=kind, faces_follow=faces_follow
    )
    clip = shared.once(("clip", options.clip, options.rects, options.rect, kind.name, faces_follow), read)
    if clip.frames is None and options.composite:
        raise InputError(
            options.clip,
            "has network input but no full frames to composite into",
            "add full_body_img/ and --rects, or render with --no-composite",
        )
    if options.face_flags and (clip.frames is None or clip.boxes is not None):
        problem = "is for footage without face boxes, and this clip has them"
        raise InputError(options.face_flags[0], problem, "leave it out, or name the footage alone")
    if options.video and clip.frames is not None and (clip.frames.width % 2 or clip.frames.height % 2):
        raise InputError(
            "--video",
            f"H.264 needs even sides, the frames are {clip.frames.width}x{clip.frames.height}",
            "crop the clip to even sides",
        )
    return clip


def _clock(options: CompositeOptions, clip: Clip, kind: ModelKind, *, retime: bool) -> list[str]:
    """What becomes of the clip's own clock, where the user has not said."""
    if not retime:
        return clock_warnings(clip.frames, kind)
    paired = f"{options.clip}: not of {kind.fps} fps throughout; its frames are paired by time, as with --retime"
    return [] if options.retime else [paired]


def _with_faces(clip: Clip, frames: FrameSource, kind: ModelKind, find_faces: FaceSearch) -> Clip:
    """The clip with the boxes that are found on its frames."""
    laid = find_faces(clip, frames, kind).for_frames(len(frames), clip.path)
    laid = laid.checked_inside(frames.width, frames.height, Notes(), square=kind.square)
    return replace(clip, boxes=laid.boxes, origins=laid.origins)


def _parsing(options: CompositeOptions, clip: Clip, kind: ModelKind) -> ImageFrames | None:
    """What is in front of the face, if anything says so; and whether the picture's options can be had."""
    if options.colour_match and not has_margin(kind):
        raise InputError(
            "--colour-match", f"{kind.name} masks all that it paints, so nothing can be compared", "leave it out"
        )
    if clip.frames is None:
        if options.smooth_crops:
            raise InputError("--smooth-crops", "the export's network input is ready-made", "leave it out")
        return None
    return None if options.parsing is None else read_parsing(options.parsing, clip.frames)


def _exact_boxes(options: CompositeOptions, clip: Clip) -> tuple[SubpixelBox | None, ...] | None:
    """The boxes where their jitter is filtered."""
    if not options.smooth_crops or clip.frames is None or clip.boxes is None:
        return None
    return smooth_boxes(clip.boxes, clip.frames.width, clip.frames.height)


def _with_digests(images: ImageFrames, shared: SharedReads) -> ImageFrames:
    return shared.once(("digests", images.paths), partial(with_digests, images))


def _with_stamps(clip: Clip, shared: SharedReads) -> Clip:
    """The clip with what this process sees of its files, with which loaders compare what they read."""
    frames, planes = clip.frames, clip.planes
    if isinstance(frames, ImageFrames):
        frames = _with_digests(frames, shared)
    if planes is not None:
        with as_input_errors(planes.path):
            planes = replace(planes, stamp=storage.stamp(planes.path))
    return replace(clip, frames=frames, planes=planes)


def sources(clip: Clip) -> tuple[tuple[str, int], ...]:
    """Path and size of the files by which a node shows that it sees the clip: the video, or the outermost images."""
    if clip.frames is None:
        paths = [clip.planes.path] if clip.planes else []
    elif isinstance(clip.frames, VideoFrames):
        paths = [clip.frames.path]
    else:
        paths = [clip.frames.paths[0], clip.frames.paths[-1]]
    found = [(path, storage.entry(path)) for path in paths]
    return tuple((path, entry.size) for path, entry in found if entry is not None)


def _audio(
    options: CompositeOptions, clip: Clip, kind: ModelKind, *, retime: bool
) -> tuple[AudioTrack | FeatureSource, Pairing]:
    recording = options.audio or clip.sound
    if options.encoder is not None:
        if recording is None:
            raise InputError("--encoder", "there is no recording to encode", "give one with --audio")
        encoded = read_encoder_source(recording, options.encoder, kind, with_powers=options.finds_silence)
        return encoded, _pairing(options, clip, kind, retime=retime)
    if options.features is None and clip.windows is not None:
        if options.loop is not None or options.retime:
            flag = "--retime" if options.loop is None else f"--loop {options.loop.value}"
            raise InputError(
                flag,
                "the export's own audio windows pair with its frames by index",
                f"leave {flag.partition(' ')[0]} out, or give --features",
            )
        windows = read_windows(clip.windows, clip.window_count, kind)
        return AudioTrack(None, windows), Pairing(Loop.ONCE, clip.backgrounds)
    if kind.audio_source is AudioSource.MEL and options.features is None:
        if recording is None:
            raise InputError(
                options.clip, f"has no aud.wav, and {kind.name} takes the recording itself", "give --audio"
            )
        source = read_mel_source(recording, kind, with_powers=options.finds_silence)
        return source, _pairing(options, clip, kind, retime=retime)
    encodes = kind.audio_source is AudioSource.ENCODER
    if options.audio is not None and not options.video and not options.finds_silence:
        without, fix = ("without --encoder", "add --encoder, or") if encodes else ("beside features", "add")
        raise InputError("--audio", f"{without} sound goes into the video only", f"{fix} --video")
    features = options.features or clip.features
    if features is None and options.audio is not None and encodes:
        raise InputError("--audio", "there are no features, and no encoder to make them", "add --encoder E.onnx")
    if features is None:
        more = ", or --audio with --encoder" if encodes else ""
        raise InputError(options.clip, f"has no {kind.features_file}", f"give --features{more}")
    return AudioTrack(read_features(features, kind), None), _pairing(options, clip, kind, retime=retime)


def _pairing(options: CompositeOptions, clip: Clip, kind: ModelKind, *, retime: bool) -> Pairing:
    loop = options.loop or kind.loop
    if not retime:
        return Pairing(loop, clip.backgrounds)
    if not isinstance(clip.frames, VideoFrames):
        raise InputError(
            "--retime", f"{options.clip} is no video, so nothing tells when its frames are shown", "leave --retime out"
        )
    frames = clip.frames
    if frames.delay > LATEST_START:
        raise InputError(
            "--retime", f"the picture of {options.clip} begins {float(frames.delay):.0f} s after its sound", "cut it"
        )
    return Pairing(loop, clip.backgrounds, retimed(frames.timestamps, frames.time_base, kind.fps, frames.delay))


def _recording(
    options: CompositeOptions, clip: Clip, audio: AudioTrack | FeatureSource, kind: ModelKind
) -> Recording | None:
    """The recording that is used, if any: ``--audio``, else the clip's own where the clip's own features are used."""
    if not options.video and not options.finds_silence:
        return None
    if isinstance(audio, FeatureSource):
        return audio.recording
    path = options.audio or (clip.sound if options.features is None else None)
    if path is None:
        return None
    return read_sound(path, len(audio), kind, with_powers=options.finds_silence)


def _mouth_opacities(
    options: CompositeOptions, recording: Recording | None, frames: int, kind: ModelKind
) -> NDArray[np.uint8] | None:
    """How much of the rendered face each output frame shows, by the sound of the whole recording."""
    if not options.finds_silence:
        return None
    if recording is None or recording.powers is None:
        raise InputError(
            f"--silence {options.silence.value}",
            "features do not tell where nobody speaks",
            "give the recording that they are of with --audio",
        )
    return mouth_opacities(speech_hops(recording.powers), frames, kind.fps)


def _face_opacities(clip: Clip, pairing: Pairing, frames: int, kind: ModelKind) -> NDArray[np.uint8] | None:
    """How much of the rendered face each output frame shows, by the backgrounds of the whole sound; ``None``: all."""
    if clip.boxes is None or None not in clip.boxes:
        return None
    has_face = np.ones(frames, np.bool_)
    # Behind the last background of `once` nothing is rendered.
    stop = min(len(pairing), frames) if pairing.loop is Loop.ONCE else frames
    shown = pairing.backgrounds_of(FrameRange(0, stop))
    has_face[:stop] = [clip.boxes[background] is not None for background in shown]
    return face_opacities(has_face, kind.fps)
