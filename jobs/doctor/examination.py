"""All findings of a machine or of a cluster's nodes, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from actors.core.errors import printable
from actors.files.node_facts import NodeFacts
from jobs.console import say, show
from jobs.doctor.finding import Finding, Level, count, error
from jobs.doctor.gpu import check_gpu, wants_cuda
from jobs.doctor.node_answers import Answers, ask_cluster, ask_here
from jobs.doctor.packages import Wanted, check_faces, check_packages, read_wanted
from jobs.doctor.ray_ready import ray_ready
from jobs.doctor.resources import check_disk, check_memory, check_open_files
from jobs.inputs.options import DeviceChoice

STYLES = {Level.OK: None, Level.WARNING: "yellow", Level.ERROR: "red"}

# By node; what concerns none of them, or the machine that asks, under "".
Findings = dict[str, list[Finding]]


def examine(address: str | None, folder: str, device: DeviceChoice, console: Console) -> Findings:
    """Looks at this machine, or with an address at every node of that cluster.

    Args:
        address: of the cluster, or ``None``.
        folder: where frames would be written.
        device: what networks are to run on; for CUDA a node without a GPU has an error.
        console: where it is said what was done to make Ray safe.
    """
    wanted = read_wanted()
    here = [check_faces(), *ray_ready()]
    if address is None:
        answers = ask_here(wanted.names, folder)
        return {"": [*judged(answers, wanted, device)[""], *here]}
    answers, cluster = ask_cluster(address, wanted.names, folder, console)
    return {"": [cluster, *here], **judged(answers, wanted, device)}


def judged(answers: Answers, wanted: Wanted, device: DeviceChoice) -> Findings:
    """What is to be said of each node that was asked."""
    return {
        node: [error("node", facts, "look at it there: mouthpiece doctor")]
        if isinstance(facts, str)
        else judge(facts, wanted, device)
        for node, facts in answers.items()
    }


def judge(facts: NodeFacts, wanted: Wanted, device: DeviceChoice) -> list[Finding]:
    """What is to be said of one node."""
    return [
        *check_packages(facts.python, facts.packages, wanted, cuda=wants_cuda(facts, device)),
        *check_gpu(facts, device),
        *check_memory(facts.memory, facts.shared_memory),
        *check_disk(facts.disk),
        check_open_files(facts.open_files),
    ]


def print_json(findings: Findings, console: Console) -> None:
    """One line for each finding."""
    for node, some in findings.items():
        for one in some:
            line = {"node": node, "subject": one.subject, "level": one.level, "text": one.text, "fix": one.fix}
            say(console, json.dumps(line))


def print_findings(findings: Findings, console: Console) -> None:
    """Lines; what nodes have in common once, and a table of what they differ in."""
    nodes = {node: some for node, some in findings.items() if node}
    shared, differing = split(nodes)
    for one in (*findings.get("", ()), *shared):
        say(console, f"{one.level:<8} {one}", STYLES[one.level])
    if differing:
        table = Table(title="Where nodes differ", title_justify="left")
        for name in ("subject", "node", "level", "finding"):
            table.add_column(name, overflow="fold")
        for node, one in differing:
            table.add_row(one.subject, node, one.level, printable(str(one)).partition(": ")[2], style=STYLES[one.level])
        show(console, table)
    levels = count(one for some in findings.values() for one in some)
    say(console, f"{levels[Level.ERROR]} errors, {levels[Level.WARNING]} warnings")


def split(nodes: Mapping[str, Sequence[Finding]]) -> tuple[list[Finding], list[tuple[str, Finding]]]:
    """Findings that are the same on all nodes, and the others by subject, each with its node."""
    every = [(node, one) for node, some in nodes.items() for one in some]
    shared = [one for one in next(iter(nodes.values()), ()) if all(one in some for some in nodes.values())]
    subjects = list(dict.fromkeys(one.subject for _, one in every))
    others = [pair for pair in every if pair[1] not in shared]
    return shared, sorted(others, key=lambda pair: subjects.index(pair[1].subject))


def has_errors(findings: Findings) -> bool:
    """Whether anything will not do."""
    return any(one.level is Level.ERROR for some in findings.values() for one in some)
