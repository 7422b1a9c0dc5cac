"""What two nodes would have: one without a GPU, one with a card and everything that it needs."""

from __future__ import annotations

from dataclasses import replace

from actors.files.node_facts import LIBRARIES, Card, Disk, Library, NodeFacts

GIB = 1 << 30
CARD = Card("NVIDIA H200", "580.95.05", 140 * GIB, GIB, exclusive=False)
FOUND = tuple(Library(name, f"/site/nvidia/{name}", "13.0.1") for name in LIBRARIES)
WITHOUT = NodeFacts(
    host="one",
    python="3.12.1",
    packages={},
    gpu_shown=False,
    cards=(),
    libraries=tuple(Library(name) for name in LIBRARIES),
    mps=False,
    memory=16 * GIB,
    shared_memory=8 * GIB,
    disk=Disk("/"),
    open_files=65536,
)
WITH = replace(WITHOUT, gpu_shown=True, cards=(CARD,), libraries=FOUND)
