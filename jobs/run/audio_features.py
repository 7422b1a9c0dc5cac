"""What drives the mouth in a run: features that were given, that an earlier run kept, or that are made now."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from actors.core.audio_track import AudioTrack
from actors.core.choices import Device
from jobs.audio.encoder_actor import SharedEncoders, encoder_actor, encoder_config
from jobs.audio.feature_making import (
    feature_rows,
    load_features,
    make_features,
    window_rows,
)
from jobs.audio.feature_source import EncoderSource
from jobs.cluster.connection import ClusterResources
from jobs.cluster.program_files import program_digest
from jobs.console import say
from jobs.planning.render_plan import RenderPlan


def load_audio(
    plan: RenderPlan, resources: ClusterResources, console: Console, encoders: SharedEncoders | None = None
) -> tuple[AudioTrack, tuple[str, ...]]:
    """The track that drives the mouth, and warnings about how it was made, for the record.

    Args:
        plan: what is rendered.
        resources: what the cluster has; an encoder runs there while nothing is rendered yet.
        console: where to say where the features come from.
        encoders: those that other clips use, which are rendered meanwhile; without any the encoder is gone afterwards.

    Raises:
        InputError: the recording or the encoder cannot be used.
        OSError: the features cannot be kept.
    """
    inputs, kind, placement = plan.inputs, plan.inputs.kind, plan.placement
    audio = inputs.audio
    if isinstance(audio, AudioTrack):
        return replace(audio, opacities=inputs.opacities), ()
    folder = plan.folder.features
    rows = load_features(folder, audio, kind)
    if rows is not None:
        say(console, f"features: {len(rows)} rows, kept by an earlier run")
        return AudioTrack(rows, None, inputs.opacities), ()
    warnings: tuple[str, ...] = ()
    if isinstance(audio, EncoderSource):
        # Nobody renders yet: on CPUs the encoder may have all cores of a node.
        on_cpu = plan.device is Device.CPU
        threads = max(1, int(resources.smallest_node_cpus)) if on_cpu else 1
        cpus = float(threads) if resources.cpus and on_cpu else placement.resources["num_cpus"]
        config = encoder_config(audio, plan.device, threads, placement.gpus, program_digest())
        wait = plan.options.wait
        own = encoder_actor(config, cpus=cpus, wait=wait)
        with own if encoders is None else encoders.encoder(config, wait=wait) as encode:
            rows = make_features(folder, audio, kind, feature_rows(audio, kind, encode))
            if remark := encode.remark():
                warnings = (remark,)
                say(console, f"warning: {remark}", style="yellow")
    else:
        rows = make_features(folder, audio, kind, window_rows(audio, kind))
    say(console, f"features: {len(rows)} rows of {audio.recording.path}")
    return AudioTrack(rows, None, inputs.opacities), warnings
