"""The networks that find faces, as bytes that the driver hands to the nodes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnDetector:
    """A detector of the user's, of YuNet's contract (`actors.faces.yunet`).

    Attributes:
        path: where the driver read it, for messages.
        model: what is in the ONNX file.
    """

    path: str
    model: bytes


@dataclass(frozen=True, slots=True)
class FaceWeights:
    """What faces are found with. The first three are TFLite files.

    Attributes:
        near: the BlazeFace detector for large faces, 128 x 128 pixels.
        far: the BlazeFace detector for small faces, 256 x 256 pixels.
        mesh: the 468-point face mesh, 192 x 192 pixels.
        digest: SHA-256 of all networks that are used, in hexadecimal.
        detector: used in place of both detectors where it is given.
    """

    near: bytes
    far: bytes
    mesh: bytes
    digest: str
    detector: OwnDetector | None = None
