"""SyncTalk_2D's UNet for 160 x 160 pixels and HuBERT in windows of 16 rows."""

from actors.core.choices import Interpolation
from actors.kinds._unet import HUBERT_16, unet

# The program means area averaging, but OpenCV takes that argument for another and resizes bilinearly.
KIND = unet(
    "unet-160-hubert-16",
    160,
    HUBERT_16,
    crop_filter=Interpolation.LINEAR,
    paste_filter=Interpolation.LINEAR,
)
