"""The demo's encoder: the features that the mouth model gets say how loud the demo speaks, at the right frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from layers import open_session

from actors.core.audio_track import audio_windows
from actors.core.mel import RATE, mel_windows
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.audio.feature_making import sequence
from jobs.demo.voice import PRESENTER, SECOND, frame_loudness, make_voice
from jobs.models import feature_channels
from jobs.models.demo_encoder import build_demo_encoder
from jobs.models.mouth import build_mouth_model

Floats = npt.NDArray[np.float32]
FRAMES = 150


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return open_session(build_demo_encoder())


@pytest.fixture(scope="module", params=[PRESENTER, SECOND], ids=["presenter", "second"])
def voice(request: pytest.FixtureRequest) -> Floats:
    return make_voice(FRAMES / 25, request.param)


def features(session: ort.InferenceSession, samples: Floats) -> Floats:
    """As a render makes them."""
    encoded = (session.run(None, {"mel_spectrogram": part[:, None]})[0] for part in mel_windows([samples], 25))
    return np.concatenate(list(sequence(encoded, round(len(samples) * 25 / RATE))))


def test_the_mouth_opens_as_far_as_the_voice_is_loud(session: ort.InferenceSession, voice: Floats) -> None:
    rows = features(session, voice)
    assert rows.shape == (FRAMES, 512)
    opening = rows[:, feature_channels.OPENING]
    loudness = frame_loudness(voice, FRAMES)
    assert np.corrcoef(opening, loudness)[0, 1] > 0.98
    assert opening.max() > 0.95
    assert opening[loudness < 0.01 * loudness.max()].max() < 0.1
    # In step: a frame earlier or later fits worse.
    for shift in (-1, 1):
        assert np.corrcoef(np.roll(opening, shift), loudness)[0, 1] < 0.9


def test_the_mouth_model_itself_sees_it(session: ort.InferenceSession, voice: Floats) -> None:
    rows = features(session, voice)
    mouth = open_session(build_mouth_model())
    loudness = frame_loudness(voice, FRAMES)
    order = np.argsort(loudness)
    grey = np.full((1, 6, 320, 320), 0.7, np.float32)
    dark = []
    for frame in (int(order[0]), int(order[FRAMES // 2]), int(order[-1])):
        audio = audio_windows(rows, frame, frame + 1, UNET_328)
        (shown,) = mouth.run(None, {"input": grey, "audio": audio})
        dark.append(int((shown.max(axis=1) < 0.3).sum()))
    assert dark[0] == 0
    assert dark[0] < dark[1] < dark[2]
    assert dark[2] > 1000


def test_twice_as_loud_is_twice_as_open(session: ort.InferenceSession, voice: Floats) -> None:
    quiet, louder = (features(session, voice * np.float32(scale))[:, feature_channels.OPENING] for scale in (0.2, 0.4))
    spoken = quiet > 0.05
    assert spoken.sum() > 20
    # The breath that is taken off is the same for both.
    assert np.allclose((louder[spoken] * 0.98 + 0.02) / (quiet[spoken] * 0.98 + 0.02), 2, rtol=0.01)


def test_silence_closes_the_mouth(session: ort.InferenceSession) -> None:
    rows = features(session, np.zeros(2 * RATE, np.float32))
    assert rows.shape == (50, 512)
    assert not rows[:, feature_channels.OPENING].any()
    assert not rows[:, feature_channels.SPREAD].any()


def test_bright_sounds_spread_the_lips_and_dark_ones_round_them(session: ort.InferenceSession) -> None:
    at = np.arange(RATE) / RATE
    shares = {"dark": (1.0, 0.01), "bright": (0.2, 0.4)}
    spread = {}
    for name, (low, high) in shares.items():
        sound = 0.3 * (low * np.sin(2 * np.pi * 700 * at) + high * np.sin(2 * np.pi * 2200 * at))
        spread[name] = float(features(session, sound.astype(np.float32))[12, feature_channels.SPREAD])
    assert spread["dark"] < -0.3
    assert spread["bright"] > 0.3


def test_features_stay_in_range_for_any_window(session: ort.InferenceSession) -> None:
    mel = np.random.default_rng(0).uniform(-4, 4, (50, 1, 80, 16)).astype(np.float32)
    for windows in (mel, np.full_like(mel, 4), np.full_like(mel, -4)):
        (rows,) = session.run(None, {"mel_spectrogram": windows})
        assert np.isfinite(rows).all()
        assert rows[:, feature_channels.OPENING].min() >= 0
        assert np.abs(rows).max() <= 1


def test_the_spectrum_shows_a_tone_where_it_is(session: ort.InferenceSession) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)
    spectrum = features(session, tone.astype(np.float32))[12, feature_channels.SPECTRUM]
    assert abs(int(spectrum.argmax()) * 8000 / len(spectrum) - 2000) < 150
    assert spectrum.max() - spectrum[-20:].max() > 0.2
