import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clip_inputs import HEIGHT, PATIENT, WIDTH, given_or_refused, picture, write_video
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import InputError
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip import clock_warnings
from jobs.clip.video_source import read_video


def decoded_times(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        ("a.mp4", "libx264", 2),
        ("a.mp4", "libx264", 0),
        ("a.mov", "mpeg4", 2),
        ("a.mkv", "libx264", 2),
        ("a.avi", "mpeg4", 2),
        ("a.avi", "mjpeg", 0),
    ],
)
def test_timestamps_are_those_of_the_decoded_frames_in_order(
    tmp_path: Path, name: str, codec: str, b_frames: int
) -> None:
    path = tmp_path / name
    if codec == "mjpeg":
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
        for index in range(20):
            writer.write(picture(index))
        writer.release()
    else:
        write_video(path, 20, codec=codec, b_frames=b_frames)
    video = read_video(str(path))
    # AVI has no times of presentation: its frames are shown one after the other.
    assert list(video.timestamps) == (list(range(20)) if name.endswith("avi") else decoded_times(path))
    assert len(video) == 20
    assert video.packets.keys[0].place == video.places[0] == 0
    assert (video.width, video.height, video.fps) == (WIDTH, HEIGHT, Fraction(25))


def test_every_keyframe_is_listed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30)
    video = read_video(str(path))
    with av.open(str(path)) as container:
        keys = [frame.pts for frame in container.decode(video=0) if frame.key_frame]
    assert len(keys) > 2
    assert [key.shown for key in video.packets.keys] == keys


@pytest.mark.parametrize(
    ("name", "codec", "faststart"),
    [("a.mp4", "libx264", False), ("a.mp4", "libx264", True), ("a.mkv", "libx264", False), ("a.avi", "mpeg4", False)],
)
def test_every_truncation_is_refused(tmp_path: Path, name: str, codec: str, faststart: bool) -> None:
    whole = write_video(tmp_path / name, 20, codec=codec, faststart=faststart).read_bytes()
    path = tmp_path / f"cut-{name}"
    for keep in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError) as caught:
            read_video(str(path))
        assert caught.value.subject == str(path)
        assert "again" in caught.value.fix
        assert "\n" not in str(caught.value)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 4096, PLAYLIST, b"ffconcat version 1.0\nfile a.mp4\n"])
def test_what_is_no_video_is_refused_with_a_fix(tmp_path: Path, content: bytes) -> None:
    write_video(tmp_path / "a.mp4", 3)
    path = tmp_path / "b.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_video(str(path))
    assert caught.value.subject == str(path)
    assert ("name the video itself" if b"a.mp4" in content or content == PLAYLIST else "again") in caught.value.fix


def test_a_picture_or_a_recording_is_no_video(tmp_path: Path) -> None:
    still = tmp_path / "still.mp4"
    still.write_bytes(cv2.imencode(".jpg", picture(0))[1].tobytes())
    sound = tmp_path / "sound.mp4"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\0" * 3200)
    for path, what in ((still, r"a still image \(JPEG\)"), (sound, r"a recording \(WAV\)")):
        with pytest.raises(InputError, match=f"is {what}"):
            read_video(str(path))


def test_a_container_without_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        for _ in range(3):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="holds no video"):
        read_video(str(path))


@pytest.mark.parametrize(("degrees", "hflip"), [(90, False), (180, False), (270, False), (0, True)])
def test_a_turned_or_mirrored_video_is_refused_with_the_fix(tmp_path: Path, degrees: int, hflip: bool) -> None:
    upright = write_video(tmp_path / "upright.mp4", 3)
    path = tmp_path / "turned.mp4"
    with av.open(str(upright)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees, hflip=hflip)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(InputError, match="its frames are shown") as caught:
        read_video(str(path))
    assert "ffmpeg" in caught.value.fix


def test_a_video_that_starts_late_keeps_its_own_timestamps(tmp_path: Path) -> None:
    source_path = write_video(tmp_path / "a.mp4", 10)
    path = tmp_path / "late.mp4"
    with av.open(str(source_path)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts, packet.dts = packet.pts + 5120, packet.dts + 5120
            packet.stream = stream
            target.mux(packet)
    video = read_video(str(path))
    assert list(video.timestamps) == decoded_times(path)
    assert len(video) == 10


@pytest.mark.parametrize(
    ("picture_late", "sound_late", "delay"), [(0.48, 0, 0.48), (0, 0, 0), (0, 0.52, 0), (0.76, 0.52, 0.24)]
)
def test_the_picture_begins_later_than_the_files_earliest_stream(
    tmp_path: Path, picture_late: float, sound_late: float, delay: float
) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(25))
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        voice = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        assert isinstance(voice, av.AudioStream)
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(picture(i), format="bgr24")
            frame.pts, frame.time_base = round((i / 25 + picture_late) * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.time_base = 16000, Fraction(1, 16000)
            sound.pts = round(sound_late * 16000) + i * 640
            container.mux(voice.encode(sound))
        container.mux(video.encode(None))
    found = read_video(str(path))
    assert abs(found.delay - Fraction(delay)) < Fraction(1, 100)
    said = clock_warnings(found, UNET_328)
    assert (f"its picture begins {delay:.2f} s after its sound" in " ".join(said)) is (delay > 0)


def test_frames_before_the_first_keyframe_are_refused(tmp_path: Path) -> None:
    source_path = write_video(tmp_path / "a.mp4", 20, b_frames=0)
    path = tmp_path / "headless.mkv"
    with av.open(str(source_path)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(video=0))[3:]:
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(InputError, match="re-encode"):
        read_video(str(path))


def test_a_video_of_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(InputError, match="its codec is not known here; re-encode it"):
        read_video(str(path))


@PATIENT
@given(st.sampled_from(["mp4", "mkv", "avi"]), st.floats(0, 1), st.binary(min_size=1, max_size=6))
def test_a_damaged_video_gives_frames_or_an_input_error(
    tmp_path: Path, suffix: str, place: float, patch: bytes
) -> None:
    source = tmp_path / f"source.{suffix}"
    if not source.exists():
        write_video(source, 5, codec="mpeg4" if suffix == "avi" else "libx264")
    data = bytearray(source.read_bytes())
    start = int(place * len(data))
    data[start : start + len(patch)] = patch
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(data)
    video = given_or_refused(lambda: read_video(str(path)), path)
    if video is not None:
        assert len(video) > 0
        assert list(video.timestamps) == sorted(video.timestamps)
