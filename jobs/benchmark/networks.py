"""The networks of the two regimes, as files that every system opens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from actors import storage
from actors.core.kind import UNET_328, ModelTensors, Precision
from actors.model import read_model
from jobs.benchmark.matrix import Regime
from jobs.models.light import build_light_model
from jobs.models.mouth import save_model
from jobs.models.unet import build_unet328


@dataclass(frozen=True, slots=True)
class Network:
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


def make_network(regime: Regime, given: str | None, scratch: Path, *, half: bool) -> Network:
    """Builds or takes a regime's network.

    Args:
        regime: says which.
        given: the user's model, which takes the place of the heavy one.
        scratch: existing folder for what is built.
        half: whether float16 is tried too.

    Raises:
        InputError: the user's model cannot be used.
    """
    path = scratch / f"{regime}.onnx"
    if regime is Regime.LIGHT:
        name, source = "a 1x1 convolution", str(path)
        save_model(build_light_model(), path)
    elif given is None:
        name, source = "UNet-328 stand-in, random weights", str(path)
        save_model(build_unet328(), path)
    else:
        source = storage.resolve(given)
        name = Path(source).name
    tensors = read_model(source, UNET_328)
    return Network(name, source, _write_half(source, scratch / f"{regime}-fp16.onnx") if half else None, tensors)


def _write_half(source: str, path: Path) -> str:
    """The network with float16 weights and arithmetic; its inputs and outputs stay float32."""
    # Imported here: only a card is measured in half precision.
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), str(path))
    return str(path)
