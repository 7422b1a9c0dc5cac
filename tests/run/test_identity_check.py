"""Going on with a run of other pixels is refused in the words of the options, with both values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import record

from actors.core.errors import InputError
from jobs.inputs.options import CompositeOptions
from jobs.run.identity_check import check_same_pixels, deciding
from jobs.run.record import RunRecord

IDENTITY = {
    **dict.fromkeys(("model", "clip", "features", "rects"), "1f" * 16),
    "parsing": None,
    "silence": "render",
    "kind": "unet-328-ave",
    "loop": "bounce",
    "retime": False,
    "interpolation": "area and linear",
    "blend": "hard",
    "colour_match": False,
    "smooth_crops": False,
    "format": "png",
    "quality": 0,
    "composite": True,
    "device": "CPUExecutionProvider",
    "precision": "fp32",
}


def options(**given: Any) -> CompositeOptions:  # noqa: ANN401 - any option
    return CompositeOptions.model_validate({"clip": "walker", "model": "m.onnx", "out": "run", **given})


def begun(identity: dict[str, Any], **given: Any) -> RunRecord:  # noqa: ANN401
    said = record(1, options=options(**given).model_dump(mode="json"), identity=identity)
    return RunRecord.model_validate(said)


def refusal(now: dict[str, Any], then: dict[str, Any] | None = None, **changes: Any) -> InputError:  # noqa: ANN401
    """What a run that was begun with the options ``then`` says to ``now``, where these parts of the identity differ."""
    before = begun(IDENTITY, **(then or {}))
    with pytest.raises(InputError) as caught:
        check_same_pixels(before, options(**now), {**IDENTITY, **changes})
    assert "1f1f" not in str(caught.value)
    assert "--restart" in caught.value.fix
    return caught.value


def test_the_same_pixels_are_gone_on_with() -> None:
    check_same_pixels(begun(IDENTITY), options(workers=3, video=True, frames=":9", wait=5.0), dict(IDENTITY))
    # The same content from another place.
    check_same_pixels(begun(IDENTITY, model="other/m.onnx"), options(), dict(IDENTITY))


@pytest.mark.parametrize(
    ("now", "then", "changes", "subject", "with_"),
    [
        ({"format": "jpg"}, {}, {"format": "jpg", "quality": 95}, "--format jpg", "--format png"),
        ({}, {"format": "jpg"}, {"format": "png", "quality": 7}, "--format png", "--format jpg"),
        ({"loop": "wrap"}, {}, {"loop": "wrap"}, "--loop wrap", "--loop bounce"),
        ({"retime": True}, {}, {"retime": True}, "--retime", "no --retime"),
        ({"composite": False}, {}, {"composite": False, "format": "none"}, "--no-composite", "compositing"),
        ({"model": "b.onnx"}, {}, {"model": "2", "kind": "wav2lip-96"}, "--model b.onnx", "--model m.onnx"),
        ({"clip": "dancer"}, {}, {"clip": "2", "rects": "2", "features": "2"}, "clip dancer", "clip walker"),
        ({"rect": "1,2,3,4"}, {"rects": "r.json"}, {"rects": "2"}, "--rect 1,2,3,4", "--rects r.json"),
        ({"interpolation": "cubic"}, {}, {"interpolation": "cubic"}, "--interpolation cubic", "area and linear"),
        ({"parsing": "masks"}, {}, {"parsing": "2"}, "--parsing masks", "no --parsing"),
        ({"device": "cuda"}, {}, {"device": "CUDAExecutionProvider"}, "--device cuda", "--device cpu"),
        # The GPU that a run began with is not there: nobody gave a device.
        ({}, {}, {"device": "CUDAExecutionProvider"}, "--device cuda", "--device cpu"),
        ({"quality": 9, "format": "jpg"}, {"format": "jpg"}, {"quality": 9}, "--quality 9", "--quality 0"),
    ],
)
def test_what_was_given_otherwise_is_named_with_both_values(
    now: dict[str, Any], then: dict[str, Any], changes: dict[str, Any], subject: str, with_: str
) -> None:
    then_identity = {name: IDENTITY[name] for name in changes}
    if then.get("format") == "jpg" and "format" in changes:
        then_identity |= {"format": "jpg"}
    before = begun({**IDENTITY, **then_identity}, **then)
    with pytest.raises(InputError) as caught:
        check_same_pixels(before, options(**now), {**IDENTITY, **changes})
    assert caught.value.subject == subject
    assert f"the run in run was begun with {with_}" in caught.value.problem.replace("--interpolation area", "area")


def test_every_difference_is_in_one_line() -> None:
    error = refusal({"blend": "feather", "smooth_crops": True}, blend="feather", smooth_crops=True)
    assert error.subject == "--blend feather, --smooth-crops"
    assert error.problem == "the run in run was begun with --blend hard, no --smooth-crops"


@pytest.mark.parametrize(
    ("now", "changes", "subject"),
    [
        ({}, {"model": "2"}, "m.onnx"),
        ({}, {"clip": "2"}, "walker"),
        ({}, {"features": "2"}, "walker"),
        ({"features": "f.npy"}, {"features": "2"}, "f.npy"),
        ({"audio": "a.wav", "encoder": "e.onnx"}, {"features": "2"}, "e.onnx"),
        ({"silence": "passthrough"}, {"silence": "2"}, "walker"),
    ],
)
def test_files_that_have_changed_are_named(now: dict[str, Any], changes: dict[str, Any], subject: str) -> None:
    before = begun(IDENTITY, **now)
    with pytest.raises(InputError) as caught:
        check_same_pixels(before, options(**now), {**IDENTITY, **changes})
    assert caught.value.subject == subject
    assert "the content has changed, or an earlier version of mouthpiece read it otherwise" in caught.value.problem


@given(st.sets(st.sampled_from(sorted(IDENTITY)), min_size=1), st.data())
def test_whatever_differs_it_is_one_line_without_digests(names: set[str], data: st.DataObject) -> None:
    changes = {name: data.draw(st.sampled_from(["2f" * 16, True, 3, None])) for name in names}
    if all(IDENTITY[name] == value for name, value in changes.items()):
        return
    before = begun(IDENTITY)
    with pytest.raises(InputError) as caught:
        check_same_pixels(before, options(), {**IDENTITY, **changes})
    assert "1f1f" not in str(caught.value)


def test_what_an_earlier_version_did_not_know_of_is_as_it_was() -> None:
    less = {name: value for name, value in IDENTITY.items() if name != "blend"}
    before = begun(less)
    said = before.as_json()
    del said["options"]["blend"]
    before = RunRecord.model_validate(said)
    check_same_pixels(before, options(), dict(IDENTITY))
    with pytest.raises(InputError, match="--blend feather: the run in run was begun with no --blend"):
        check_same_pixels(before, options(blend="feather"), {**IDENTITY, "blend": "feather"})


def test_every_part_is_decided_by_options() -> None:
    assert all(deciding(part) for part in IDENTITY)
