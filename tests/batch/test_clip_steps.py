"""The steps of one clip of a batch, in this process: what they leave in the clip's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lone import ON_CPU, TWO_CORES
from small import SmallClip

from actors.core.choices import Blend
from actors.core.errors import InputError
from actors.files import storage
from jobs.audio.encoder_actor import SharedEncoders
from jobs.batch import clip_steps
from jobs.batch.clip_steps import Rendered, Site, Start
from jobs.cluster.placement import place
from jobs.inputs.options import CompositeOptions
from jobs.inputs.shared_reads import SharedReads
from jobs.planning.preparation import plan_shared
from jobs.run.decide import SharedPlan


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(TWO_CORES, ON_CPU, storage.locate(str(tmp_path / "faces")))


def options_of(clip: SmallClip, model: Path, out: Path) -> CompositeOptions:
    return CompositeOptions(clip=str(clip.folder), model=str(model), out=str(out))


def start_of(verdict: clip_steps.Verdict, started_at: float) -> Start:
    own = {"workers": None, "threads": None, "batch": None, "gpus_per_worker": None}
    placement = place(TWO_CORES, ON_CPU.device, frames=verdict.frames, **own)
    preparation = plan_shared(verdict.sizes, verdict.demand, TWO_CORES.store)
    return Start(".driver-000000000000", SharedPlan(placement, preparation, "walker"), started_at)


def test_a_step_that_is_done_again_is_no_command_of_its_own(
    clip: SmallClip, model: Path, tmp_path: Path, site: Site
) -> None:
    out = tmp_path / "run"
    shared, encoders = SharedReads(), SharedEncoders()
    verdict, read = clip_steps.read(options_of(clip, model, out), site, shared)
    assert not out.exists()
    # As the driver's lock does.
    out.mkdir()
    start = start_of(verdict, 1_795_000_000.123)
    first = clip_steps.begin(read, start, site, encoders)
    again = clip_steps.begin(read, start, site, encoders)
    assert not isinstance(first, Rendered)
    assert not isinstance(again, Rendered)
    assert again.ranges == first.ranges
    assert json.loads((out / "run.json").read_text())["attempts"] == []
    # A later command finds one that came to no end.
    later = clip_steps.begin(read, start_of(verdict, 1_795_000_100.5), site, encoders)
    assert not isinstance(later, Rendered)
    assert [attempt.status for attempt in later.record.attempts] == ["running"]
    repeated = clip_steps.begin(read, start_of(verdict, 1_795_000_100.5), site, encoders)
    assert not isinstance(repeated, Rendered)
    assert repeated.record.attempts == later.record.attempts


def test_a_clip_that_cannot_begin_leaves_nothing(
    clip: SmallClip, model: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    verdict, read = clip_steps.read(options_of(clip, model, out), site, SharedReads())

    def refuse(*_: object) -> None:
        raise InputError("voice.wav", "cannot be heard", "record it again")

    monkeypatch.setattr(clip_steps, "load_audio", refuse)
    out.mkdir()
    with pytest.raises(InputError, match="cannot be heard"):
        clip_steps.begin(read, start_of(verdict, 1.0), site, SharedEncoders())
    assert not [path for path in out.rglob("*") if path.is_file()]


def test_what_was_read_is_told_in_few_bytes(clip: SmallClip, model: Path, tmp_path: Path, site: Site) -> None:
    """The driver has a verdict of each row that waits."""
    shared = SharedReads()
    one, _ = clip_steps.read(options_of(clip, model, tmp_path / "one"), site, shared)
    other = CompositeOptions(clip=str(clip.folder), model=str(model), out=str(tmp_path / "other"), blend=Blend.FEATHER)
    two, _ = clip_steps.read(other, site, shared)
    assert one.network == two.network
    assert one.backgrounds != two.backgrounds
    assert one.frames == len(clip.features)
    assert len(repr(one)) < 1000
