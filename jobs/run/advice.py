"""What limits a run, and what would help: a pure function of its statistics and its layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.cluster.layout import Layout
from jobs.number_format import seconds
from jobs.run.figures import StageStats
from jobs.run.record import RunRecord

# Stages that a worker's compositing threads share, where it has any; every other stage has a thread of its own.
POST_PROCESSING = ("composite", "encode", "write")

# Seconds until a worker has its place, above which they are not what starting a process takes on a busy machine.
LONG_PLACE = 10.0

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
        layout: how many workers there were, and what each had.
        compositing_threads: of each worker, beside its network; 0: one stage after the other.
        cuda: the network runs on GPUs.
        cores: logical cores that Ray offered.
        image_format: png, jpg, webp or none.
        video: whether a video was encoded.
        precision: what the network calculated with; empty where the run had no such choice.
        ranges: how many the frames were divided into.
        blocks_fit: all backgrounds were in the object store at once.
        deaths: how many workers died.
    """

    layout: Layout
    compositing_threads: int
    cuda: bool
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

    @property
    def line(self) -> str:
        """All of it in one line."""
        return " ".join(filter(None, (self.sentence, self.advice, self.bound)))


def advice_facts(record: RunRecord, workers: int) -> AdviceFacts:
    """What advice depends on, as a run's record says it.

    Args:
        record: of the run.
        workers: how many there were.
    """
    plan = record.plan
    return AdviceFacts(
        layout=Layout(workers, plan.threads, plan.batch),
        compositing_threads=plan.compositing_threads,
        cuda=record.device.on_gpus,
        cores=record.cluster.cpus,
        image_format=record.image_format.value,
        video=record.joins_video,
        precision=str(record.options.get("precision", "")),
        ranges=plan.ranges,
        blocks_fit=plan.blocks.capacity >= plan.blocks.count,
        deaths=len(record.deaths),
    )


@dataclass(frozen=True, slots=True)
class NotRendering:
    """What most of a command's time went into instead of rendering.

    Attributes:
        stage: ``placement`` or ``start-up``.
        seconds: how long that took.
        whole: seconds of the whole command.
    """

    stage: str
    seconds: float
    whole: float


def not_rendering(seconds: float, steady_s: float, place_s: float) -> NotRendering | None:
    """What limits a whole command more than any stage does: waiting for a place on the cluster, or starting up.

    Args:
        seconds: command start to exit.
        steady_s: first dispatch to last file.
        place_s: how long the first worker waited for its place on the cluster.
    """
    if place_s >= LONG_PLACE and place_s >= seconds / 4:
        return NotRendering("placement", place_s, seconds)
    return NotRendering("start-up", seconds - steady_s, seconds) if steady_s < seconds / 2 else None


def limiting_stage(stats: Sequence[StageStats], compositing_threads: int) -> tuple[str, float]:
    """The stage that limits, or ``waiting``, and the part of the time that tells it.

    One stage after the other, that is the one with the largest share of the workers' time. Where stages run beside each
    other it is the one whose threads were busy for the largest part of the run: of the stages that share threads, the
    longest stands for all of them. ``waiting`` limits if all threads were idle for more than half of the run.

    Args:
        stats: `jobs.run.statistics.stage_stats` of the run, not empty.
        compositing_threads: of each worker, beside its network; 0: one stage after the other.
    """
    if not compositing_threads:
        top = max(stats, key=lambda stat: stat.share)
        return top.stage, top.share
    shares = {stat.stage: stat.share for stat in stats if stat.stage != "waiting"}
    shared = {stage: share for stage, share in shares.items() if stage in POST_PROCESSING}
    busy = {stage: share for stage, share in shares.items() if stage not in POST_PROCESSING}
    if shared:
        busy[max(shared, key=lambda stage: shared[stage])] = sum(shared.values()) / compositing_threads
    stage = max(busy, key=lambda stage: busy[stage], default="waiting")
    part = busy.get(stage, 0.0)
    return (stage, part) if part >= 0.5 else ("waiting", 1 - part)


