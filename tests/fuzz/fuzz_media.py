"""Mutants of pictures and videos: mostly their headers, which are all that the readers look at."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from random import Random

import av
import cv2
import numpy as np
from clip_inputs import SMALL, picture, write_images, write_video
from fuzz_base import HEIGHT, WIDTH, FileReader
from mutations import mutate_bytes
from PIL import Image

from actors.core.choices import Delivery, ImageFormat, Interpolation
from actors.core.clip import FaceBox, FrameSource, ImageFrames
from actors.rendering.blocks import BlockRequest, PictureBlock, load_block
from jobs.clip.images import image_files, read_images
from jobs.clip.notes import Notes
from jobs.clip.parsing import read_parsing
from jobs.clip.video_source import read_video

PNG = Delivery(ImageFormat.PNG, 0, video=False)

_PICTURE_TAGS = (
    *(
        b"IHDR",
        b"PLTE",
        b"tRNS",
        b"tEXt",
        b"IDAT",
        b"eXIf",
        b"IEND",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xe1",
        b"\xff\xe0",
    ),
    *(b"\xff\xdb", b"Exif\0\0", b"MM\0*", b"II*\0", b"BM", b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"EXIF"),
)
_MP4_TAGS = (b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf dinf dref stbl stsd avc1 avcC stts stss ctts stsc"
             b" stsz stco mdat udta meta").split()  # fmt: skip
_AVI_TAGS = b"RIFF LIST hdrl avih strl strh strf movi idx1 00dc vids".split()
# EBML identifiers: header, segment, info, tracks, entry, number, codec, video, width, height, cluster, block, cues.
_EBML_TAGS = tuple(
    map(
        bytes.fromhex,
        [
            "1a45dfa3",
            "18538067",
            "1549a966",
            "1654ae6b",
            "ae",
            "d7",
            "86",
            "e0",
            "b0",
            "ba",
            "1f43b675",
            "a3",
            "1c53bb6b",
            "63a2",
            "2ad7b1",
        ],
    )
)
_B_FRAMES = 2
# Pillow refuses at twice its limit for one picture.
_LARGEST_PICTURE = 2 * (1 << 30) // 4 // 3
_RECT = FaceBox(4, 6, 24, 26)


class Images(FileReader):
    """One damaged picture among two, in every format that may be one."""

    def __init__(self, folder: Path) -> None:
        (other,) = write_images(folder, 1)
        shown = Image.fromarray(picture(1))
        exif = Image.Exif()
        exif[0x0112] = 3
        contents = []
        for form, options in (
            ("PNG", {"exif": exif}),
            ("JPEG", {"exif": exif}),
            ("JPEG", {"progressive": True}),
            ("BMP", {}),
            ("WEBP", {"exif": exif}),
            ("WEBP", {"lossless": True}),
        ):
            file = io.BytesIO()
            shown.save(file, form, **options)
            contents.append(file.getvalue())
        # The reader goes by the content; the suffix only makes it a picture file.
        super().__init__(folder / "1.png", contents, other)
        self.folder = str(folder)

    def mutate(self, content: bytes, chance: Random) -> bytes:
        return mutate_bytes(content, chance, _PICTURE_TAGS)

    def read(self) -> None:
        files = image_files(self.folder)
        alone = read_images(self.folder, files[1:], Notes())
        assert alone.paths == (str(self.path),)
        assert alone.width > 0, alone.width
        assert alone.height > 0, alone.height
        assert alone.width * alone.height <= _LARGEST_PICTURE, (alone.width, alone.height)
        both = read_images(self.folder, files, Notes())
        assert (len(both), both.width, both.height) == (2, WIDTH, HEIGHT)
        # As masks of what is in front of the face they are read and decoded again.
        masks = read_parsing(self.folder, both)
        assert replace(both, picture=masks.picture) == masks
        _decode(both, masks)


class Video(FileReader):
    """A damaged video in each container that may be opened."""

    def __init__(self, folder: Path) -> None:
        forms = (
            *(("a.mp4", "libx264"), ("b.mp4", "mpeg4"), ("c.mov", "libx264"), ("d.mkv", "libx264"), ("e.avi", "mpeg4")),
            ("f.webm", "libvpx-vp9"),
        )
        available = [(name, codec) for name, codec in forms if codec in av.codecs_available]
        contents = [
            write_video(folder / name, 6, codec=codec, b_frames=_B_FRAMES).read_bytes() for name, codec in available
        ]
        motion = folder / "g.avi"
        writer = cv2.VideoWriter(str(motion), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
        for index in range(6):
            writer.write(picture(index))
        writer.release()
        super().__init__(folder / "video.mp4", [*contents, motion.read_bytes()])

    def mutate(self, content: bytes, chance: Random) -> bytes:
        if content[4:8] == b"ftyp":
            return mutate_bytes(content, chance, _MP4_TAGS)
        return mutate_bytes(content, chance, _AVI_TAGS if content[:4] == b"RIFF" else _EBML_TAGS)

    def read(self) -> None:
        video = read_video(str(self.path))
        assert list(video.timestamps) == sorted(video.timestamps)
        assert video.timestamps
        assert len(set(video.places)) == len(video.timestamps)
        assert video.packets.keys[0].place <= min(video.places)
        # A frame takes a byte at least.
        assert len(video) <= self.path.stat().st_size
        assert video.width > 0, video.width
        assert video.height > 0, video.height
        assert video.fps is None or video.fps > 0, video.fps
        if video.width >= _RECT.x1 and video.height >= _RECT.y1 and len(video) < 20:
            _decode(video)


def _decode(source: FrameSource, parsing: ImageFrames | None = None) -> None:
    """What a worker does next with what the header promised: whole frames, or a refusal as clear as the reader's."""
    count = len(source)
    request = BlockRequest(0, source, (_RECT,) * count, Interpolation.LINEAR, delivery=PNG, parsing=parsing)
    block, receipt = load_block(request, SMALL)
    assert isinstance(block, PictureBlock)
    assert block.crops.shape == (count, SMALL.crop, SMALL.crop, 3)
    assert block.canvases is not None
    frames, targets = block.canvases.files, block.canvases.targets
    assert isinstance(frames, np.ndarray)
    assert frames.shape == (count, source.height, source.width, 3)
    there = [target for target in targets if target is not None]
    assert len(there) == len(targets) == count
    assert all((target.weights is None) is (parsing is None) for target in there)
    kept = sum(target.nbytes for target in there)
    assert receipt.bytes == frames.nbytes + block.crops.nbytes + kept


READERS = {"images": Images, "video": Video}
