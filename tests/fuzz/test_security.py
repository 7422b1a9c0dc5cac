"""Input files cannot make a reader open other files, run code or talk to anybody."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
import small
from guarded import Report, run_guarded
from onnx import TensorProto, numpy_helper

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="opened files are watched by inotify")

# What Python itself may read: its own installation, the repository's modules, and the kernel's tables.
OWN = (sys.prefix, sys.base_prefix, str(small.ROOT), "/proc/", "/sys/", "/dev/", "/usr/lib/", "/usr/share/", "/etc/ld")
COUNT = 4


def write_video(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = small.WIDTH, small.HEIGHT, "yuv420p"
        for index in range(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small.picture(index), format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Files of every kind that a reader reads, none of which belongs to the clip."""
    folder = tmp_path / "outside"
    folder.mkdir()
    write_video(folder / "secret.mp4")
    small.write_tone(folder / "secret.wav", 1)
    small.write_model(folder / "secret.onnx")
    (folder / "secret.txt").write_text("a secret")
    return folder


def require_inside(report: Report, clip: Path) -> None:
    """Nothing outside of the clip was touched, as far as Python and the watch can tell."""
    assert report.outside == []
    assert report.done == []
    strays = [path for path in report.opened if not path.startswith((*OWN, str(clip)))]
    assert strays == []


def test_the_guard_sees_what_python_and_what_arrow_open(outside: Path) -> None:
    secret = outside / "secret.txt"
    by_python, by_arrow = run_guarded(outside, ("python", secret, outside), ("arrow", secret, outside))
    assert (by_python.outcome, by_python.outside) == ("8", ["secret.txt"])
    assert str(secret) in by_python.opened
    assert (by_arrow.outcome, by_arrow.outside) == ("8", ["secret.txt"])


# A place outside the clip: of a file below ``outside``, seen from a clip beside that folder.
PLACES: dict[str, Callable[[Path], str]] = {
    "relative": lambda file: os.path.join("..", file.parent.name, file.name),  # noqa: PTH118 - ".." must stay
    "absolute": str,
    "URI": lambda file: file.as_uri(),
    "Windows": lambda file: f"..\\{file.parent.name}\\{file.name}",
    "through a folder": lambda file: f"full_body_img/../../{file.parent.name}/{file.name}",
    "link": lambda _: "link -> ../outside/secret.mp4",
}


def lay_paths(clip: Path, place: Callable[[Path], str], outside: Path) -> None:
    """Manifests of every kind, each of whose paths leads outside; beside good squares, where there are any."""
    secret = [place(outside / name) for name in ("secret.mp4", "secret.wav", "secret.onnx", "secret.txt")]
    video, sound, model, text = secret
    described = {
        "package_type": "mp4_video_package",
        "videos": {"full_body_img": {"file": video, "path": video, "frame_count": COUNT, "fps": 25.0}},
        "audio": {"file": sound, "features": text},
        "onnx": {"file": model, "checkpoint": model},
        "base_path": place(outside / "secret.txt"),
    }
    for name in ("package_info.json", "dataset_manifest.json", "cache/frame_metadata.json", "landmarks.json"):
        (clip / name).parent.mkdir(exist_ok=True)
        (clip / name).write_text(json.dumps(described))
    table = {
        str(i): {"rect": small.square(i), "original_path": video, "crop_328_path": text, "roi_320_path": text}
        for i in range(COUNT)
    }
    (clip / "cache" / "crop_rectangles.json").write_text(json.dumps(table))


def as_package(clip: Path) -> None:
    write_video(clip / "full_body_video.mp4")


def as_dataset(clip: Path) -> None:
    small.write_dataset(clip)
    for folder, suffix, first in (("full_body_img", "png", 1), ("landmarks", "lms", 0)):
        for i in range(COUNT, small.BACKGROUNDS):
            (clip / folder / f"{i + first}.{suffix}").unlink()


def as_binary(clip: Path) -> None:
    np.full((COUNT, 6, 320, 320), 0.5, "<f4").tofile(clip / "visual_input.bin")
    np.zeros((COUNT, 32, 16, 16), "<f4").tofile(clip / "audio_input.bin")
    text = {"format": "BGR", "source": "../outside/secret.mp4", "visual_file": "../outside/secret.txt"}
    (clip / "metadata.json").write_text(json.dumps(text))


@pytest.mark.parametrize("form", [as_package, as_dataset, as_binary], ids=["package", "dataset", "binary"])
def test_paths_in_manifests_are_not_followed(form: Callable[[Path], None], tmp_path: Path, outside: Path) -> None:
    (tmp_path / "good").mkdir()
    form(tmp_path / "good")
    clips = [Path(shutil.copytree(tmp_path / "good", tmp_path / f"clip{index}")) for index in range(len(PLACES))]
    for clip, place in zip(clips, PLACES.values(), strict=True):
        lay_paths(clip, place, outside)
    # From the folder where relative paths lead to the secrets as well.
    reports = run_guarded(outside, *(("clip", clip, clip) for clip in clips))
    for clip, report in zip(clips, reports, strict=True):
        assert report.outcome.endswith(f" clip of {COUNT}"), report.outcome
        require_inside(report, clip)


