"""SyncTalk_2D's UNet for 320 x 320 pixels and Wav2Lip's audio features (mode ave)."""

from actors.core.choices import Interpolation
from actors.kinds._unet import AVE, unet

# As SyncTalk_2D's own inference resizes; it was trained on bilinear crops.
KIND = unet(
    "unet-328-ave",
    320,
    AVE,
    crop_filter=Interpolation.CUBIC,
    paste_filter=Interpolation.CUBIC,
)
