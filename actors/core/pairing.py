"""Which background belongs to an output frame: the rules by which backgrounds repeat, and other frame rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from actors.core.choices import Loop
from actors.core.ranges import FrameRange

# Seconds. Containers round times to their clock, of which the slowest in use ticks in milliseconds: a frame that is due
# as soon as this is on show.
_CLOCK = Fraction(1, 1000)


def background_index(loop: Loop, frame: int, backgrounds: int) -> int:
    """The background that output frame ``frame`` is drawn on.

    ``bounce`` is the order of SyncTalk_2D's own inference: it steps before it draws, so the first background shown
    is number 1 and each end is shown once per turn (period ``2 (n - 1)``). ``mirror`` shows the ends twice (period
    ``2 n``), ``wrap`` jumps back to the start, ``once`` stops at the end.

    Args:
        loop: the rule.
        frame: output frame, from 0.
        backgrounds: how many backgrounds there are, at least 1.

    Raises:
        IndexError: ``once`` and the frame lies past the last background.
    """
    match loop:
        case Loop.BOUNCE:
            if backgrounds == 1:
                return 0
            step = (frame + 1) % (2 * (backgrounds - 1))
            return step if step < backgrounds else 2 * (backgrounds - 1) - step
        case Loop.MIRROR:
            step = frame % (2 * backgrounds)
            return step if step < backgrounds else 2 * backgrounds - 1 - step
        case Loop.WRAP:
            return frame % backgrounds
        case Loop.ONCE:
            if frame >= backgrounds:
                raise IndexError(frame)
            return frame


def retimed(timestamps: Sequence[int], time_base: Fraction, fps: int, delay: Fraction = Fraction()) -> tuple[int, ...]:
    """A video at another frame rate: the frame that is on show at the time of each output frame, once through.

    Time counts from the beginning of the file's earliest stream; until its picture begins the first frame is on show,
    as long as that is half an output frame at least. The last is on show for as long as the others on average.

    Args:
        timestamps: when each frame is first shown, in units of the time base; none earlier than the one before, at
            least one.
        time_base: seconds that a unit is.
        fps: output frames per second.
        delay: seconds from the beginning of the file's earliest stream to the first frame.

    Returns:
        Frame numbers, ascending, at least one. Some stand twice where the video has fewer frames a second, some are
        left out where it has more.
    """
    first, count = timestamps[0], len(timestamps)
    # Containers seldom begin sound and picture at the very same moment.
    late = delay if delay * fps >= Fraction(1, 2) else Fraction()
    length = late + (timestamps[-1] - first) * time_base * Fraction(count, max(1, count - 1))
    shown: list[int] = []
    frame = 0
    while (time := Fraction(len(shown), fps) + _CLOCK) < length:
        last = first + (time - late) // time_base
        while frame + 1 < count and timestamps[frame + 1] <= last:
            frame += 1
        shown.append(frame)
    return tuple(shown) or (0,)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which background each output frame is drawn on.

    Attributes:
        loop: the rule; ``once`` also stands for pairing by index.
        backgrounds: how many backgrounds there are.
        retimed: the backgrounds in the order in which they are on show at the output's frame rate, from `retimed`: the
            rule goes through these; ``None`` goes through all of them by index.
    """

    loop: Loop
    backgrounds: int
    retimed: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Output frames until the rule has gone through once."""
        return self.backgrounds if self.retimed is None else len(self.retimed)

    @property
    def step(self) -> int:
        """The most that backgrounds of neighbouring output frames lie apart where the rule does not jump back."""
        if self.retimed is None:
            return 1
        return max((after - before for before, after in pairwise(self.retimed)), default=1) or 1

    def backgrounds_of(self, frames: FrameRange) -> tuple[int, ...]:
        """The background of each frame of a range."""
        places = (background_index(self.loop, frame, len(self)) for frame in frames)
        return tuple(places if self.retimed is None else (self.retimed[place] for place in places))

    def around(self, frames: FrameRange, reach: int, audio_frames: int) -> FrameRange:
        """The output frames for which the network must run to deliver some of them.

        Args:
            frames: what is to be delivered.
            reach: how many frames before and after a frame count.
            audio_frames: how many output frames there is sound for.
        """
        return frames.widened(reach, min(len(self), audio_frames) if self.loop is Loop.ONCE else audio_frames)
