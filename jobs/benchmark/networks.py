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
    """A network: its name for tables and its file, the same with float16 weights where that is tried, its tensors."""

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
        return recognise_model(storage.absolute(given), kinds_named(name))[0]
    return demo_kind() if name is None else kinds_named(name)[0]


def make_network(regime: Regime, given: str | None, kind: ModelKind, scratch: Path, *, half: bool) -> RegimeNetwork:
    """Builds a regime's network of a kind, or takes ``given`` for the heavy one; ``half`` is for float16 too.

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
    halved = str(scratch / f"{regime}-fp16.onnx") if half else None
    if halved:
        # Weights and arithmetic alone: inputs and outputs stay float32.
        onnx.save(in_half_precision(load_network(source), keep_tensors=True), halved)
    return RegimeNetwork(name, source, halved, tensors)
