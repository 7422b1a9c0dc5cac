"""Ids of the clips of a batch: each names a folder there."""

from __future__ import annotations

import re
import unicodedata

# What stands beside the clips' folders: the batch's table and page, and the faces that were found for several clips.
PARQUET, JSON_LINES, PAGE = "clips.parquet", "clips.jsonl", "report.html"
RESERVED = frozenset({PARQUET, JSON_LINES, PAGE, "faces"})

# Bytes of a file's name on common file systems, less what a temporary name adds.
LONGEST_ID = 200

NO_NAME = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")


def folded(name: str) -> str:
    """What stays the same where file systems take different spellings for one."""
    return unicodedata.normalize("NFC", name).casefold()


def can_be_folder(name: str) -> bool:
    """Whether a name can be that of a folder, seen, on any file system, and in no folder but its own."""
    odd = NO_NAME.search(name) or name != name.strip() or name.startswith(".")
    return bool(name) and not odd and len(name.encode()) <= LONGEST_ID


def is_clip_id(name: str) -> bool:
    """Whether a name can be a clip's: that of a folder, and of nothing else in the batch."""
    return can_be_folder(name) and folded(name) not in RESERVED
