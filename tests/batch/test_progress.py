"""What a person is told while a batch goes on."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable

import pytest
from rich.console import Console

from jobs.batch.progress import (
    DRAW_SECONDS,
    MOST_OPEN,
    PACE_SECONDS,
    BatchProgress,
    BatchView,
    Lengths,
    OpenFrames,
    Pace,
    drawn,
    seconds_left,
    status_line,
)
from jobs.progress_meter import LINE_SECONDS
from jobs.run.clip_table import ClipStatus

COUNTS = Counter({ClipStatus.DONE: 11, ClipStatus.FAILED: 1, ClipStatus.WAITING: 28})
OPEN: list[OpenFrames] = [("monday", 30, 50), ("friday", 0, 50)]


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def view(**changes: object) -> BatchView:
    whole: dict[str, object] = {
        "total": 40,
        "counts": COUNTS,
        "frames": 1234,
        "fps": 23.456,
        "left": 65.0,
        "open": OPEN,
        "workers_ready": 1,
        "workers": 2,
        "note": "",
    }
    return BatchView(**{**whole, **changes})  # type: ignore[arg-type]


def text(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def log() -> Console:
    return Console(file=io.StringIO(), width=80)


def screen(width: int = 80) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=25, force_terminal=True, legacy_windows=False, color_system=None
    )


def test_a_line_says_all_of_it() -> None:
    assert status_line(view()) == (
        "clips 12/40, 1 failed, 1,234 frames, 23.5 fps, 1 min 05 s left, 1/2 workers, open: monday 30/50, friday 0/50"
    )
    bare = view(counts=Counter({ClipStatus.WAITING: 40}), frames=0, fps=0.0, left=None, open=[], note="starting")
    assert status_line(bare) == "clips 0/40, 0 frames, 1/2 workers, starting"
    stopped = Counter({ClipStatus.STOPPED: 2, ClipStatus.DONE: 1})
    assert status_line(view(counts=stopped, open=[])).startswith("clips 3/40, 2 stopped, ")


def test_many_open_clips_are_counted() -> None:
    many = [(f"c{number}", 0, 9) for number in range(MOST_OPEN + 3)]
    line = status_line(view(open=many))
    assert line.endswith(f"c{MOST_OPEN - 1} 0/9, 3 more")
    console = log()
    console.print(drawn(view(open=many)))
    assert "3 more are open" in text(console)
    assert f"c{MOST_OPEN} " not in text(console)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_shows_a_bar_for_each_clip(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn(view(open=[*OPEN, ("[red]\x1b[2J" + "x" * 300, 1, 2)], note="poison\nframe")))
    lines = text(console).splitlines()
    assert len(lines) == 1 + 4 + 1
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("clips 12/40, 1 failed, 1,234 frames")
    assert lines[1].startswith("all clips ")
    assert lines[1].rstrip().endswith("12/40")
    assert lines[2].startswith("monday ")
    assert lines[2].rstrip().endswith("30/50")
    assert lines[4].startswith("[red]\\x1b[2Jxxx")
    assert lines[5].startswith("poison\\nframe")


def test_pace_is_that_of_late() -> None:
    pace = Pace()
    # Frames of earlier commands do not count.
    assert pace.fps(0.0, 1000) == 0.0
    assert pace.fps(0.1, 1001) == pytest.approx(10.0)
    assert pace.fps(10.0, 1100) == pytest.approx(10.0)
    for second in range(11, 100):
        found = pace.fps(float(second), 1100 + (second - 10) * 2)
    assert found == pytest.approx(2.0)
    assert pace.fps(100.0 + 2 * PACE_SECONDS, 1278) < 0.1
    assert pace.fps(101.0 + 2 * PACE_SECONDS, 5) == 0.0


def test_a_clip_counts_once_in_the_mean_length() -> None:
    lengths = Lengths()
    assert lengths.mean([]) is None
    assert lengths.mean([("a", 0, 10)]) == 10
    assert lengths.mean([("a", 5, 10), ("b", 0, 30)]) == 20
    assert lengths.mean([("b", 0, 30)]) == 20
    assert lengths.mean([]) == 20


@pytest.mark.parametrize(
    ("waiting", "clips", "length", "fps", "expected"),
    [
        (28, OPEN, 50.0, 10.0, (70 + 26 * 50) / 10),
        (2, OPEN, 50.0, 10.0, 7.0),
        (1, OPEN, None, 10.0, 7.0),
        (0, [], None, 10.0, 0.0),
        (28, OPEN, 50.0, 0.0, None),
        (28, [], None, 10.0, None),
    ],
)
def test_what_is_left_is_known_by_open_clips(
    waiting: int, clips: list[OpenFrames], length: float | None, fps: float, expected: float | None
) -> None:
    assert seconds_left(waiting, clips, length, fps) == expected


def updates(progress: BatchProgress, clock: Clock) -> Callable[[float, int], None]:
    def update(now: float, frames: int) -> None:
        clock.now = now
        progress.update(COUNTS, frames, OPEN, 2, 2, "")

    return update


def test_a_log_has_a_line_every_few_seconds_and_failures_at_once() -> None:
    console, clock = log(), Clock()
    with BatchProgress(console, 40, clock) as progress:
        update = updates(progress, clock)
        update(100.0, 0)
        update(100.0 + LINE_SECONDS - 0.1, 40)
        assert text(console) == ""
        progress.failed("tuesday", "tuesday.wav: no such file; check the path\x1b[2J")
        assert text(console) == "failed: tuesday: tuesday.wav: no such file; check the path\\x1b[2J\n"
        update(100.0 + LINE_SECONDS, 50)
        update(100.0 + LINE_SECONDS + 0.1, 51)
    last = text(console).splitlines()[1:]
    assert len(last) == 1
    assert last[0].startswith("clips 12/40, 1 failed, 50 frames, 10.0 fps, 2 min 17 s left, 2/2 workers, open: monday")


def test_a_terminal_has_the_first_at_once_and_the_last_in_the_end() -> None:
    console, clock = screen(), Clock()
    with BatchProgress(console, 40, clock) as progress:
        update = updates(progress, clock)
        update(100.0, 0)
        assert "clips 12/40, 1 failed, 0 frames" in text(console)
        update(100.0 + DRAW_SECONDS / 2, 77)
        assert "77 frames" not in text(console)
        update(100.0 + DRAW_SECONDS, 78)
        assert "78 frames" in text(console)
        progress.failed("tuesday", "no such file")
        assert "failed: tuesday: no such file" in text(console)
        update(100.1 + DRAW_SECONDS, 99)
    assert "99 frames" in text(console)


def test_nothing_to_show_is_no_error() -> None:
    for console in (log(), screen()):
        with BatchProgress(console, 0, Clock()):
            pass