def limit(stats: Sequence[StageStats], facts: AdviceFacts, besides: NotRendering | None = None) -> Limit:
    """Names what limits, and says what to try: `besides`, then the stage that `limiting_stage` finds.

    Args:
        stats: `jobs.run.statistics.stage_stats` of the run.
        facts: what else advice depends on.
        besides: what took longer than rendering, where that is known.
    """
    if not stats:
        return Limit("", "Nothing was rendered.", "", "")
    if besides is None:
        return _stage_limit(stats, facts)
    time = f"{seconds(besides.seconds)} of {seconds(besides.whole)}"
    if besides.stage == "placement":
        sentence = f"Placement limits: the first worker waited for {time} for room on the cluster."
        advice = f"Free some {'GPUs' if facts.cuda else 'CPUs'} on the cluster, or add nodes."
    else:
        sentence = f"Start-up limits: {time} were not rendering."
        advice = "Longer runs come closer to fps_steady."
    rest = _stage_limit(stats, facts)
    # Workers of a short run have nothing to do at its ends, whatever their number.
    if rest.stage == "waiting" and facts.blocks_fit and not facts.deaths:
        return Limit(besides.stage, sentence, advice, "")
    return Limit(besides.stage, f"{sentence} While rendering: {rest.sentence}", f"{advice} {rest.advice}", rest.bound)


def _stage_limit(stats: Sequence[StageStats], facts: AdviceFacts) -> Limit:
    stage, part = limiting_stage(stats, facts.compositing_threads)
    if facts.compositing_threads and stage != "waiting":
        sentence = f"{NAMES[stage]} limits: its threads were busy for {part:.0%} of the time."
        return Limit(stage, sentence, _advice(stage, facts), "")
    if stage == "waiting":
        sentence = f"Waiting limits: for {part:.0%} of the time workers had nothing to do."
    else:
        sentence = f"{NAMES[stage]} limits: {part:.0%} of the workers' time."
    return Limit(stage, sentence, _advice(stage, facts), _bound(stage, part))


def _bound(stage: str, part: float) -> str:
    """Without a stage the rest of the workers' time remains: the run cannot end sooner than after that."""
    if part > 0.95:
        return ""
    free = "Without any waiting" if stage == "waiting" else "If that cost nothing at all,"
    return f"{free} rendering would be at most {1 / (1 - part):.1f} times as fast."


def _advice(stage: str, facts: AdviceFacts) -> str:
    match stage:
        case "inference":
            return _faster_network(facts)
        case "gather" | "composite":
            return _more_hands(facts)
        case "encode":
            return _cheaper_images(facts)
        case "write":
            smaller = " With --format jpg files are smaller, with some loss." if facts.image_format == "png" else ""
            return f"Try a faster disk under --out.{smaller}"
        case "video":
            files = "" if facts.image_format == "none" else " Where the frame files are enough, leave --video out."
            return f"Workers encode the video's segments in parallel. {_more_hands(facts)}{files}"
        case _:
            return _less_waiting(facts)


def _faster_network(facts: AdviceFacts) -> str:
    if facts.cuda:
        half = ", or --precision fp16 where its error is small enough" if facts.precision == "fp32" else ""
        return f"Try a --batch above {facts.layout.batch}{half}. Beyond that only faster or more GPUs help."
    if facts.layout.workers * facts.layout.threads < facts.cores:
        return _more_hands(facts)
    return (
        f"All {facts.cores:g} cores that Ray offered compute: only faster or more of them help, or a GPU"
        " (--device cuda)."
    )


def _more_hands(facts: AdviceFacts) -> str:
    if facts.cuda:
        return "This runs on the CPU beside the GPU: try a smaller --gpus-per-worker, so that more workers share it."
    if facts.layout.workers * facts.layout.threads < facts.cores:
        used = f"{facts.layout.workers} {'worker' if facts.layout.workers == 1 else 'workers'}"
        used += f" with {facts.layout.threads} threads each" if facts.layout.threads > 1 else ""
        return f"Ray offered {facts.cores:g} cores for {used}: try more --workers."
    return f"All {facts.cores:g} cores that Ray offered are taken: more cores, or more machines, help."


def _cheaper_images(facts: AdviceFacts) -> str:
    cheaper = {
        "png": "Try --format jpg: it is cheaper to make, with some loss.",
        "webp": "Try --format jpg: it is cheaper to make.",
    }.get(facts.image_format, _more_hands(facts))
    instead = "" if facts.video else " --video"
    return f"{cheaper} Where a video is enough, leave the files out: --format none{instead}."


def _less_waiting(facts: AdviceFacts) -> str:
    if facts.deaths:
        return "Workers died, and their frames were rendered again: run.json says why."
    if not facts.blocks_fit:
        return (
            "The object store cannot hold all backgrounds at once, so workers wait for blocks: give it more memory"
            " (ray start --object-store-memory)."
        )
    if facts.ranges < 2 * facts.layout.workers:
        return (
            f"There were only {facts.ranges} ranges for {facts.layout.workers} workers: fewer workers would do as well,"
            " a longer clip would use them."
        )
    return "They wait for backgrounds, or have nothing left to do: fewer workers would do as well."
