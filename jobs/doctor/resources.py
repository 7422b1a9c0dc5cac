"""Memory, disk and limits of a node."""

from __future__ import annotations

from actors.files.node_facts import TRIAL_BYTES, Disk
from jobs.cluster.connection import LEAST_FILES, MOST_FILES
from jobs.doctor.finding import Finding, error, ok, warning

GIB = 1 << 30
# Ray keeps its object store there, else on a disk.
LEAST_SHARED = 2 * GIB
# An hour of frames at 25 a second.
HOUR = 90_000
# Frames a second that a disk must take, or it is what limits.
SLOW_FRAMES = 500


def check_memory(memory: int, shared: int | None) -> list[Finding]:
    """The machine's memory, and the part that processes can share."""
    subject, told = "shared memory", "" if shared is None else f"{shared / GIB:.1f} GiB of /dev/shm are free"
    found = [ok("memory", f"{memory / GIB:.1f} GiB")]
    if shared is None:
        return [*found, warning(subject, "there is no /dev/shm", "mount one, for Ray's object store")]
    if shared < LEAST_SHARED:
        fix = "start the container with a larger one (docker run --shm-size), or remove what lies there"
        return [*found, warning(subject, f"{told}, and Ray's object store lies there", fix)]
    return [*found, ok(subject, told)]


def check_disk(disk: Disk) -> list[Finding]:
    """How fast frames can be written, and how many."""
    if disk.fault or not disk.files:
        return [error("disk", f"{disk.folder}: {disk.fault or 'no file was written in time'}", "give --out another")]
    each, frames = TRIAL_BYTES // 1000, disk.files / disk.seconds
    told = f"{disk.folder}: {frames:,.0f} files of {each} KB a second ({disk.rate / 1e6:,.0f} MB/s)"
    room = f"{disk.folder}: {disk.free / GIB:,.1f} GiB"
    few = disk.inodes is not None and disk.inodes < HOUR
    amount = "" if disk.inodes is None else f" and {disk.inodes:,} more files"
    return [
        ok("disk speed", told)
        if frames >= SLOW_FRAMES
        else warning("disk speed", told, "frames may wait for it: write to a faster disk, or --format none --video"),
        warning("disk room", f"{room}{amount}", "an hour of frames is more: make room, or write elsewhere")
        if few or disk.free < HOUR * TRIAL_BYTES
        else ok("disk room", f"{room}{amount}"),
    ]


def check_open_files(most: int) -> Finding:
    """How many files a process may open (-1: any number)."""
    subject, told, fix = "open files", f"{most:,} a process", f"raise the hard limit: ulimit -Hn {MOST_FILES}"
    if most < 0:
        return ok(subject, "no limit")
    if most < LEAST_FILES:
        return error(subject, f"{told}, and Ray needs {LEAST_FILES} at least", fix)
    return warning(subject, f"{told}: few for a cluster", fix) if most < LEAST_FILES * 8 else ok(subject, told)
