"""Writing a report down."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from jobs.benchmark.benchmark_file import Report, to_table
from jobs.benchmark.tables import markdown


def write_report(report: Report, out: Path) -> None:
    """Writes ``benchmark.json``, ``benchmark.parquet`` (once there is a trial) and ``benchmark.md`` into a folder.

    Raises:
        OSError: one cannot be written.
    """
    text = json.dumps(report.as_record(), indent=2, ensure_ascii=False)
    _replace(out / "benchmark.json", f"{text}\n".encode())
    _replace(out / "benchmark.md", markdown(report).encode())
    if report.trials:
        partial = out / ".benchmark.parquet.partial"
        pq.write_table(to_table(report.trials), partial)
        partial.replace(out / "benchmark.parquet")


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
