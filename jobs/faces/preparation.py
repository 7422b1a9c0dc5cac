"""Everything that is found in some footage, searched where a prepared folder does not hold it yet."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from actors.core.errors import InputError
from actors.faces.weights import FaceWeights
from actors.files import storage
from jobs.clip.footage import Footage
from jobs.cluster.connection import Cluster
from jobs.console import say
from jobs.faces.found_so_far import all_found, believed, gather, looked_alike
from jobs.faces.prepared_folder import FacesRecord, FootageRecord, PreparedFolder, unsearched
from jobs.faces.search import search
from jobs.faces.search_plan import keyframes, plan_search
from jobs.faces.seen_faces import SeenFaces
from jobs.faces.smaller_faces import needs_closer_looks
from jobs.faces.stored_shapes import StoredShapes
from jobs.progress_meter import meter


def prepare_faces(
    footage: Footage,
    folder: PreparedFolder,
    weights: FaceWeights,
    join: Callable[[], Cluster],
    wait: float,
    console: Console,
    *,
    replace: bool,
    share: float = 1.0,
) -> SeenFaces:
    """Finds the faces on every frame of some footage; what an earlier command found there stays.

    Args:
        footage: what to search.
        folder: where what is found is kept.
        weights: of the networks that find faces.
        join: joins the cluster; called where something is to be searched.
        wait: seconds that a node may take to join a cluster that has none.
        console: where to say how far it is.
        replace: whether faces of other footage, or by other weights, are removed instead of refused.
        share: CPUs that each task asks for; none where workers have all of them for long.

    Raises:
        InputError: the folder holds faces of other footage or by other weights, or a frame cannot be read.
        StoppedError: the search cannot go on, or the folder cannot be written; what was found stays.
    """
    own = weights.detector is not None
    record = FacesRecord(footage=FootageRecord.of(footage), finder=weights.digest, own_detector=own)
    earlier = folder.record()
    if earlier is not None and not replace:
        _check_same(folder, earlier, record)
    with folder.writing():
        if earlier is None or (earlier.footage.digest, earlier.finder) != (record.footage.digest, record.finder):
            # The earlier record must not be gone before what it speaks of is.
            folder.forget()
            folder.begin(record)
        folder.sweep()
        storage.make_folder(folder.detections)
        seen = _searched(footage, folder, weights, join, wait, console, share)
        if not looked_alike(folder) and needs_closer_looks(seen):
            say(console, "faces: there are smaller ones beside the first; all frames are searched more closely")
            folder.begin_thorough()
            seen = _searched(footage, folder, weights, join, wait, console, share)
    return believed(folder, seen)


def _searched(
    footage: Footage,
    folder: PreparedFolder,
    weights: FaceWeights,
    join: Callable[[], Cluster],
    wait: float,
    console: Console,
    share: float,
) -> SeenFaces:
    """Everything that is found; searches the frames that no whole file stands for."""
    gathered, useless = gather(folder)
    for span in useless:
        folder.remove(span)
    record = folder.searched()
    frames = record.footage.frames
    missing = unsearched(gathered.spans, frames)
    if not missing:
        return gathered.faces(StoredShapes.of(folder, gathered))
    del gathered
    left = sum(map(len, missing))
    if left < frames:
        say(console, f"faces: {frames - left} of {frames} frames searched, {left} to go")
    cluster = join()
    resources = cluster.resources()
    if not resources.rendering:
        resources = cluster.wait_for_node(wait, console)
    cpus = max(1, int(resources.cpus))
    ranges = plan_search(missing, keyframes(footage.frames), cpus)
    with meter(console, left, "searching") as shown:
        search(
            footage.frames,
            ranges,
            weights,
            cpus,
            folder.keep,
            lambda count: shown.update(count, "looking for faces"),
            thorough=record.thorough,
            share=share,
        )
    return all_found(folder)


def _check_same(folder: PreparedFolder, earlier: FacesRecord, record: FacesRecord) -> None:
    if earlier.footage.digest != record.footage.digest:
        problem = f"holds the faces of other footage ({earlier.footage.name})"
        raise InputError(str(folder), problem, "name another folder, or begin anew with --restart")
    if earlier.finder != record.finder:
        raise InputError(
            str(folder), "holds faces that another detector found", "name another folder, or begin anew with --restart"
        )
