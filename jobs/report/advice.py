"""The stage that limits, in one sentence, and what would help: a function of the stage statistics and the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.report.scale import seconds
from jobs.run.statistics import NotRendering, StageStats, limiting_stage

NAMES = {
    "gather": "Gathering the network's input",
    "inference": "The network",
    "composite": "Compositing",
    "encode": "Encoding images",
    "write": "Writing files",
    "video": "Encoding the video",
}


@dataclass(frozen=True, slots=True)
class AdviceFacts:
    """What advice depends on besides the statistics.

    Attributes:
        cuda: the network runs on GPUs.
        workers: how many there were.
        threads: intra-op threads of each session.
        finishers: threads of each worker that finish frames beside its network; 0: one stage after the other.
        batch: frames per inference.
        cores: logical cores that Ray offered.
        image_format: png, jpg, webp or none.
        video: whether a video was encoded.
        precision: what the network calculated with; empty where the run had no such choice.
        ranges: how many the frames were divided into.
        blocks_fit: all backgrounds were in the object store at once.
        deaths: how many workers died.
    """

    cuda: bool
    workers: int
    threads: int
    finishers: int
    batch: int
    cores: float
    image_format: str
    video: bool
    precision: str
    ranges: int
    blocks_fit: bool
    deaths: int


@dataclass(frozen=True, slots=True)
class Limit:
    """What limits a run.

    Attributes:
        stage: its name in the table; empty where nothing was rendered.
        sentence: that it limits, with the measured share.
        advice: what to try.
        bound: how much there is to gain at most; empty where the shares do not tell.
    """

    stage: str
    sentence: str
    advice: str
    bound: str


def limit(stats: Sequence[StageStats], layout: AdviceFacts, besides: NotRendering | None = None) -> Limit:
    """Names what limits, and says what to try: `besides`, then the stage that `limiting_stage` finds.

    Args:
        stats: `jobs.run.statistics.stage_stats` of the run.
        layout: how the work was laid out.
        besides: what took longer than rendering, where that is known.
    """
    if not stats:
        return Limit("", "Nothing was rendered.", "", "")
    if besides is None:
        return _stage_limit(stats, layout)
    time = f"{seconds(besides.seconds)} of {seconds(besides.whole)}"
    if besides.stage == "placement":
        sentence = f"Placement limits: the first worker waited for {time} for room on the cluster."
        advice = f"Free some {'GPUs' if layout.cuda else 'CPUs'} on the cluster, or add nodes."
    else:
        sentence = f"Start-up limits: {time} were not rendering."
        advice = "Longer runs come closer to fps_steady."
    rest = _stage_limit(stats, layout)
    # Workers of a short run have nothing to do at its ends, whatever their number.
    if rest.stage == "waiting" and layout.blocks_fit and not layout.deaths:
        return Limit(besides.stage, sentence, advice, "")
    return Limit(besides.stage, f"{sentence} While rendering: {rest.sentence}", f"{advice} {rest.advice}", rest.bound)


def _stage_limit(stats: Sequence[StageStats], layout: AdviceFacts) -> Limit:
    stage, part = limiting_stage(stats, layout.finishers)
    if layout.finishers and stage != "waiting":
        sentence = f"{NAMES[stage]} limits: its threads were busy for {part:.0%} of the time."
        return Limit(stage, sentence, _advice(stage, layout), "")
    if stage == "waiting":
        sentence = f"Waiting limits: for {part:.0%} of the time workers had nothing to do."
    else:
        sentence = f"{NAMES[stage]} limits: {part:.0%} of the workers' time."
    return Limit(stage, sentence, _advice(stage, layout), _bound(stage, part))


def _bound(stage: str, part: float) -> str:
    """Without a stage the rest of the workers' time remains: the run cannot end sooner than after that."""
    if part > 0.95:
        return ""
    free = "Without any waiting" if stage == "waiting" else "If that cost nothing at all,"
    return f"{free} rendering would be at most {1 / (1 - part):.1f} times as fast."


def _advice(stage: str, layout: AdviceFacts) -> str:
    match stage:
        case "inference":
            return _faster_network(layout)
        case "gather" | "composite":
            return _more_hands(layout)
        case "encode":
            return _cheaper_images(layout)
        case "write":
            smaller = " With --format jpg files are smaller, with some loss." if layout.image_format == "png" else ""
            return f"Try a faster disk under --out.{smaller}"
        case "video":
            files = "" if layout.image_format == "none" else " Where the frame files are enough, leave --video out."
            return f"Workers encode the video's segments in parallel. {_more_hands(layout)}{files}"
        case _:
            return _less_waiting(layout)


def _faster_network(layout: AdviceFacts) -> str:
    if layout.cuda:
        half = ", or --precision fp16 where its error is small enough" if layout.precision == "fp32" else ""
        return f"Try a --batch above {layout.batch}{half}. Beyond that only faster or more GPUs help."
    if layout.workers * layout.threads < layout.cores:
        return _more_hands(layout)
    return (
        f"All {layout.cores:g} cores that Ray offered compute: only faster or more of them help, or a GPU"
        " (--device cuda)."
    )


def _more_hands(layout: AdviceFacts) -> str:
    if layout.cuda:
        return "This runs on the CPU beside the GPU: try a smaller --gpus-per-worker, so that more workers share it."
    if layout.workers * layout.threads < layout.cores:
        used = f"{layout.workers} {'worker' if layout.workers == 1 else 'workers'}"
        used += f" with {layout.threads} threads each" if layout.threads > 1 else ""
        return f"Ray offered {layout.cores:g} cores for {used}: try more --workers."
    return f"All {layout.cores:g} cores that Ray offered are taken: more cores, or more machines, help."


def _cheaper_images(layout: AdviceFacts) -> str:
    cheaper = {
        "png": "Try --format jpg: it is cheaper to make, with some loss.",
        "webp": "Try --format jpg: it is cheaper to make.",
    }.get(layout.image_format, _more_hands(layout))
    instead = "" if layout.video else " --video"
    return f"{cheaper} Where a video is enough, leave the files out: --format none{instead}."


def _less_waiting(layout: AdviceFacts) -> str:
    if layout.deaths:
        return "Workers died, and what they had was rendered again: the faults below say why."
    if not layout.blocks_fit:
        return (
            "The object store cannot hold all backgrounds at once, so workers wait for blocks: give it more memory"
            " (ray start --object-store-memory)."
        )
    if layout.ranges < 2 * layout.workers:
        return (
            f"There were only {layout.ranges} ranges for {layout.workers} workers: fewer workers would do as well, a"
            " longer clip would use them."
        )
    return "They wait for backgrounds, or have nothing left to do: fewer workers would do as well."
