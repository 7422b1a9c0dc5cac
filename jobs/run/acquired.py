"""What a command takes for itself, each when it is first needed: the lock on its folder, and a cluster."""

from __future__ import annotations

from contextlib import ExitStack

from rich.console import Console

import actors
from actors.files.run_folder import FACES
from actors.files.storage import StoragePath
from jobs.cluster.connection import Cluster, connect
from jobs.console import say
from jobs.run.folder import holds_record
from jobs.run.folder_lock import FolderLock, lock_folder


class Acquired:
    """The folder and the cluster of one command.

    Args:
        folder: the one that ``--out`` names.
        record: name of the file there by which the folder is known.
        what: what such a folder is of, in messages.
        address: of the cluster, as the user gave it.
        console: where it is said how they are had.
        folders: gives the lock back when it is left.
        clusters: leaves the cluster when it is left, which is earlier.

    Attributes:
        exists: whether the record was there when the folder was locked.
    """

    def __init__(
        self,
        folder: StoragePath,
        record: str,
        what: str,
        address: str | None,
        console: Console,
        folders: ExitStack,
        clusters: ExitStack,
    ) -> None:
        self.exists = False
        self._folder, self._record, self._what = folder, record, what
        self._address = address
        self._console = console
        self._folders, self._clusters = folders, clusters
        self._lock: FolderLock | None = None
        self._cluster: Cluster | None = None

    @property
    def locked(self) -> bool:
        """Whether the folder is this command's by now."""
        return self._lock is not None

    def lock(self) -> FolderLock:
        """Locks the folder, unless it is locked.

        Raises:
            InputError: it holds something else, another run has it, or it cannot be written.
        """
        if self._lock is None:
            # What is found for a run stands there before its record does.
            self.exists = holds_record(self._folder, self._record, self._what, {FACES})
            self._lock = self._folders.enter_context(lock_folder(self._folder))
            if not self._lock.by_file_system:
                problem = f"warning: {self._folder} has no locks: nobody else must write there until this ends"
                say(self._console, problem, style="yellow")
        return self._lock

    def cluster(self) -> Cluster:
        """Joins the cluster, or starts one, unless that is done.

        Raises:
            InputError: there is no such cluster.
            StoppedError: Ray could not be started.
        """
        if self._cluster is None:
            self._cluster = self._clusters.enter_context(connect(self._address, (actors,), self._console))
        return self._cluster
