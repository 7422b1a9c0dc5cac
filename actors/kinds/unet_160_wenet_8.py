"""Ultralight-Digital-Human's UNet for 160 x 160 pixels and WeNet in windows of 8 rows."""

from actors.core.choices import Interpolation
from actors.kinds._unet import WENET_8, unet

# The program asks for area averaging on the way in and for nothing on the way back.
KIND = unet(
    "unet-160-wenet-8",
    160,
    WENET_8,
    crop_filter=Interpolation.AREA,
    paste_filter=Interpolation.LINEAR,
)
