"""Inputs and outputs of a session where it calculates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from actors.network.graph import AUDIO, IMAGE


class Binding:
    """Buffers on the device, allocated once: inputs are written into them, outputs are copied out."""

    def __init__(
        self,
        session: ort.InferenceSession,
        names: Sequence[str],
        image: NDArray[Any],
        audio: NDArray[np.float32],
        *,
        cuda: bool,
    ) -> None:
        """Allocates the inputs.

        Args:
            session: the network's.
            names: of the outputs that are wanted.
            image: as `actors.network.graph.IMAGE` takes it.
            audio: as `actors.network.graph.AUDIO` takes it.
            cuda: whether the session calculates on a GPU.
        """
        self._session = session
        self._names = names
        self._device = "cuda" if cuda else "cpu"
        self._inputs = [ort.OrtValue.ortvalue_from_numpy(array, self._device, 0) for array in (image, audio)]
        self._binding = session.io_binding()
        for name, value in zip((IMAGE, AUDIO), self._inputs, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        self._outputs: list[ort.OrtValue] = []

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs, as arrays of the caller's own."""
        for value, array in zip(self._inputs, inputs, strict=True):
            value.update_inplace(np.ascontiguousarray(array))
        if not self._outputs:
            # The first run tells the shapes; from then on its buffers are used again.
            for name in self._names:
                self._binding.bind_output(name, self._device)
            self._session.run_with_iobinding(self._binding)
            self._outputs = self._binding.get_outputs()
            for name, value in zip(self._names, self._outputs, strict=True):
                self._binding.bind_ortvalue_output(name, value)
        else:
            self._session.run_with_iobinding(self._binding)
        # On the CPU `numpy` shows the buffer itself, which the next run writes into.
        return [np.array(value.numpy()) if self._device == "cpu" else value.numpy() for value in self._outputs]