def test_a_pickle_is_refused_and_not_unpickled(tmp_path: Path, outside: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
            return os.mkdir, (str(tmp_path / "pwned"), 0o700)

    path = tmp_path / "aud_ave.npy"
    np.save(path, np.array([[Payload()] * 512] * 3, dtype=object), allow_pickle=True)
    bare = tmp_path / "bare.npy"
    bare.write_bytes(path.read_bytes()[128:])
    jobs = [("features", path, tmp_path), ("sound", path, tmp_path), ("model", path, tmp_path)]
    for report in run_guarded(outside, *jobs, ("features", bare, tmp_path)):
        assert report.outcome.startswith("refused: "), report.outcome
        assert not (tmp_path / "pwned").exists()
        require_inside(report, tmp_path)
    # The payload would have worked.
    np.save(path, np.array([[Payload()]], dtype=object), allow_pickle=True)
    (report,) = run_guarded(outside, ("unpickling", path, tmp_path))
    assert "pickle.find_class" in report.done
    assert (tmp_path / "pwned").exists()


PLAYLISTS = {
    "concat, relative": "ffconcat version 1.0\nfile {name}\n",
    "concat, absolute": "ffconcat version 1.0\nfile '{path}'\n",
    "concat, by address": "ffconcat version 1.0\nfile file:{path}\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
    "HLS, by address": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "HLS, key": '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="file://{path}"\n#EXTINF:1,\n{name}\n',
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="1" mimeType="video/mp4"><BaseURL>{path}</BaseURL></Representation></AdaptationSet></Period>'
    "</MPD>\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "VobSub": "# VobSub index file, v7\nsize: 720x576\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
}


def write_playlist(path: Path, name: str, target: Path) -> Path:
    path.write_text(PLAYLISTS[name].format(name=target.name, path=target))
    return path


def test_the_playlist_would_work(outside: Path) -> None:
    path = write_playlist(outside / "list.mp4", "concat, relative", outside / "secret.mp4")
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == COUNT


def test_a_playlist_in_a_video_s_clothes_opens_no_other_file(tmp_path: Path, outside: Path) -> None:
    jobs = []
    for index, name in enumerate(PLAYLISTS):
        clip = tmp_path / f"clip{index}"
        clip.mkdir()
        path = write_playlist(clip / "full_body_video.mp4", name, outside / "secret.mp4")
        jobs += [("clip", clip, outside), ("clip", path, outside), ("decoding", path, outside)]
    for (_, path, _), report in zip(jobs, run_guarded(outside, *jobs), strict=True):
        assert report.outcome.startswith("refused: "), report.outcome
        require_inside(report, path)


def test_a_playlist_in_a_recording_s_clothes_opens_no_other_file(tmp_path: Path, outside: Path) -> None:
    jobs = []
    for index, name in enumerate(PLAYLISTS):
        clip = tmp_path / f"clip{index}"
        clip.mkdir()
        jobs.append(("sound", write_playlist(clip / "aud.wav", name, outside / "secret.wav"), outside))
    for (_, path, _), report in zip(jobs, run_guarded(outside, *jobs), strict=True):
        require_inside(report, path)
        # Formats that name other places are not even taken for recordings without a sound track.
        assert re.search("is a playlist, not a recording|cannot be decoded", report.outcome), report.outcome


def keep_weights_in(model: Path, location: str, file: Path) -> None:
    """Moves the model's largest tensor to ``file``, which the model calls ``location``."""
    proto = onnx.load(str(model))
    tensor = max(proto.graph.initializer, key=lambda each: each.ByteSize())
    content = numpy_helper.to_array(tensor).tobytes()
    file.write_bytes(content)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(content)))):
        tensor.external_data.add(key=key, value=value)
    model.write_bytes(proto.SerializeToString())


def test_weights_are_read_from_beside_the_network_and_from_nowhere_else(tmp_path: Path, outside: Path) -> None:
    beside = small.write_model(tmp_path / "m.onnx")
    keep_weights_in(beside, "m.onnx.data", tmp_path / "m.onnx.data")
    jobs = [("model", beside, tmp_path)]
    places: dict[str, Callable[[Path], str]] = {
        **PLACES,
        "a link": lambda _: "link.bin",
        "a link below": lambda _: "./link.bin",
    }
    for index, place in enumerate(places.values()):
        folder = tmp_path / f"model{index}"
        (folder / "full_body_img").mkdir(parents=True)
        (folder / "link.bin").symlink_to(outside / "secret.bin")
        model = small.write_model(folder / "m.onnx")
        keep_weights_in(model, place(outside / "secret.bin"), outside / "secret.bin")
        jobs.append(("model", model, folder))
    read, *others = run_guarded(outside, *jobs)
    assert read.outcome == "a session"
    for (_, path, _), report in zip(jobs[1:], others, strict=True):
        assert report.outcome.startswith("refused: "), report.outcome
        require_inside(report, path.parent)
