"""Reading clips: one reader per form. They find, count, check and decode one frame; only `check_video` decodes all."""

from jobs.clip.backgrounds import clock_warnings, needs_retiming, rate_warning
from jobs.clip.binary import read_windows
from jobs.clip.feature_file import read_features
from jobs.clip.parsing import read_parsing
from jobs.clip.reader import read_clip
from jobs.clip.video_metadata import describe
from jobs.clip.video_source import check_video

__all__ = [
    "check_video",
    "clock_warnings",
    "describe",
    "needs_retiming",
    "rate_warning",
    "read_clip",
    "read_features",
    "read_parsing",
    "read_windows",
]
