"""What a node does with a range of footage: decodes its frames and finds the faces on them."""

from __future__ import annotations

from actors.core.clip import ImageFrames, VideoFrames
from actors.core.faces import FoundFaces
from actors.faces.finder import FaceFinder, find_faces
from actors.faces.weights import FaceWeights
from actors.files.node_check import check_code
from actors.rendering.source_frames import frames_of


def find_range(
    source: ImageFrames | VideoFrames, first: int, weights: FaceWeights, code: str, thorough: bool
) -> FoundFaces:
    """Finds the faces on some frames.

    Args:
        source: exactly these frames.
        first: number of the first of them in the footage.
        weights: of the networks that find faces.
        code: the driver's `actors.files.digests.code_digest`.
        thorough: whether to look closer at all frames for smaller faces.

    Raises:
        InputError: a frame cannot be read, or this process runs other files than the driver.
        StoppedError: the footage is not what the driver saw.
    """
    check_code(code)
    return find_faces(FaceFinder(weights), frames_of(source, first), first, thorough=thorough)
