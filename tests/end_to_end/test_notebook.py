"""The notebook as it is committed, and what it shows of a run that was really rendered."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import nbclient
import nbformat
import numpy as np
import pyarrow.parquet as pq
import pytest
import small
from small import Result, SmallClip

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "timings.ipynb"


def cells(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def test_it_is_committed_without_results_or_traces_of_a_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    nbformat.validate(json.loads(text))
    assert [cell["outputs"] for cell in cells("code")] == [[]] * len(cells("code"))
    assert {cell["execution_count"] for cell in cells("code")} == {None}
    assert not re.search(r"/(root|home|work|tmp|Users)/|https?://|[A-Z]:\\\\", text)
    # Where the run lies is asked first, and nowhere else.
    first, *others = ["".join(cell["source"]) for cell in cells("code")]
    assert 'RUN = os.environ.get("MOUTHPIECE_RUN", ' in first
    assert not any("MOUTHPIECE_RUN" in source for source in others)
    # It is for pandas: of ours it needs what reads the record, and nothing else.
    imports = [line for source in others for line in re.findall(r"^.*\b(?:jobs|actors)\b.*$", source, re.MULTILINE)]
    assert imports == [
        "from actors.files.run_folder import RunFolder",
        "from jobs.run.record_file import find_run",
    ]


def test_it_draws_a_run(
    tmp_path: Path,
    clip: SmallClip,
    model: Path,
    on_cluster: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    result = on_cluster("composite", clip.folder, "--model", model, "--out", run, "--device", "cpu", "--workers", 2)
    assert result.code == 0, result.output
    monkeypatch.setenv("MOUTHPIECE_RUN", str(run))
    # Whatever Jupyter and Matplotlib want to keep, they keep here.
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    shown = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    # A question that the notebook was not made for, asked at its end.
    shown.cells.append(
        nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
            "print(ranges['frames'].sum(), len(ranges), len(lanes), counted.sum(), len(slowest), sep=',')"
        )
    )
    nbclient.NotebookClient(
        shown, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    outputs = [output for cell in shown.cells for output in cell.get("outputs", [])]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "display_data", "stream"}
    # Nor does it use what pandas or Matplotlib will take away.
    assert not any("Warning" in output.get("text", "") for output in outputs)
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    for picture in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10
    table = pq.read_table(run / "timings")
    workers = len(set(table["worker"].to_pylist()))
    ranges = len(set(table["range_id"].to_pylist()))
    (answer,) = [
        output["text"] for output in outputs if output["output_type"] == "stream" and output["name"] == "stdout"
    ]
    assert answer.strip() == f"45,{ranges},{workers},45,10"
    texts = [output["data"]["text/plain"] for output in outputs if output["output_type"] == "execute_result"]
    (stages,) = [text for text in texts if "p99" in text]
    for name in ("gather", "inference", "composite", "encode", "write"):
        times = np.array(table[f"{name}_ms"].to_pylist())
        said = [float(figure) for figure in re.findall(rf"{name} +([\d.]+) +([\d.]+) +([\d.]+)", stages)[0]]
        wanted = [times.mean(), np.percentile(times, 50), np.percentile(times, 99)]
        assert said == pytest.approx(wanted, abs=0.0051)
    # No video was made, so it is no stage.
    assert "video" not in stages


def test_its_run_is_the_demo_s_unless_told() -> None:
    """The default fits the README: `make demo` in the repository, the notebook opened in its own folder."""
    first = "".join(cells("code")[0]["source"])
    match = re.search(r'"MOUTHPIECE_RUN", "([^"]+)"', first)
    assert match is not None
    assert (NOTEBOOK.parent / match[1]).resolve() == small.ROOT / "demo-run" / "run"
