"""What a clip is known again by: runs that earlier versions began hold these values, and go on only with the same."""

from __future__ import annotations

from fractions import Fraction

from actors.core.clip import Clip, VideoFrames
from actors.core.picture_metadata import Picture
from actors.core.video_packets import KeyPacket, Packets
from jobs.clip.identity import backgrounds_digest


def test_a_video_is_known_by_the_same_digest_as_ever() -> None:
    """The names of `Picture` and of its fields are part of it."""
    packets = Packets(0, bytes(range(48)), (KeyPacket(0, 0, 0),))
    picture = Picture(stored="h264, yuv420p", matrix="bt709", full_range=False, aspect=Fraction(4, 3))
    frames = VideoFrames(
        "/v.mp4", (0, 512, 1024), (0, 1, 2), Fraction(1, 12800), packets, 4, 2, Fraction(25), picture=picture
    )
    clip = Clip("v", "/v.mp4", "frames", frames, None, (), None, None, 0, None, (), ())
    assert backgrounds_digest(clip) == "c3cdec9d7c9aba045341ea6e23b6cd0e"
