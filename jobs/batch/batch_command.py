"""A batch from the command line to its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

import actors
import jobs
from actors.core.errors import ExitCode, InputError, NoCudaError
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.files.storage import StoragePath
from actors.rendering.blocks import load_one_of
from jobs.batch.batch_run import BatchRun
from jobs.batch.clip_steps import Site, Verdict
from jobs.batch.desk import Desk, Desks
from jobs.batch.manifest import Manifest, Row
from jobs.batch.manifest_source import ClipsNamed, open_manifest
from jobs.batch.policy import Policy
from jobs.batch.progress import BatchProgress
from jobs.cluster.connection import Cluster, connect
from jobs.cluster.placement import Placement, choose_device, wait_for_resources
from jobs.console import say
from jobs.inputs.options import CompositeOptions, DeviceChoice
from jobs.planning.block_plan import STORE_SHARE
from jobs.planning.render_plan import calls_at_once
from jobs.run.clip_ids import PARQUET
from jobs.run.clip_table import ClipState, ClipStatus, ClipTable
from jobs.run.decide import place_workers
from jobs.run.engine import Crew, Engine
from jobs.run.execute import ENDINGS, ending
from jobs.run.folder import holds_record, lasting, sweep_one
from jobs.run.folder_lock import lock_folder

# What clips have in common in a folder of their own.
FACES = "faces"

# Failed clips that are named at the end.
MOST_NAMED = 20

# Cores of this machine for each desk, and the least and the most of these.
CORES_PER_DESK, LEAST_DESKS, MOST_DESKS = 4, 2, 8


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What a batch is told besides the options of its clips.

    Attributes:
        named: where its rows come from.
        out: its folder.
        flags: options of `composite` that were given, by field name, for all rows.
        policy: when it is given up.
        restart: ids of clips that begin anew.
        verify: whether clips that are done are read and compared again.
    """

    named: ClipsNamed
    out: str
    flags: Mapping[str, Any]
    policy: Policy
    restart: Collection[str]
    verify: bool


def render_batch(options: BatchOptions, console: Console, conclude: Callable[[str], str]) -> ExitCode:
    """Renders the rows of a manifest; see `ExitCode` for what the answer means.

    Args:
        options: what to render.
        console: where to say how far it is.
        conclude: writes what is made of a batch's folder that has changed, and says where.

    Raises:
        InputError: the manifest cannot be used, or every row is wrong; nothing has been written.
        StoppedError: the batch cannot go on; what is finished stays valid.
        KeyboardInterrupt: it was interrupted; likewise.
    """
    with ExitStack() as held:
        manifest = held.enter_context(open_manifest(options.named, sys.stdin.buffer))
        total = manifest.check()
        folder = storage.locate(lasting(options.out))
        earlier = holds_record(folder, PARQUET, "batch", {FACES})
        sweep_one(folder, held.enter_context(lock_folder(folder)).mark)
        table = ClipTable.read(folder) if earlier else ClipTable(folder)
        batch = _Batch(options, manifest, folder, table, earlier=earlier)
        todo = batch.order()
        done = total - todo
        say(console, f"batch: {total} clips" + (f", {done} are done" if done else ""))
        if not todo:
            table.write()
            return ExitCode.COMPLETE
        try:
            return batch.render(todo, total, console)
        except InputError:
            # A clip whose folder could not be taken back in time keeps the batch one that can be gone on with.
            if not earlier and not any(entry.is_folder and entry.name != FACES for entry in storage.children(folder)):
                table.remove()
            raise
        finally:
            if storage.is_file(folder / PARQUET) and not isinstance(sys.exception(), KeyboardInterrupt):
                say(console, f"report: {conclude(str(folder))}")


