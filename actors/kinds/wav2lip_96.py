"""Wav2Lip's generator: the face box of any shape, its lower half black, and the mel windows of the recording itself."""

from actors.core.choices import AudioSource, Interpolation, Loop
from actors.core.kind import ModelKind

KIND = ModelKind(
    name="wav2lip-96",
    crop=96,
    inner=96,
    mask=(0, 48, 96, 48),
    masked_first=True,
    value_range=(0.0, 1.0),
    crop_filter=Interpolation.LINEAR,
    paste_filter=Interpolation.LINEAR,
    square=False,
    loop=Loop.WRAP,
    audio_source=AudioSource.MEL,
    feature=(80, 16),
    features_file=None,
    rows=1,
    audio=(1, 80, 16),
    fps=25,
)
