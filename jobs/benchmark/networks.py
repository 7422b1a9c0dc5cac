"""The networks of the two regimes, as files that every system opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from actors.core.choices import Precision
from actors.core.kind import ModelKind, ModelTensors
from actors.files import storage
from actors.kinds import kinds_named
from actors.network.external_weights import load_network
from actors.network.graph import in_half_precision
from actors.network.recognition import read_model, recognise_model
from jobs.benchmark.matrix import Regime
from jobs.demo.demo_clip import demo_kind
from jobs.models.light import build_light_model
from jobs.models.mouth import save_model
from jobs.models.stand_in import build_stand_in


@dataclass(frozen=True, slots=True)
class RegimeNetwork:
    """A network.

    Attributes:
        name: for tables.
        path: its file as it was given or built.
        half: the same with float16 weights, where that is tried.
        tensors: its inputs and its output, the same in both.
    """

    name: str
    path: str
    half: str | None
    tensors: ModelTensors

    def file(self, precision: Precision) -> str:
        """The file of one precision."""
        return self.half if precision is Precision.FP16 and self.half else self.path


def networks_kind(given: str | None, name: str | None) -> ModelKind:
    """The kind that both regimes' networks are of: the user's model's, or the one named, or the demo's.

    Raises:
        InputError: the user's model cannot be used, or there is no such kind.
    """
    if given is not None:
        kind, _ = recognise_model(storage.absolute(given), kinds_named(name))
        return kind
    return demo_kind() if name is None else kinds_named(name)[0]


def make_network(regime: Regime, given: str | None, kind: ModelKind, scratch: Path, *, half: bool) -> RegimeNetwork:
    """Builds or takes a regime's network.

    Args:
        regime: says which.
        given: the user's model, which takes the place of the heavy one.
        kind: what networks they are.
        scratch: existing folder for what is built.
        half: whether float16 is tried too.

    Raises:
        InputError: the user's model cannot be used, or none is given and there is no stand-in.
    """
    path = scratch / f"{regime}.onnx"
    if regime is Regime.LIGHT:
        name, source = "a 1x1 convolution", str(path)
        save_model(build_light_model(kind), path)
    elif given is None:
        name, source = f"{kind.name} stand-in, random weights", str(path)
        save_model(build_stand_in(kind), path)
    else:
        source = storage.absolute(given)
        name = Path(source).name
    tensors = read_model(source, kind)
    return RegimeNetwork(name, source, _write_half(source, scratch / f"{regime}-fp16.onnx") if half else None, tensors)


def _write_half(source: str, path: Path) -> str:
    """The network with float16 weights and arithmetic; its inputs and outputs stay float32."""
    onnx.save(in_half_precision(load_network(source), keep_tensors=True), str(path))
    return str(path)