class _Batch:
    """The rows that are left of a batch."""

    def __init__(
        self, options: BatchOptions, manifest: Manifest, folder: StoragePath, table: ClipTable, *, earlier: bool
    ) -> None:
        self._options = options
        self._manifest = manifest
        self._folder = folder
        self._table = table
        self._earlier = earlier

    def order(self) -> int:
        """Puts the table into the manifest's order, with the rows that are left waiting; how many these are.

        Raises:
            InputError: a clip that is to begin anew is not in the manifest.
        """
        names = [row.id for row in self._manifest.rows()]
        self._table.order(names)
        if unknown := set(self._options.restart).difference(names):
            name = min(unknown)
            raise InputError(f"--restart {name}", "the manifest has no clip of that id", "see BATCH/clips.jsonl")
        count = 0
        for row in self._rows():
            count += 1
            self._table.put(ClipState(row.id, options=row.digest(self._options.flags)))
        return count

    def _rows(self) -> Iterator[Row]:
        """The rows that are not done, those first that are to be rendered first."""
        return (row for row in self._manifest.rows_by_priority() if not self._is_done(row))

    def _is_done(self, row: Row) -> bool:
        state = self._table.get(row.id)
        if (
            state is None
            or state.state is not ClipStatus.DONE
            or self._options.verify
            or row.id in self._options.restart
        ):
            return False
        same = state.options == row.digest(self._options.flags)
        return same and storage.is_file(RunFolder(self._folder / row.id).record)

    def _made(self, row: Row) -> tuple[CompositeOptions, str]:
        """The options of a row, and their digest."""
        flags = {**self._options.flags, "restart": row.id in self._options.restart}
        return row.options(flags, str(self._folder / row.id)), row.digest(self._options.flags)

    def render(self, todo: int, total: int, console: Console) -> ExitCode:
        """Renders the rows that are left, of all there are."""
        flags = self._options.flags
        wanted = DeviceChoice(flags.get("device", DeviceChoice.AUTO))
        wait = float(flags.get("wait", CompositeOptions.model_fields["wait"].default))
        with connect(flags.get("address"), (actors, jobs), console) as cluster:
            resources = wait_for_resources(cluster, wanted, wait, console)
            choice = choose_device(wanted, resources, started_here=cluster.started_here)
            site = Site(resources, choice, self._folder / FACES)
            try:
                return self._attempt(todo, total, site, cluster, console)
            except NoCudaError as error:
                if wanted is not DeviceChoice.AUTO:
                    raise
                site = Site(resources, choice.without_cuda(error), self._folder / FACES)
                return self._attempt(self.order(), total, site, cluster, console)

    def _attempt(self, todo: int, total: int, site: Site, cluster: Cluster, console: Console) -> ExitCode:
        say(console, site.choice.line)
        cores = (os.cpu_count() or 1) // CORES_PER_DESK
        desks = Desks(Desk, site, min(max(cores, LEAST_DESKS), MOST_DESKS))
        with BatchProgress(console, total) as progress:
            batch = BatchRun(
                self._rows(),
                todo,
                self._made,
                self._table,
                self._options.policy,
                site,
                desks,
                partial(_lay_out, site, console),
                partial(_hire, site, cluster, console),
                progress.failed,
                partial(_show, progress),
                ENDINGS,
                lambda error: ending(error, cluster),
            )
            batch.check()
            self._refuse_if_all_are_wrong(batch)
            self._table.write()
            code = batch.run()
        _say_end(self._table, self._folder, console)
        return code

    def _refuse_if_all_are_wrong(self, batch: BatchRun) -> None:
        """Makes sure that there is something to render.

        Raises:
            InputError: every row of a new batch is wrong.
        """
        counts = self._table.counts()
        if (
            self._earlier
            or batch.reads.waiting
            or batch.reads.unread
            or counts[ClipStatus.DONE]
            or counts[ClipStatus.WAITING]
        ):
            return
        first = next(self._table.current())
        problem = f"none of {len(self._table)} clips can be rendered; {first.id}: {first.error}"
        raise InputError("CLIPS", problem, "mend the manifest")


def _lay_out(site: Site, console: Console, options: CompositeOptions, verdict: Verdict, frames: int) -> Placement:
    """How workers are laid out for frames of clips like this one."""
    return place_workers(options, None, site.resources, site.choice, verdict.tuned, frames, console)


def _hire(
    site: Site,
    cluster: Cluster,
    console: Console,
    placement: Placement,
    options: CompositeOptions,
    tick: Callable[[], None],
    more: Callable[[], bool],
) -> Engine:
    # Any of the clips may have a video.
    calls = calls_at_once(placement, video=True)
    crew = Crew(site.resources, site.choice, placement, calls, int(site.resources.store * STORE_SHARE))
    return Engine(crew, cluster, options, load_one_of, console, tick, more)


def _show(progress: BatchProgress, batch: BatchRun) -> None:
    engine = batch.engine
    clips = [(name, clip.open.done, clip.open.total) for name, clip in batch.opened.items() if clip.open is not None]
    done = batch.table.frames() + sum(frames for _, frames, _ in clips)
    ready, slots = (engine.scheduler.ready_workers, engine.scheduler.open_slots) if engine is not None else (0, 0)
    note = f"checking rows, {batch.reads.unread} left" if batch.reads.unread else ""
    progress.update(batch.table.counts(), done, clips, ready, slots, note)


def _say_end(table: ClipTable, folder: StoragePath, console: Console) -> None:
    counts = table.counts()
    for status in (ClipStatus.FAILED, ClipStatus.STOPPED):
        names = [state.id for state in table.current() if state.state is status]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        if names:
            say(console, f"{status}: {', '.join(names[:MOST_NAMED])}{more} (the table says why)")
    parts = ", ".join(f"{counts[state]} {state}" for state in ClipStatus if counts[state])
    say(console, f"clips: {parts}; {table.frames()} frames")
    say(console, f"table: {folder / PARQUET}")
