"""A detector of the user's own, of YuNet's contract (Wu, Peng, Yu 2023), run by OpenCV's `FaceDetectorYN`."""

from __future__ import annotations

import cv2
import numpy as np

from actors.core.errors import InputError, error_text
from actors.core.faces import KEY_POINTS
from actors.core.pixels import Image
from actors.faces.detections import Detections
from actors.faces.suppression import SAME_FACE
from actors.faces.views import shrunk
from actors.faces.weights import OwnDetector
from actors.files import storage

# The contract: BGR pixels as float32 in [0, 255], sides that are multiples of 32, and for each of these strides scores
# of class and object, boxes, and five points.
STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES)

# Frames are shrunk to it, as most of these detectors were trained: they find faces of 16 to 300 pixels there.
LONGEST = 640
# OpenCV gives nothing below; a lower score is not told from none.
LEAST = 0.3
_MOST = 200
# A row of the answer: left, top, width, height, then x, y of eyes, nose and the mouth's corners, then the score.
_ROW = 15


class YuNet:
    """OpenCV's detector with a network of the user's."""

    def __init__(self, own: OwnDetector) -> None:
        """Reads the network and tries it.

        Raises:
            InputError: OpenCV does not run it as such a detector.
        """
        self._own = own
        model, nothing = np.frombuffer(own.model, np.uint8), np.empty(0, np.uint8)
        # OpenCV would tell the terminal what the refusal says, and that its new engine knows no other devices.
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._detector = cv2.FaceDetectorYN.create("onnx", model, nothing, (32, 32), LEAST, SAME_FACE, _MOST)
        except cv2.error as error:
            raise self._refusal(error) from error
        finally:
            cv2.utils.logging.setLogLevel(level)
        self.find(np.zeros((LONGEST, LONGEST, 3), np.uint8), LEAST)

    def find(self, frame: Image, least: float) -> Detections:
        """The faces on a frame ``(H, W, 3)`` uint8 BGR that score at least ``least``, best first.

        Raises:
            InputError: OpenCV does not run the network as such a detector.
        """
        small = shrunk(frame, LONGEST) if max(frame.shape) > LONGEST else frame
        try:
            self._detector.setInputSize((small.shape[1], small.shape[0]))
            _, answer = self._detector.detect(small)
        except cv2.error as error:
            raise self._refusal(error) from error
        rows = np.empty((0, _ROW), np.float32) if answer is None else np.asarray(answer, np.float32)
        if rows.shape[1:] != (_ROW,) or not np.isfinite(rows).all():
            raise InputError(self._own.path, "gives no faces but other numbers", f"give {_WANTED}")
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        scores = np.clip(rows[:, 14], 0, 1)
        points = np.full((len(rows), KEY_POINTS, 2), np.nan, np.float32)
        given = rows[:, 4:14].reshape(-1, 5, 2)
        points[:, :3], points[:, 3] = given[:, :3], given[:, 3:].mean(axis=1)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        found = Detections(boxes, scores, points, float(scores.max(initial=0.0)))
        return found.chosen(np.flatnonzero(scores >= least)).moved(
            (0.0, 0.0), (small.shape[1] / frame.shape[1], small.shape[0] / frame.shape[0])
        )

    def _refusal(self, error: cv2.error) -> InputError:
        return InputError(
            self._own.path, f"is no detector that OpenCV runs ({error_text(error, 90)})", f"give {_WANTED}"
        )


def try_detector(path: str) -> None:
    """Reads and runs the detector in an ONNX file.

    Raises:
        InputError: as `YuNet`.
    """
    YuNet(OwnDetector(path, storage.read_bytes(path)))


_WANTED = "--detector an ONNX file of YuNet's contract (docs/faces.md), or leave it out"
