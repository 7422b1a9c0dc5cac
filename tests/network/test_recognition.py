"""Reading an ONNX file's own description: bound by shape, refused in one line when it is not the kind's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import exports
import numpy as np
import onnx
import pytest
import small
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.core.choices import Device
from actors.core.errors import InputError
from actors.core.kind import ModelKind, ModelTensors
from actors.files.digests import model_digest
from actors.kinds import all_kinds, kinds_named
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model, recognise_model
from actors.network.session import Session, SessionOptions

Dims = list[int | str | None]


def write_graph(
    path: Path,
    inputs: dict[str, Dims],
    outputs: dict[str, Dims],
    *,
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
    domain: str = "",
    stored: tuple[str, ...] = (),
) -> str:
    """A graph that only has to be described, never to run; ``stored`` inputs also have a value, as old exports do."""
    ins = [helper.make_tensor_value_info(name, kind, dims) for name, dims in inputs.items()]
    outs = [helper.make_tensor_value_info(name, kind, dims) for name, dims in outputs.items()]
    node = helper.make_node("Anything", list(inputs), list(outputs))
    values = [helper.make_tensor(name, TensorProto.FLOAT, [1], [1.0]) for name in stored]
    graph = helper.make_graph([node], "described", ins, outs, values)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, opset)], ir_version=8)
    path.write_bytes(proto.SerializeToString())
    return str(path)


def planes(batch: int | str | None = "n", channels: int | str | None = 6, side: int | str | None = 320) -> Dims:
    return [batch, channels, side, side]


def sounds(batch: int | str | None = "n", channels: int | str | None = 32, side: int | str | None = 16) -> Dims:
    return [batch, channels, side, side]


def refusal(path: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read_model(path, UNET_328)
    assert caught.value.subject == path
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("names", [("input", "audio"), ("audio", "input"), ("x.1", "visual_input")])
def test_tensors_are_found_by_shape_whatever_their_names_and_order(
    tmp_path: Path, names: tuple[str, str], swapped: bool
) -> None:
    inputs = {names[0]: planes(), names[1]: sounds()}
    if swapped:
        inputs = dict(reversed(inputs.items()))
    path = write_graph(tmp_path / "m.onnx", inputs, {"out": planes(channels=3)})
    assert read_model(path, UNET_328) == ModelTensors(names[0], names[1], "out", None, 17, (), plain=False)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_is_told(tmp_path: Path, batch: int) -> None:
    path = write_graph(tmp_path / "m.onnx", {"a": planes(batch), "b": sounds(batch)}, {"c": planes(batch, 3)})
    assert read_model(path, UNET_328).batch == batch


def test_one_fixed_tensor_fixes_the_batch(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "m.onnx", {"a": planes(2), "b": sounds("n")}, {"c": planes("n", 3)})
    assert read_model(path, UNET_328).batch == 2


def test_contradicting_fixed_batches_are_refused(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "m.onnx", {"a": planes(2), "b": sounds(3)}, {"c": planes("n", 3)})
    assert "[2, 3]" in refusal(path).problem


@pytest.mark.parametrize("output", [planes(channels="c"), planes(channels=None), planes("n", None, None), planes(0, 3)])
def test_what_the_output_leaves_open_is_left_to_the_session(tmp_path: Path, output: Dims) -> None:
    path = write_graph(tmp_path / "m.onnx", {"a": planes(), "b": sounds()}, {"c": output})
    assert read_model(path, UNET_328).output == "c"


def test_open_sides_of_the_inputs_are_fine(tmp_path: Path) -> None:
    inputs = {"a": planes(side="h"), "b": sounds(side=None)}
    path = write_graph(tmp_path / "m.onnx", inputs, {"c": planes(channels=3)})
    assert read_model(path, UNET_328).image == "a"


def test_the_three_planes_are_found_among_other_outputs(tmp_path: Path) -> None:
    outputs: dict[str, Dims] = {"features": ["n", 512], "c": planes(channels=3), "small": planes(channels=3, side=160)}
    path = write_graph(tmp_path / "m.onnx", {"a": planes(), "b": sounds()}, outputs)
    assert read_model(path, UNET_328).output == "c"


def test_weights_that_are_listed_as_inputs_are_none(tmp_path: Path) -> None:
    inputs: dict[str, Dims] = {"w": [1], "a": planes(), "b": sounds()}
    path = write_graph(tmp_path / "m.onnx", inputs, {"c": planes(channels=3)}, stored=("w",))
    assert read_model(path, UNET_328).image == "a"


PICTURE, SOUND, SHOWN = "6x320x320", "32x16x16", "3x320x320"

# What a network takes and gives, and what the kind is said to ask for instead.
WRONG: dict[str, tuple[dict[str, Dims], dict[str, Dims], str]] = {
    "three planes in": ({"a": planes(channels=3), "b": sounds()}, {"c": planes(channels=3)}, f"takes {PICTURE}"),
    "another region": (
        {"a": planes(side=256), "b": sounds()},
        {"c": planes(channels=3, side=256)},
        f"takes {PICTURE} and gives {SHOWN}",
    ),
    "hubert windows": ({"a": planes(), "b": sounds(side=32)}, {"c": planes(channels=3)}, f"takes {SOUND}"),
    "flat sound": ({"a": planes(), "b": ["n", 16, 512]}, {"c": planes(channels=3)}, f"takes {SOUND}"),
    "six planes out": ({"a": planes(), "b": sounds()}, {"c": planes(channels=6)}, f"gives {SHOWN}"),
    "no sound": ({"a": planes()}, {"c": planes(channels=3)}, f"takes {SOUND}"),
    "a third input": (
        {"a": planes(), "b": sounds(), "c": ["n", 4]},
        {"d": planes(channels=3)},
        "takes two inputs, not 3: nobody feeds c",
    ),
    "two images": ({"a": planes(), "b": planes()}, {"c": planes(channels=3)}, f"takes {SOUND}"),
    "no shape": ({"a": [], "b": sounds()}, {"c": planes(channels=3)}, f"takes {PICTURE}"),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_contracts_are_refused_with_what_was_found_and_what_is_wanted(tmp_path: Path, name: str) -> None:
    inputs, outputs, wanted = WRONG[name]
    error = refusal(write_graph(tmp_path / "m.onnx", inputs, outputs))
    assert all(tensor in error.problem for tensor in [*inputs, *outputs])
    assert error.problem.endswith(f"not those of unet-328-ave: it {wanted}")


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.UINT8, TensorProto.BFLOAT16])
def test_tensors_of_another_type_are_refused(tmp_path: Path, kind: int) -> None:
    refusal(write_graph(tmp_path / "m.onnx", {"a": planes(), "b": sounds()}, {"c": planes(channels=3)}, kind=kind))


def test_half_precision_is_a_type_that_will_do(tmp_path: Path) -> None:
    described = ({"a": planes(), "b": sounds()}, {"c": planes(channels=3)})
    path = write_graph(tmp_path / "m.onnx", *described, kind=TensorProto.FLOAT16)
    assert read_model(path, UNET_328) == ModelTensors("a", "b", "c", None, 17, (), plain=False)


# Kinds by shape


def test_the_kind_is_told_by_picture_and_sound_together(tmp_path: Path) -> None:
    for kind in all_kinds():
        described: tuple[dict[str, Dims], dict[str, Dims]] = (
            {"x": ["n", *kind.audio], "y": ["n", *kind.planes]},
            {"z": ["n", *kind.output]},
        )
        path = write_graph(tmp_path / "m.onnx", *described)
        assert recognise_model(path, all_kinds()) == (kind, ModelTensors("y", "x", "z", None, 17, (), plain=False))


def test_a_model_of_no_kind_is_refused_with_the_nearest_and_why_it_is_none_of_them(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "m.onnx", {"a": planes(), "b": sounds(channels=64)}, {"c": planes(channels=3)})
    with pytest.raises(InputError) as caught:
        recognise_model(path, all_kinds())
    said = caught.value.problem
    assert said.startswith("inputs a [?, 6, 320, 320], b [?, 64, 16, 16] and outputs c [?, 3, 320, 320] are of no")
    # One side differs from the first and two from others of the same pictures, four more from those of 160.
    assert f"are of no kind here; nearest: unet-328-ave takes {SOUND}, unet-328-" in said
    assert "160" not in said


@pytest.mark.parametrize(("side", "sound"), [(256, (32, 16, 16)), (96, (32, 32, 32)), (512, (1, 80, 16))])
def test_all_of_a_refusal_fits_into_its_line(tmp_path: Path, side: int, sound: tuple[int, ...]) -> None:
    inputs: dict[str, Dims] = {"visual_input": planes(side=side), "audio_input": ["n", *sound]}
    path = write_graph(tmp_path / "m.onnx", inputs, {"output": planes(channels=3, side=side)})
    with pytest.raises(InputError) as caught:
        recognise_model(path, all_kinds())
    assert caught.value.problem in str(caught.value)
    assert caught.value.fix in str(caught.value)


def write_runnable(
    path: Path, kind: ModelKind, shapes: dict[str, Dims | None], *, fitted: bool = False, more: tuple[str, ...] = ()
) -> str:
    """A network of a kind whose inputs ``a`` and ``b`` and whose output ``c`` say what ``shapes`` has of their sides.

    Args:
        path: where to.
        kind: what it really takes and gives.
        shapes: of all inputs and outputs; ``None`` says nothing of one.
        fitted: whether it works with pictures of the kind's own size alone.
        more: further outputs: ``features`` are few numbers, ``attention`` another picture.
    """
    rng = np.random.default_rng(0)
    weights: dict[str, NDArray[np.generic]] = {
        "w": rng.normal(0, 0.1, (3, kind.planes[0], 1, 1)).astype(np.float32),
        "v": rng.normal(0, 0.1, (3, *kind.audio)).astype(np.float32),
        "mask": np.ones(kind.output, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["a", "w"], ["seen"]),
        helper.make_node("Conv", ["b", "v"], ["heard"]),
        helper.make_node("Add", ["seen", "heard"], ["joined"]),
        helper.make_node("Mul" if fitted else "PRelu", ["joined", "mask"], ["masked"]),
        helper.make_node("Sigmoid", ["masked" if fitted else "joined"], ["c"]),
    ]
    if not fitted:
        del nodes[3], weights["mask"]
    made = {"features": ("GlobalAveragePool", "joined"), "attention": ("Identity", "c")}
    nodes += [helper.make_node(made[name][0], [made[name][1]], [name]) for name in more]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()]
    ins, outs = ([value for value in values if (value.name in "abu") is inside] for inside in (True, False))
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "runnable", ins, outs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)


OPEN: Dims = ["n", None, None, None]


def test_a_model_that_leaves_too_much_open_fits_several_kinds_until_one_is_named(tmp_path: Path) -> None:
    shapes: dict[str, Dims | None] = {"a": planes(side=None), "b": sounds(), "c": planes(channels=3, side=None)}
    path = write_runnable(tmp_path / "m.onnx", UNET_328, shapes)
    with pytest.raises(InputError, match=r"fits unet-160-ave and unet-328-ave .*say which it is with --kind"):
        recognise_model(path, all_kinds())
    for kind in kinds_named("unet-160-ave"):
        assert recognise_model(path, (kind,))[0] is kind


@pytest.mark.parametrize("shapes", [OPEN, None], ids=["axes without sides", "no shapes"])
def test_what_the_file_leaves_open_is_asked_of_the_runtime(tmp_path: Path, shapes: Dims | None) -> None:
    described: dict[str, Dims | None] = {"a": shapes, "b": shapes, "c": shapes}
    path = write_runnable(tmp_path / "m.onnx", UNET_328, described, fitted=True)
    expected = ModelTensors("a", "b", "c", None, 17, (), plain=False)
    for kinds in (all_kinds(), (UNET_328,)):
        kind, tensors = recognise_model(path, kinds)
        assert kind is UNET_328
        assert replace(tensors, face=(), plain=False) == expected
    (other,) = kinds_named("wav2lip-96")
    with pytest.raises(InputError) as caught:
        read_model(path, other)
    assert caught.value.problem.endswith("it does not take 6x96x96 and 1x80x16 and give 3x96x96 when it runs")


def test_one_of_several_outputs_is_the_picture(tmp_path: Path) -> None:
    shapes: dict[str, Dims | None] = {"a": planes(), "b": sounds(), "features": None, "c": OPEN}
    path = write_runnable(tmp_path / "m.onnx", UNET_328, shapes, more=("features",))
    assert read_model(path, UNET_328).output == "c"
    shown = planes(channels=3)
    shapes = {"a": planes(), "b": sounds(), "c": shown, "attention": shown}
    path = write_runnable(tmp_path / "m.onnx", UNET_328, shapes, more=("attention",))
    with pytest.raises(InputError, match=r"2 outputs that may be the picture \(c, attention\); .* --output c"):
        read_model(path, UNET_328)
    assert recognise_model(path, all_kinds(), "attention")[1].output == "attention"
    with pytest.raises(InputError, match=r"--output x: .* gives no such tensor; it gives c .*, attention"):
        recognise_model(path, all_kinds(), "x")


def test_an_input_that_nothing_reads_is_not_fed(tmp_path: Path) -> None:
    shapes: dict[str, Dims | None] = {"u": planes(), "a": planes(), "b": sounds(), "c": planes(channels=3)}
    path = write_runnable(tmp_path / "m.onnx", UNET_328, shapes)
    tensors = read_model(path, UNET_328)
    assert tensors.image == "a"
    Session(path, tensors, UNET_328, SessionOptions(Device.CPU)).warm_up()


def test_planes_that_come_last_are_told(tmp_path: Path) -> None:
    inputs: dict[str, Dims] = {"a": planes(), "b": sounds()}
    path = write_graph(tmp_path / "m.onnx", inputs, {"c": ["n", 320, 320, 3]})
    for kinds in (all_kinds(), (UNET_328,)):
        with pytest.raises(InputError, match=r"planes first \(NCHW\): in c they come last"):
            recognise_model(path, kinds)


def write_with_nodes(path: Path, nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto] | None = None) -> str:
    model = onnx.load(small.write_model(path))
    model.graph.node.extend(nodes)
    model.functions.extend(functions or [])
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_operators_that_the_runtime_does_not_have_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    exports.save(exports.with_custom_operators(onnx.load(small.write_model(path)), "Swirl", "Glow"), path)
    error = refusal(str(path))
    assert error.problem == "has operators that ONNX Runtime does not: com.example:Glow, com.example:Swirl"
    many = [helper.make_node(f"Op{i}", ["x"], [f"y{i}"], domain="acme") for i in range(7)]
    error = refusal(write_with_nodes(tmp_path / "many.onnx", many))
    assert error.problem.endswith("acme:Op2, acme:Op3 and 3 more")


@pytest.mark.parametrize("name", [b"Sigmoid", b"shaped", b"answer", b"kernel_shape"])
def test_names_that_are_no_text_are_refused(tmp_path: Path, name: bytes) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].attribute.append(helper.make_attribute("kernel_shape", [1, 1]))
    path.write_bytes(model.SerializeToString().replace(name, b"\xff" + name[1:]))
    assert "not UTF-8" in refusal(str(path)).problem


def test_operators_are_looked_for_in_branches_and_functions(tmp_path: Path) -> None:
    inner = helper.make_graph([helper.make_node("Hidden", ["x"], ["y"], domain="acme")], "branch", [], [])
    branching = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    assert "acme:Hidden" in refusal(write_with_nodes(tmp_path / "if.onnx", [branching])).problem
    body = [helper.make_node("Deep", ["x"], ["y"], domain="acme")]
    function = helper.make_function("mine", "Step", ["x"], ["y"], body, [helper.make_opsetid("acme", 1)])
    calling = [helper.make_node("Step", ["x"], ["y"], domain="mine")]
    error = refusal(write_with_nodes(tmp_path / "function.onnx", calling, [function]))
    assert error.problem.endswith("not: acme:Deep")


def test_operators_of_the_runtime_and_of_the_model_itself_are_fine(tmp_path: Path) -> None:
    body = [helper.make_node("Relu", ["x"], ["y"])]
    function = helper.make_function("mine", "Step", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Step", ["x"], ["y"], domain="mine")]
    nodes += [helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft")]
    path = write_with_nodes(tmp_path / "m.onnx", nodes, [function])
    assert read_model(path, UNET_328).image == "pictures"


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_an_operator_set_from_the_future_is_refused(tmp_path: Path, domain: str) -> None:
    newest = onnx.defs.onnx_opset_version()
    described = ({"a": planes(), "b": sounds()}, {"c": planes(channels=3)})
    error = refusal(write_graph(tmp_path / "new.onnx", *described, opset=newest + 1, domain=domain))
    assert f"operator set {newest + 1} is too new" in error.problem
    assert "opset 17" in error.fix
    assert read_model(write_graph(tmp_path / "now.onnx", *described, opset=newest), UNET_328).opset == newest


def test_a_newer_set_of_somebody_elses_operators_does_not_matter(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / "m.onnx", {"a": planes(), "b": sounds()}, {"c": planes(channels=3)}, opset=999, domain="com.acme"
    )
    assert read_model(path, UNET_328).opset == 0


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "no.onnx")).problem == "there is no such model"


def test_every_truncation_is_refused_or_a_smaller_graph_that_is(tmp_path: Path) -> None:
    whole = small.write_model(tmp_path / "whole.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for keep in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:keep])
        refusal(str(path))


def test_a_real_export_is_read(tmp_path: Path) -> None:
    expected = ModelTensors("pictures", "sounds", "answer", None, 17, ())
    assert read_model(str(small.write_model(tmp_path / "a.onnx")), UNET_328) == expected
    assert read_model(str(small.write_model(tmp_path / "b.onnx", batch=3)), UNET_328).batch == 3


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    # More than one of the pieces that it is read in.
    path.write_bytes(bytes(range(256)) * 9000)
    assert model_digest(str(path), ()) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_beside_the_model_are_part_of_it(tmp_path: Path) -> None:
    proto = onnx.load(small.write_model(tmp_path / "inside.onnx"))
    path = tmp_path / "outside.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    tensors = read_model(str(path), UNET_328)
    assert tensors.external == ("weights.bin",)
    before = model_digest(str(path), tensors.external)
    weights = bytearray((tmp_path / "weights.bin").read_bytes())
    weights[5] ^= 1
    (tmp_path / "weights.bin").write_bytes(weights)
    assert model_digest(str(path), tensors.external) != before
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"weights are missing \(weights.bin\)"):
        read_model(str(path), UNET_328)


def test_weights_elsewhere_are_refused(tmp_path: Path) -> None:
    proto = onnx.load(small.write_model(tmp_path / "inside.onnx"))
    path = tmp_path / "outside.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    path.write_bytes(path.read_bytes().replace(b"weights.bin", b"../othe.bin"))
    with pytest.raises(InputError, match="outside of its folder"):
        read_model(str(path), UNET_328)
