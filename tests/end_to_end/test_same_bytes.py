"""Equal pixels are equal bytes: thousands of frames, encoded by several processes and rendered in several ways.

Encoders see what must not matter: the addresses of their own memory, and what lay there before. Both differ between
processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small
from small import Result, SmallClip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PROCESSES, FRAMES = 5, 4000

# Soft slopes of few levels in few colours: pictures in which strings come again, so that a match that is missed shows.
ENCODE = """
import hashlib
import sys
from fractions import Fraction
import numpy as np
from actors.core.choices import Delivery, ImageFormat, default_quality
from actors.core.clip import FaceBox
from actors.core.yuv import to_yuv420
from actors.rendering.image_files import encode_frame, prepare_background, splice_frame
from actors.rendering.video_segments import SegmentEncoder

which, frames = map(int, sys.argv[1:])
rng = np.random.default_rng(which)
held = [bytearray(int(size)) for size in rng.integers(1 << 12, 1 << 18, 50)]
y, x = np.mgrid[0:96, 0:128]
box = FaceBox(32, 16, 96, 80)
said = []
for number in range(frames):
    own = np.random.default_rng(number)
    slope = own.integers(0, 3, (2, 3)) * own.integers(1, 40, 3)
    frame = (y[..., None] * slope[0] + x[..., None] * slope[1] + own.integers(0, 256, 3)).astype(np.uint8)
    frame = frame + own.integers(0, 3, frame.shape, dtype=np.uint8)
    square = np.ascontiguousarray(frame[box.y0 : box.y1, box.x0 : box.x1][:, ::-1])
    for kind in (ImageFormat.PNG, ImageFormat.JPG, ImageFormat.WEBP):
        delivery = Delivery(kind, 95 if number % 2 else default_quality(kind), video=False)
        prepared = prepare_background(frame, box, delivery)
        content = encode_frame(frame, square, box, delivery)
        said.append((kind.value, number, hashlib.sha256(content).hexdigest()))
        if prepared is not None:
            said.append((kind.value + " spliced", number, hashlib.sha256(splice_frame(prepared, square)).hexdigest()))
    if number % 25 == 0:
        film = SegmentEncoder(128, 96, Fraction(25))
    film.add(to_yuv420(frame))
    if number % 25 == 24:
        said.append(("segment", number, hashlib.sha256(film.finish()).hexdigest()))
        # Other memory for the next ones.
        held[number // 25 % 50] = bytearray(int(rng.integers(1 << 12, 1 << 18)))
for line in said:
    print(*line, sep=";")
"""


def test_processes_encode_the_same_bytes() -> None:
    def encoded(which: int) -> list[str]:
        command = [sys.executable, "-c", ENCODE, str(which), str(FRAMES)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=small.ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    first = encoded(0)
    assert len(first) == FRAMES * 5 + FRAMES // 25
    for which in range(1, PROCESSES):
        differing = [one for one, other in zip(first, encoded(which), strict=True) if one != other]
        assert not differing, f"process {which}: {len(differing)} differ, {differing[:5]}"


def test_renders_write_the_same_bytes(
    tmp_path: Path, clip: SmallClip, model: Path, on_cluster: Callable[..., Result]
) -> None:
    """Also where a run goes on in other processes."""
    features = tmp_path / "f.npy"
    np.save(features, np.random.default_rng(3).gamma(0.4, 1.0, (3000, 512)).astype(np.float32))
    base = ("composite", clip.folder, "--model", model, "--features", features, "--device", "cpu")
    assert on_cluster(*base, "--out", tmp_path / "one", "--workers", 1, "--batch", 1).code == 0
    once = small.contents(tmp_path / "one")
    assert len(once) == 3000
    for batch in (2, 4, 7):
        run = tmp_path / f"{batch}"
        for frames in ("0:1000", "0:3000"):
            result = on_cluster(*base, "--out", run, "--workers", 2, "--batch", batch, "--frames", frames)
            assert result.code == 0, result.output
        again = small.contents(run)
        assert [name for name in once if again[name] != once[name]] == []
