"""TFLite networks, run by OpenCV."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

import cv2
import numpy as np

from actors.core.errors import InputError
from actors.core.pixels import Image
from actors.faces.detections import Floats


class TFLiteNetwork:
    """One network that is fed square pictures."""

    def __init__(self, model: bytes, side: int, outputs: Mapping[str, int]) -> None:
        """Reads the network and checks that it answers.

        Args:
            model: what is in the TFLite file.
            side: pixels of the pictures.
            outputs: how many numbers each of the outputs has.

        Raises:
            InputError: this OpenCV does not run it.
        """
        self.side = side
        self._outputs = tuple(outputs)
        # OpenCV 5.0 takes an engine for files alone: networks out of memory go to its new one, which loses outputs.
        try:
            with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
                file.write(model)
                file.flush()
                self._network = cv2.dnn.readNetFromTFLite(file.name, cv2.dnn.ENGINE_CLASSIC)
            answer = self.run(np.zeros((side, side, 3), np.uint8), 0.0, 1.0)
        except (cv2.error, AttributeError) as error:
            raise _not_run(str(error)) from error
        sizes = [one.size for one in answer]
        if sizes != list(outputs.values()):
            raise _not_run(f"outputs of {sizes} numbers instead of {list(outputs.values())}")

    def run(self, picture: Image, low: float, high: float) -> tuple[Floats, ...]:
        """The outputs, flat, in the order in which they were named.

        Args:
            picture: ``(side, side, 3)`` uint8 BGR; the network gets it as RGB.
            low: what black becomes.
            high: what white becomes.
        """
        scale = (high - low) / 255
        mean = (-low / scale,) * 3
        self._network.setInput(cv2.dnn.blobFromImage(picture, scale, mean=mean, swapRB=True))
        answer = self._network.forward(self._outputs)
        return tuple(np.asarray(one, np.float32).ravel() for one in answer)


def _not_run(why: str) -> InputError:
    fix = "install the program's own versions: python -m pip install -c constraints.txt -e ."
    return InputError(f"OpenCV {cv2.__version__}", f"does not run the networks that find faces ({why})", fix)
