"""How tests are given to processes: what disturbs nodes and workers to one of them, everything else to whoever is free.

The groups of pytest-xdist 3.8 do nothing here: it writes them into an attribute that pytest 9.2 does not read.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Of tests by their ids: where nodes and workers are killed Ray takes a slow one for a dead one, and these share a head.
FAULTS = ("tests/faults/", "tests/end_to_end/test_nodes.py")

# These share a cluster that nobody else needs.
SUBMITTED = "tests/end_to_end/test_submitted_job.py"

# What these are about is slow to make, and made once in a process.
STAND_INS = (
    "tests/kinds/test_kinds.py::test_a_network_of_random",
    "tests/models/test_exports.py",
    "tests/models/test_unet.py",
    "tests/models/test_wav2lip.py",
    "tests/network/test_face_encoder.py::test_the_",
    "tests/network/test_graph.py::test_the_real_network",
    "tests/network/test_real_exports.py",
    "tests/network/test_sandbox.py::test_networks_of_the_family",
    "tests/network/test_shape_folding.py::test_the_networks_of_the_family",
)
PRESENTER = ("tests/demo/test_demo_clip.py", "tests/faces/test_finder.py")
FORKED = ("tests/fuzz/", "tests/benchmark/test_baselines.py")

GROUPS: dict[str, tuple[str, ...]] = {
    "faults": FAULTS,
    "submitted": (SUBMITTED,),
    "stand-ins": STAND_INS,
    "presenter": PRESENTER,
    "forked": FORKED,
}


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """`LoadScopeScheduling` with a scope for each group, and for each other test or, by ``--dist loadfile``, each file.

    Tests of one file share what their module makes. Where there is a cluster they are for whoever is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        alone = nodeid.partition("::")[0] if self.config.getvalue("dist") == "loadfile" else nodeid
        return next((name for name, starts in GROUPS.items() if nodeid.startswith(starts)), alone)
