"""Every node of a cluster is asked, each on itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clusters import join
from rich.console import Console

from actors.files.node_facts import NodeFacts
from jobs.doctor.finding import Level
from jobs.doctor.node_answers import ask_cluster


def test_every_node_answers_for_itself_and_one_that_is_late_is_named(cluster: Any, tmp_path: Path) -> None:  # noqa: ANN401
    join(cluster.address)
    answers, found = ask_cluster(cluster.address, ["ray"], str(tmp_path), Console(quiet=True))
    assert found.level is Level.OK
    assert len(answers) == 2
    facts = [one for one in answers.values() if isinstance(one, NodeFacts)]
    assert len(facts) == 2
    assert all(one.packages["ray"] and one.disk.files for one in facts)
    late, _ = ask_cluster(cluster.address, ["ray"], str(tmp_path), Console(quiet=True), seconds=0.0)
    assert list(late.values()) == ["has not answered within 0 s"] * 2


def test_a_cluster_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    answers, found = ask_cluster("127.0.0.1:1", ["ray"], str(tmp_path), Console(quiet=True))
    assert answers == {}
    assert found.level is Level.ERROR
    assert "ray start --head" in found.fix
