"""The way of a batch through a session: to where it is run, through the network, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.core.errors import InputError
from actors.core.pixels import Planes, prediction_fault
from actors.network.prediction import Prediction

if TYPE_CHECKING:
    from actors.core.kind import ModelKind
    from actors.network.runtime import Feed


class Binding:
    """The inputs and outputs of one batch at a time of a session.

    A batch is loaded, run and fetched, each in whatever thread; the next one may be loaded when it has been fetched. Of
    a session's bindings one is run at a time, while others are loaded or fetched.
    """

    def __init__(self, feed: Feed, held: Sequence[NDArray[Any]], output: str, kind: ModelKind) -> None:
        """Keeps what it is made of.

        Args:
            feed: of the session.
            held: for each input an array of its type and sides, of its own, to fill up short batches in.
            output: the name that the export gives the planes, for messages.
            kind: of the network.
        """
        self._feed = feed
        self._held = held
        self._output = output
        self._kind = kind
        self._count = 0

    def load(self, image: NDArray[Any], audio: Planes, faces: Sequence[Planes] = ()) -> None:
        """Takes a batch to where it is run; arguments as `actors.network.session.Session.run` takes them.

        Without buffers of its own, arrays of a whole batch are used as they are until they have been run.
        """
        given: Sequence[NDArray[Any]] = (image, audio, *faces)
        self._count = len(image)
        if self._count < len(self._held[0]):
            for buffer, array in zip(self._held, given, strict=True):
                buffer[: self._count], buffer[self._count :] = array, array[-1:]
            given = self._held
        self._feed.load(given)

    def run(self) -> None:
        """Runs the network on what was loaded."""
        self._feed.run()

    def fetch(self) -> Prediction:
        """What the network says about the batch that was run.

        Raises:
            InputError: it does not have three planes of the inner region's size.
        """
        return predicted(self._feed.fetch(), len(self._held[0]), self._count, self._output, self._kind)


def predicted(answer: Sequence[NDArray[Any]], size: int, count: int, output: str, kind: ModelKind) -> Prediction:
    """What a network's answer says about the frames of a batch.

    Args:
        answer: its planes and, for each frame, the lowest and the highest value and the sum.
        size: of the batch that was run.
        count: frames of it that are wanted; the others filled it up.
        output: the name that the export gives the planes, for messages.
        kind: of the network.

    Raises:
        InputError: it does not have three planes of the inner region's size.
    """
    planes, low, high, total = answer
    if planes.shape != (size, *kind.output):
        raise InputError(output, f"gives {planes.shape} for a batch of {size}", f"it must give {(size, *kind.output)}")
    faults = tuple(
        prediction_fault(float(low[i]), float(high[i]), float(total[i]), kind.value_range) for i in range(count)
    )
    return Prediction(np.asarray(planes[:count]), faults)
