"""SyncTalk_2D's UNet for 320 x 320 pixels and WeNet in windows of 16 rows."""

from actors.core.choices import Interpolation
from actors.kinds._unet import WENET_16, unet

# As SyncTalk_2D's own inference resizes; it was trained on bilinear crops.
KIND = unet(
    "unet-328-wenet-16",
    320,
    WENET_16,
    crop_filter=Interpolation.CUBIC,
    paste_filter=Interpolation.CUBIC,
)
