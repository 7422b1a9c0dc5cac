"""Reading clips: one reader per input form, each of which finds, counts and checks but does not decode."""

from jobs.clip.backgrounds import clock_warnings, rate_warning
from jobs.clip.binary import read_windows
from jobs.clip.features import read_features
from jobs.clip.look import describe
from jobs.clip.parsing import read_parsing
from jobs.clip.reader import read_clip
from jobs.clip.video import check_video

__all__ = [
    "check_video",
    "clock_warnings",
    "describe",
    "rate_warning",
    "read_clip",
    "read_features",
    "read_parsing",
    "read_windows",
]
