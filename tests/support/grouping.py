"""How tests are given to processes: what disturbs nodes and workers to one of them, everything else to whoever is free.

The groups of pytest-xdist 3.8 do nothing here: it writes them into an attribute that pytest 9.2 does not read.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Of tests by their ids: where nodes and workers are killed Ray takes a slow one for a dead one, and these share a head.
FAULTS = ("tests/faults/", "tests/end_to_end/test_nodes.py")

# These share a cluster that nobody else needs.
SUBMITTED = "tests/end_to_end/test_submitted_job.py"


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """`LoadScopeScheduling` with each test a scope of its own, but for the two groups."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(FAULTS):
            return "faults"
        return SUBMITTED if nodeid.startswith(SUBMITTED) else nodeid
