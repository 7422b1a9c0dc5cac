"""What is measured on a GPU, step by step: limits, what is expected, what each step decides. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

# Figures of one trial by name; "fault" says why there are none.
Figures: TypeAlias = Mapping[str, Any]
# Those of a step's trials, by the trial's name.
Trials: TypeAlias = Mapping[str, Figures]

# Seconds for all steps but the last, the benchmark's row.
ALL_SECONDS = 420.0
# A step is not begun with fewer seconds left.
LEAST_SECONDS = 5.0

# What differs in the environment of a trial's process.
PLAIN, WITHOUT_CUDNN, BLOCKING = "", "without cuDNN", "launches wait"

# Levels from the CPU's answers above which a session calculates something else.
WRONG_LEVELS = 4

BATCH = 16
PROCESSES = (1, 2, 4, 8)
FINISHING_THREADS = (0, 2, 4)
DISK_LAYOUTS = (4, 8)
BEST = "best, in memory"


class Verdict(StrEnum):
    """What came of a step."""

    EXPECTED = "as expected"
    OTHERWISE = "not as expected"
    WRONG = "wrong"
    NO_FIGURE = "no figure"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        number: in the order in which they run.
        name: for tables.
        limit: seconds that it may take.
        trials: its parts, each with what differs in the environment of its process.
        expected: in words; reckoned, not measured.
        decides: what follows from its figures.
        meets: whether figures are as expected.
        stops: whether figures are so wrong, or missing, that the following steps would mean nothing.
    """

    number: int
    name: str
    limit: float
    trials: Mapping[str, str]
    expected: str
    decides: str
    meets: Callable[[Trials], bool]
    stops: Callable[[Trials], bool] = lambda _: False

    def verdict(self, trials: Trials) -> Verdict:
        """What figures mean; where a trial has none, nothing can be said of the step."""
        if self.stops(trials):
            return Verdict.WRONG
        if any("fault" in trials.get(name, {"fault": ""}) for name in self.trials):
            return Verdict.NO_FIGURE
        return Verdict.EXPECTED if self.meets(trials) else Verdict.OTHERWISE


def best(trials: Trials, figure: str) -> float:
    """The highest of a figure over the trials that have it; 0 where none has."""
    return max((one[figure] for one in trials.values() if figure in one), default=0.0)


def best_workers(trials: Trials) -> int:
    """Workers of the fastest layout."""
    layouts = {workers: trials.get(f"{workers} workers", {}).get("fps", 0.0) for workers in DISK_LAYOUTS}
    return max(layouts, key=lambda workers: layouts[workers])


def plain(*names: str) -> dict[str, str]:
    """Trials of a process with the environment as it is."""
    return dict.fromkeys(names, PLAIN)


# Of step 3: precision, batch, options of the CUDA provider.
OPTION_TRIALS: dict[str, tuple[str, int, dict[str, str]]] = {
    "fp32": ("fp32", BATCH, {}),
    "fp16, TF32 off by option": ("fp16", BATCH, {"use_tf32": "0"}),
    "fp16": ("fp16", BATCH, {}),
    **{f"fp16, batch {batch}": ("fp16", batch, {}) for batch in (1, 4, 32, 64)},
    "heuristic search": ("fp16", BATCH, {"cudnn_conv_algo_search": "HEURISTIC"}),
    "nhwc": ("fp16", BATCH, {"prefer_nhwc": "1"}),
    "nhwc, fused bias": ("fp16", BATCH, {"prefer_nhwc": "1", "fuse_conv_bias": "1"}),
    "graph, batch 4": ("fp16", 4, {"enable_cuda_graph": "1"}),
    "graph": ("fp16", BATCH, {"enable_cuda_graph": "1"}),
}

STEPS = (
    Step(
        *(0, "copies and files", 20.0, plain("copies", "disk", "shared memory")),
        "pinned >= 40 GB/s (pageable 6-12), disk >= 300 MB/s",
        "pinned buffers; where files go",
        lambda t: t["copies"]["pinned_gbs"] >= 40 and t["disk"]["mbs"] >= 300,
    ),
    Step(
        *(1, "session", 35.0, {"fp32": PLAIN, "without cuDNN": WITHOUT_CUDNN}),
        "<= 1 level from the CPU, no CPU node; without cuDNN: NoCudaError",
        "stop if wrong",
        lambda t: (
            t["fp32"]["worst"] <= 1 and not t["fp32"]["cpu_nodes"] and t["without cuDNN"]["error"] == "NoCudaError"
        ),
        stops=lambda t: t.get("fp32", {}).get("worst", 255) > WRONG_LEVELS,
    ),
    Step(
        *(2, "half precision", 20.0, plain("fp16")),
        "<= 2 levels, >= 55 dB",
        "fp16 is the headline",
        lambda t: t["fp16"]["worst"] <= 2 and (t["fp16"]["psnr"] or 99.0) >= 55,
    ),
    Step(
        *(3, "options", 90.0, plain(*OPTION_TRIALS)),
        "fp16 <= 0.5 ms a frame; nhwc and fused bias about 0.25",
        "defaults",
        lambda t: t["fp16"]["ms"] <= 0.5 and t["nhwc, fused bias"]["ms"] <= 0.3,
    ),
    Step(
        *(4, "nodes", 15.0, {"fp16": BLOCKING}),
        "bias and relu about half",
        "fusion",
        lambda t: 0.3 <= t["fp16"]["by_operator"].get("Relu", 0.0) <= 0.7,
    ),
    Step(
        *(5, "processes", 50.0, plain(*(f"{count} processes" for count in PROCESSES))),
        "within 10 % of one",
        "workers",
        lambda t: all(0.9 <= one["fps"] / t["1 processes"]["fps"] <= 1.1 for one in t.values()),
    ),
    Step(
        *(6, "compositor", 35.0, plain(*(f"{count} threads" for count in FINISHING_THREADS))),
        ">= 850 fps",
        "process finishers",
        lambda t: best(t, "fps") >= 850,
    ),
    Step(
        *(7, "composite", 105.0, plain(*(f"{workers} workers" for workers in DISK_LAYOUTS), BEST)),
        ">= 1,500 fps, >= 0.90 of bare",
        "the headline",
        lambda t: best(t, "fps") >= 1500 and best(t, "of_bare") >= 0.9,
    ),
    Step(
        *(8, "memory and driver", 20.0, plain("memory", "driver")),
        "< 1 GB a process, < 1 ms a range",
        "memory limit",
        lambda t: t["memory"]["process_mib"] < 1000 and t["driver"]["ms"] < 1,
    ),
)

# Clip and networks are made before the steps.
MATERIAL = Step(
    *(-1, "material", 25.0, plain("clip and networks"), "", ""),
    meets=lambda _: True,
    stops=lambda t: "backgrounds" not in t.get("clip and networks", {}),
)
# And the benchmark's row comes after them.
ROW = Step(
    *(9, "benchmark", 120.0, plain("ours beside bare")),
    ">= 0.90 of bare, every frame compared",
    "the row for the tables",
    lambda t: t["ours beside bare"]["of_bare"] >= 0.9,
)
