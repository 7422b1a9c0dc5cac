"""What a command decides before anything is started: ranges, layout, device and the first record, without Ray."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import small
from lone import ON_CPU, TWO_CORES
from made_run import BEGAN, record
from rich.console import Console
from small import SmallClip

from actors.core.choices import Device
from actors.core.errors import InputError
from actors.files.run_folder import RunFolder
from jobs.cluster.environment import versions
from jobs.cluster.layout import Layout
from jobs.cluster.placement import ChosenDevice
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.run.decide import Decision, RenderRequest, choose_run_device, decide
from jobs.run.record import RunRecord, Video


@dataclass(frozen=True)
class Case:
    """A request on the small clip, and what was said of it."""

    request: RenderRequest
    console: Console

    def decide(self, missing: list[int], tuned: Layout | None = None, device: ChosenDevice = ON_CPU) -> Decision:
        return decide(self.request, missing, TWO_CORES, device, tuned, self.console)

    @property
    def text(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


def case_of(clip: SmallClip, model: Path, out: Path, **options: Any) -> Case:  # noqa: ANN401 - any option
    given = CompositeOptions(clip=str(clip.folder), model=str(model), out=str(out), **options)
    request = RenderRequest(given, read_inputs(given), RunFolder.at(out), ".driver", BEGAN, None)
    return Case(request, Console(file=io.StringIO(), width=200))


def gone_on(first: Case, earlier: RunRecord) -> Case:
    return Case(replace(first.request, earlier=earlier), Console(file=io.StringIO(), width=200))


def test_what_is_missing_is_cut_into_ranges_and_put_down(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    missing = [*range(7), *range(20, 45)]
    decision = case_of(clip, model, tmp_path / "run", workers=2, threads=1).decide(missing)
    assert [frame for frames in decision.ranges for frame in frames] == missing
    written = decision.record
    assert (written.status, written.started_at, written.attempts) == ("running", BEGAN, ())
    assert written.frames == (0, small.ROWS)
    assert (written.plan.workers, written.plan.threads, written.plan.ranges) == (2, 1, len(decision.ranges))
    assert written.identity["device"] == written.device.provider == "CPUExecutionProvider"
    # Nobody has written anything yet.
    assert not (tmp_path / "run").exists()


def test_a_tuned_layout_is_used_and_told(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    first = case_of(clip, model, tmp_path)
    decision = first.decide([*range(45)], Layout(workers=1, threads=2, batch=3))
    placement = decision.plan.placement
    assert (placement.workers, placement.threads, placement.batch) == (1, 2, 3)
    assert "tuned: 1 workers x 2 threads, batch 3 (as `tune` found" in first.text


@pytest.mark.parametrize("share", [0.125, 0.25])
def test_a_share_of_a_gpu_that_may_be_too_small_is_told(
    share: float, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    case = case_of(clip, model, tmp_path, gpus_per_worker=share)
    on_gpu = replace(TWO_CORES, gpus=1.0, gpu_node_cpus=2.0, gpu_memory=8 << 30)
    decide(case.request, [*range(45)], on_gpu, ChosenDevice(Device.CUDA, "asked for"), None, case.console)
    assert ("warning: --gpus-per-worker 0.125 leaves the network 0.4 of" in case.text) == (share == 0.125)


def test_the_record_says_how_workers_were_laid_out(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    decision = case_of(clip, model, tmp_path).decide([*range(45)], device=ChosenDevice(Device.CUDA, "asked for"))
    laid_out, written = asdict(decision.plan.placement), decision.record.plan.model_dump()
    assert laid_out["compositing_threads"] >= 1
    assert {name: written[name] for name in laid_out} == laid_out


def test_a_run_is_gone_on_with_on_its_own_device(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    first = case_of(clip, model, tmp_path)
    begun = first.decide([*range(45)]).record
    again = gone_on(first, begun.model_copy(update={"versions": {**versions(), "numpy": "0.1"}}))
    device = choose_run_device(again.request, replace(TWO_CORES, gpus=1.0, gpu_node_cpus=2.0), started_here=False)
    assert (device.device, device.reason) == (Device.CPU, "as the run in this folder began")
    decision = again.decide([44], device=device)
    assert "other software than this run began with: numpy was 0.1, is" in again.text
    assert [one.status for one in decision.record.attempts] == ["running"]
    assert decision.record.id != begun.id
    with pytest.raises(InputError, match="was begun with --device cpu"):
        again.decide([44], device=ChosenDevice(Device.CUDA, "asked for"))


def test_a_record_that_names_no_device_is_asked_back_for(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    first = case_of(clip, model, tmp_path)
    begun = first.decide([*range(45)]).record
    unnamed = begun.model_copy(update={"identity": {**begun.identity, "device": None}})
    again = gone_on(first, unnamed)
    assert choose_run_device(again.request, TWO_CORES, started_here=False).device is Device.CPU
    with pytest.raises(InputError, match="was begun with"):
        again.decide([44])


def test_a_video_stays_part_of_the_run_until_another_is_asked_for(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    first = case_of(clip, model, tmp_path)
    video = Video(bytes=7, checksum="ab")
    begun = first.decide([*range(45)]).record.model_copy(update={"video": video, "status": "complete"})
    assert gone_on(first, begun).decide([44]).record.video == video
    other = case_of(clip, model, tmp_path, video=True)
    assert gone_on(other, begun).decide([44]).record.video is None


def test_an_earlier_run_of_other_pixels_is_refused(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    first = case_of(clip, model, tmp_path)
    identity = first.request.inputs.identity(first.request.options, Device.CPU)
    other = RunRecord.model_validate(record(45, identity=identity))
    assert gone_on(first, other).request.given_device is Device.CPU
    feather = case_of(clip, model, tmp_path, blend="feather")
    with pytest.raises(InputError, match="--blend feather"):
        gone_on(feather, other).request.check_same_pixels(Device.CPU)
