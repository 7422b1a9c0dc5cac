"""A relative of Wav2Lip's generator for 256 x 256 pixels: the same contract at another size."""

from dataclasses import replace

from actors.kinds.wav2lip_96 import KIND as WAV2LIP_96

KIND = replace(WAV2LIP_96, name="wav2lip-256", crop=256, inner=256, mask=(0, 128, 256, 128))
