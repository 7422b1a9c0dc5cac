"""What a clip is, once recognised: where its frames lie, where the face is on each, and what drives the mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

from actors.core.faces import FaceOrigin
from actors.core.picture_metadata import NOTHING_SAID, Picture
from actors.core.video_packets import Packets


@dataclass(frozen=True, slots=True)
class FaceBox:
    """The face box of one frame in pixels, half-open: columns ``x0 <= x < x1``, rows ``y0 <= y < y1``."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns covered."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows covered."""
        return self.y1 - self.y0

    def inside(self, width: int, height: int) -> bool:
        """Whether the rectangle has area and lies wholly within a ``width`` x ``height`` frame."""
        return 0 <= self.x0 < self.x1 <= width and 0 <= self.y0 < self.y1 <= height


@dataclass(frozen=True, slots=True)
class ImageFrames:
    """Background frames as one image file each, in order.

    Attributes:
        paths: absolute path or URI of every frame.
        width: pixels, the same for every frame.
        height: pixels, the same for every frame.
        picture: what the images say about themselves.
        digests: `actors.core.fingerprints.image_digest` of every file as the driver saw it; empty until it has looked.
    """

    paths: tuple[str, ...]
    width: int
    height: int
    picture: Picture = NOTHING_SAID
    digests: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def part(self, start: int, stop: int) -> ImageFrames:
        """The frames ``start <= i < stop`` alone."""
        return replace(self, paths=self.paths[start:stop], digests=self.digests[start:stop])


@dataclass(frozen=True, slots=True)
class VideoFrames:
    """Background frames inside a video file, in presentation order.

    Attributes:
        path: absolute path or URI of the video.
        timestamps: when every frame is shown, in units of the time base; none is earlier than the one before it.
        places: the place of every frame's packet in the order of decoding, which tells the frame from all others.
        time_base: seconds that a unit of the timestamps is.
        packets: the stream's packets, as far as these frames need them.
        width: pixels.
        height: pixels.
        fps: average frame rate, or ``None`` where the container does not say.
        delay: seconds from the beginning of the file's earliest stream to the first frame.
        picture: what the video says about its pixels.
    """

    path: str
    timestamps: tuple[int, ...]
    places: tuple[int, ...]
    time_base: Fraction
    packets: Packets
    width: int
    height: int
    fps: Fraction | None
    delay: Fraction = Fraction()
    picture: Picture = NOTHING_SAID

    def __len__(self) -> int:
        return len(self.timestamps)

    def part(self, start: int, stop: int) -> VideoFrames:
        """The frames ``start <= i < stop`` alone (at least one), with the packets that decoding them takes."""
        places = self.places[start:stop]
        packets = self.packets.around(places)
        return replace(self, timestamps=self.timestamps[start:stop], places=places, packets=packets)


FrameSource: TypeAlias = ImageFrames | VideoFrames


@dataclass(frozen=True, slots=True)
class PlaneFile:
    """Ready-made network input of the binary export: little-endian float32 ``[count, 6, inner, inner]`` in [0, 1].

    Attributes:
        path: absolute path or URI of ``visual_input.bin``.
        first: index of the first frame this value stands for.
        count: frames from ``first`` on.
        stamp: size in bytes and time of the last change in nanoseconds as the driver saw them, if it has looked: the
            file is too large to be read twice.
    """

    path: str
    first: int
    count: int
    stamp: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.count

    def part(self, start: int, stop: int) -> PlaneFile:
        """The frames ``start <= i < stop`` of this part alone."""
        return replace(self, first=self.first + start, count=stop - start)


@dataclass(frozen=True, slots=True)
class Clip:
    """A recognised clip. Exactly one of ``frames`` and ``planes`` is what the network is fed from.

    Attributes:
        id: short name that tells the clip from others in a run (the folder's or file's name).
        path: what the user named.
        form: ``package``, ``dataset``, ``binary`` or ``frames``.
        frames: full background frames, or ``None`` for a binary export without them.
        planes: ready-made network input, used only where there are no full frames.
        boxes: one face box per background frame, ``None`` for a frame without a face; all of it ``None`` exactly where
            ``frames`` is.
        features: path of the clip's own audio features ``(T, *kind.feature)``, if it has them.
        windows: path of the clip's own audio windows (binary export), if it has them.
        window_count: how many windows that file holds (0 without one).
        sound: path of the clip's own recording, if it has one.
        found: what was recognised, one line each, for ``inspect``.
        warnings: what the user should know before trusting the result, one line each.
        origins: how the face box of each background frame came about, ``FaceOrigin.NONE`` exactly where there is none;
            ``None`` where all of them are given.
    """

    id: str
    path: str
    form: str
    frames: FrameSource | None
    planes: PlaneFile | None
    boxes: tuple[FaceBox | None, ...] | None
    features: str | None
    windows: str | None
    window_count: int
    sound: str | None
    found: tuple[str, ...]
    warnings: tuple[str, ...]
    origins: tuple[FaceOrigin, ...] | None = None

    @property
    def backgrounds(self) -> int:
        """How many backgrounds there are to pair output frames with."""
        source = self.frames if self.frames is not None else self.planes
        return 0 if source is None else len(source)

    @property
    def faces(self) -> Sequence[int]:
        """The backgrounds that show a face, ascending; all of them where there are only planes."""
        if self.boxes is None:
            return range(self.backgrounds)
        return [background for background, box in enumerate(self.boxes) if box is not None]
