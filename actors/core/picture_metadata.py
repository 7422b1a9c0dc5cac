"""What a picture says about itself besides its pixels: read once for each clip."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# Frames are made with so many bits for each colour.
FRAME_DEPTH = 8

# Transfer functions that frames are not made of, by their numbers in ITU-T H.273.
HDR_NUMBERS = {16: "HDR (PQ)", 18: "HDR (HLG)"}


@dataclass(frozen=True, slots=True)
class Picture:
    """How the pixels of a clip are meant. The defaults are those of an upright opaque picture that says nothing.

    Attributes:
        stored: codec and pixel format, or the formats of image files, as they are named in the field.
        depth: bits of each component; frames are made with 8.
        matrix: what Y'CbCr was made with: ``bt709``, ``bt601`` and so on; ``rgb``; ``None`` where nothing says so,
            which is read as BT.601.
        primaries: ``bt709``, ``bt2020``, ``smpte432`` (Display P3) and so on; ``None`` where nothing says so.
        transfer: ``bt709``, ``smpte2084`` (PQ), ``arib-std-b67`` (HLG) and so on; ``None`` where nothing says so.
        full_range: whether all codes are used; ``None`` where nothing says so, which is read as limited for Y'CbCr.
        aspect: width of a pixel over its height.
        interlaced: a picture holds two moments, in its even and its odd rows.
        alpha: it holds transparency.
        turned: how players turn it before it is shown; empty where they show it as it is stored.
    """

    stored: str = ""
    depth: int = FRAME_DEPTH
    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    full_range: bool | None = None
    aspect: Fraction = Fraction(1)
    interlaced: bool = False
    alpha: bool = False
    turned: str = ""

    def shown(self, width: int, height: int) -> tuple[int, int]:
        """The size that ``width`` x ``height`` pixels are shown in, the height kept."""
        return round(width * self.aspect), height


NOTHING_SAID = Picture()
