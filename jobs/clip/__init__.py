"""Reading clips: one reader per input form, each of which finds, counts and checks but does not decode."""

from jobs.clip.backgrounds import rate_warning
from jobs.clip.binary import read_windows
from jobs.clip.features import read_features
from jobs.clip.parsing import read_parsing
from jobs.clip.reader import read_clip

__all__ = ["rate_warning", "read_clip", "read_features", "read_parsing", "read_windows"]
