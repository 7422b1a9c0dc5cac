"""Networks with random weights in place of real ones, by kind: real cost, meaningless pictures."""

from __future__ import annotations

import onnx

from actors.core.choices import AudioSource
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from jobs.models import unet, wav2lip


def build_stand_in(kind: ModelKind) -> onnx.ModelProto:
    """A full network of a kind, of the layers of the program that the kind comes from.

    Args:
        kind: the contract.

    Returns:
        A checked model of dynamic batch.

    Raises:
        InputError: nothing is known of such a network's layers.
    """
    if kind.audio_source is AudioSource.MEL and kind.inner == wav2lip.SIDE:
        return wav2lip.build_wav2lip()
    if kind.inner in unet.SIDES and kind.audio[1:] in unet.WINDOWS:
        channels, height, width = kind.audio
        return unet.build_unet(kind.inner, (channels, height, width))
    raise InputError(f"--kind {kind.name}", "no layers are known to build such a network from", "give --model")
