"""The facts of this machine, or of every node of a cluster, each within a time limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import ray
from ray.exceptions import GetTimeoutError
from rich.console import Console

import actors
from actors.core.errors import InputError, StoppedError, error_text
from actors.files.node_facts import NodeFacts, node_facts
from jobs.cluster.connection import connect
from jobs.cluster.node_tasks import on_each_node
from jobs.doctor.finding import Finding, error, ok
from jobs.process.time_limits import within

# A process has to be started on a node; looking takes seconds.
NODE_SECONDS = 60.0
LONGEST = 300

# What a node has, or why it did not say; by its name.
Answers = dict[str, NodeFacts | str]


def ask_here(packages: Sequence[str], folder: str) -> Answers:
    """What this machine has."""
    try:
        return {"": within(NODE_SECONDS, partial(node_facts, packages, folder))}
    except TimeoutError as late:
        return {"": error_text(late)}


def ask_cluster(
    address: str, packages: Sequence[str], folder: str, console: Console, seconds: float = NODE_SECONDS
) -> tuple[Answers, Finding]:
    """What every live node of a cluster has, and whether the cluster could be asked.

    Args:
        address: as `jobs.cluster.connection.connect` takes it.
        packages: as `actors.files.node_facts.node_facts` takes them.
        folder: likewise.
        console: where it is said what was done to make Ray safe.
        seconds: which all nodes together have.
    """
    try:
        with connect(address, (actors,), console) as cluster:
            nodes = cluster.resources().nodes
            answers = _ask_nodes(nodes, packages, folder, seconds)
    except (InputError, StoppedError) as refused:
        problem, fix = (
            (refused.problem, refused.fix) if isinstance(refused, InputError) else (refused.reason, refused.fix)
        )
        return {}, error("cluster", f"{address}: {problem}", fix)
    return answers, ok("cluster", f"{address}: {len(nodes)} nodes")


def _ask_nodes(nodes: Sequence[str], packages: Sequence[str], folder: str, seconds: float) -> Answers:
    """What each node says, or why it does not; all together have so many seconds."""
    until = time.monotonic() + seconds
    answers: Answers = {}
    for node, answer in on_each_node(nodes, node_facts, packages, folder).items():
        try:
            facts: NodeFacts = ray.get(answer, timeout=max(0.0, until - time.monotonic()))
        except GetTimeoutError:
            answers[node[:8]] = f"has not answered within {seconds:g} s"
        except Exception as problem:  # noqa: BLE001 - whatever Ray or the node's own Python says is the finding
            answers[node[:8]] = error_text(problem, LONGEST)
        else:
            # Several nodes may stand on one machine.
            answers[f"{facts.host} {node[:8]}"] = facts
    return answers
