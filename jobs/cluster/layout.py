"""A layout: how many workers there are, and the threads, batch, share of a GPU and session options of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from actors.core.choices import PLAIN, GpuTuning

# Launching the 285 to 400 kernels of a batch takes the host 1.3 to 2 ms (reckoned). That is as long as a GPU calculates
# on 4 frames in half precision, so such batches wait for launches; 16 frames do not.
CUDA_BATCH = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """How many workers there are, and what each has.

    Attributes:
        workers: how many.
        threads: intra-op threads of each session.
        batch: frames per inference.
        gpus: share of a GPU of each worker, 0 on CPUs.
        tuning: options of each session on a GPU.
    """

    workers: Annotated[int, Field(ge=1)]
    threads: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    # The longer name, and nothing for a CPU, stand in what earlier versions kept.
    gpus: Annotated[
        float,
        BeforeValidator(lambda share: 0.0 if share is None else share),
        Field(ge=0, validation_alias=AliasChoices("gpus", "gpus_per_worker")),
    ] = 0.0
    tuning: GpuTuning = PLAIN

    def __str__(self) -> str:
        share = f", {self.gpus:g} of a GPU each" if self.gpus else ""
        options = f", {self.tuning}" if self.tuning != PLAIN else ""
        return f"{self.workers} workers x {self.threads} threads, batch {self.batch}{share}{options}"
