"""SyncTalk_2D's UNet for 160 x 160 pixels and Wav2Lip's audio features (mode ave)."""

from actors.core.choices import Interpolation
from actors.kinds._unet import AVE, unet

# The program means area averaging, but OpenCV takes that argument for another and resizes bilinearly.
KIND = unet(
    "unet-160-ave",
    160,
    AVE,
    crop_filter=Interpolation.LINEAR,
    paste_filter=Interpolation.LINEAR,
)
