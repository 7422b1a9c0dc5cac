"""Where the time of a whole command went."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.number_format import seconds
from jobs.run.figures import Totals

# What a command's seconds went into, one after the other; see `jobs.run.figures.ColdStart`.
COLD = {
    "import_s": "loading its own modules",
    "read_s": "reading and checking the inputs",
    "faces_s": "finding the faces",
    "ray_s": "starting or joining Ray",
    "wait_s": "waiting for a worker and the first backgrounds",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the command's time."""

    name: str
    text: str
    seconds: str
    percent: str


def durations(totals: Totals) -> list[tuple[str, float]]:
    """The command's seconds in the order in which they passed; they add up to all of them."""
    passed = [(name.removesuffix("_s"), getattr(totals.cold, name)) for name in COLD]
    passed += [("rendering", totals.steady_s), ("finish", totals.cold.finish_s)]
    rest = totals.seconds - sum(value for _, value in passed)
    return [*passed, ("other", rest)] if rest > totals.seconds / 100 else passed


def parts(totals: Totals) -> list[Part]:
    """The same as text, with shares of the whole."""
    words = {name.removesuffix("_s"): text for name, text in COLD.items()}
    words |= {
        "rendering": "rendering: first range given out to last file",
        "finish": "finishing: video, record, summary",
        "other": "not accounted for",
    }
    return [
        Part(name, words[name], seconds(value), f"{value / totals.seconds:.0%}" if totals.seconds > 0 else "")
        for name, value in durations(totals)
    ]


def beside(totals: Totals) -> str:
    """What happened during the wait: beside each other, and so not a part of the sum."""
    cold = totals.cold
    found = {
        "the slowest session took {}": cold.session_s,
        "the slowest warm-up {}": cold.warm_s,
        "loading backgrounds {}, summed over tasks": cold.cache_s,
        "of it {} of processor time for what is done once per background": totals.prepare_s or None,
    }
    return ", ".join(words.format(seconds(value)) for words, value in found.items() if value is not None)


def mostly_start(totals: Totals) -> str:
    """What to make of a short run."""
    if totals.steady_s >= totals.seconds / 2:
        return ""
    part = totals.steady_s / totals.seconds
    return f"Only {part:.0%} of it was rendering. The rest is paid once: longer runs come closer to fps_steady."
