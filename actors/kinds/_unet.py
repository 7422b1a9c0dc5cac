"""What the UNets of the SyncTalk_2D family share: their image input, and their audio input in each of their modes."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.choices import AudioSource, Interpolation, Loop
from actors.core.kind import ModelKind

# Pixels of the crop on each side that are no input of the network.
BORDER = 4


@dataclass(frozen=True, slots=True)
class AudioInput:
    """The audio side of a contract; the attributes are those of `ModelKind`."""

    audio_source: AudioSource
    feature: tuple[int, ...]
    features_file: str
    rows: int
    audio: tuple[int, ...]
    fps: int


# SyncTalk_2D's windows have 16 rows, Ultralight-Digital-Human's have 8; both call their modes by the same names.
AVE = AudioInput(AudioSource.ENCODER, (512,), "aud_ave.npy", 16, (32, 16, 16), 25)
HUBERT_16 = AudioInput(AudioSource.FEATURES, (2, 1024), "aud_hu.npy", 16, (32, 32, 32), 25)
HUBERT_8 = AudioInput(AudioSource.FEATURES, (2, 1024), "aud_hu.npy", 8, (16, 32, 32), 25)
WENET_16 = AudioInput(AudioSource.FEATURES, (16, 512), "aud_wenet.npy", 16, (256, 16, 32), 20)
WENET_8 = AudioInput(AudioSource.FEATURES, (16, 512), "aud_wenet.npy", 8, (128, 16, 32), 20)


def unet(
    name: str, inner: int, sound: AudioInput, *, crop_filter: Interpolation, paste_filter: Interpolation
) -> ModelKind:
    """A UNet.

    The masked copy is black where OpenCV fills a rectangle of x 5, y 5, width ``inner - 10`` and height
    ``inner - 15``. Planes are the reference first, in [0, 1].

    Args:
        name: of the kind.
        inner: side in pixels of its image input.
        sound: its audio input.
        crop_filter: filter from face to crop.
        paste_filter: filter back.
    """
    return ModelKind(
        name=name,
        crop=inner + 2 * BORDER,
        inner=inner,
        mask=(5, 5, inner - 10, inner - 15),
        masked_first=False,
        value_range=(0.0, 1.0),
        crop_filter=crop_filter,
        paste_filter=paste_filter,
        square=True,
        loop=Loop.BOUNCE,
        audio_source=sound.audio_source,
        feature=sound.feature,
        features_file=sound.features_file,
        rows=sound.rows,
        audio=sound.audio,
        fps=sound.fps,
    )
