"""Everything that is found in some footage, searched where a prepared folder does not hold it yet."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from actors.core.errors import InputError
from actors.core.faces import FoundFaces
from actors.faces.weights import FaceWeights
from actors.files import storage
from jobs.clip.footage import Footage
from jobs.cluster.connection import Cluster
from jobs.console import say
from jobs.faces.found_so_far import all_found, looked_alike
from jobs.faces.prepared_folder import FacesRecord, FootageRecord, PreparedFolder, unsearched
from jobs.faces.search import search
from jobs.faces.search_plan import keyframes, plan_search
from jobs.faces.smaller_faces import needs_closer_looks, seen_closely_alone, without
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
) -> FoundFaces:
    """Finds the faces on every frame of some footage; what an earlier command found there stays.

    Args:
        footage: what to search.
        folder: where what is found is kept.
        weights: of the networks that find faces.
        join: joins the cluster; called where something is to be searched.
        wait: seconds that a node may take to join a cluster that has none.
        console: where to say how far it is.
        replace: whether faces of other footage, or by other weights, are removed instead of refused.

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
        _search_missing(footage, folder, weights, join, wait, console)
        found = all_found(folder)
        if not looked_alike(folder) and needs_closer_looks(found):
            say(console, "faces: there are smaller ones beside the first; all frames are searched more closely")
            folder.begin_thorough()
            _search_missing(footage, folder, weights, join, wait, console)
            found = all_found(folder)
    return found if looked_alike(folder) else without(found, seen_closely_alone(found))


def _search_missing(
    footage: Footage,
    folder: PreparedFolder,
    weights: FaceWeights,
    join: Callable[[], Cluster],
    wait: float,
    console: Console,
) -> None:
    """Searches the frames that no whole file stands for."""
    record = folder.searched()
    kept, useless = folder.parts()
    for span in useless:
        folder.remove(span)
    frames = record.footage.frames
    missing = unsearched(kept, frames)
    if not missing:
        return
    if kept:
        say(console, f"faces: {frames - len(missing)} of {frames} frames searched, {len(missing)} to go")
    cluster = join()
    resources = cluster.resources()
    if not resources.rendering:
        resources = cluster.wait_for_node(wait, console)
    cpus = max(1, int(resources.cpus))
    ranges = plan_search(missing, keyframes(footage.frames), cpus)
    with meter(console, len(missing), "searching") as shown:
        search(
            footage.frames,
            ranges,
            weights,
            cpus,
            folder.keep,
            lambda count: shown.update(count, "looking for faces"),
            thorough=record.thorough,
        )


def _check_same(folder: PreparedFolder, earlier: FacesRecord, record: FacesRecord) -> None:
    if earlier.footage.digest != record.footage.digest:
        problem = f"holds the faces of other footage ({earlier.footage.name})"
        raise InputError(str(folder), problem, "name another folder, or begin anew with --restart")
    if earlier.finder != record.finder:
        raise InputError(
            str(folder), "holds faces that another detector found", "name another folder, or begin anew with --restart"
        )
