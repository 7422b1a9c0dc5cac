"""The page and the command: every figure is there, every kind of run gives one, and nothing in a file can act on it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_run import BEGAN, DIED, NODE, one_range, opening, record, timing, with_a_death, write_run
from numpy.typing import NDArray
from page_reader import Reader

import jobs.__main__
import jobs.report
from actors.core.errors import InputError
from jobs.report.write import write_report

CSS = Path(jobs.report.__file__).parent / "page.css"


def page_of(run: Path) -> Reader:
    path = Path(write_report(str(run)))
    assert path == run / "report.html"
    return Reader(path.read_text(encoding="utf-8"))


def test_a_finished_run_has_every_figure(tmp_path: Path) -> None:
    said = record(60, deaths=[DIED], retried=[[50, 60]], split=[[50, 60]], blocks_lost=2, cache_bytes=42 << 20)
    page = page_of(write_run(tmp_path / "clips" / "walker", with_a_death(), said))
    for promised in (
        "clips/walker",
        "complete",
        "60 of 60",
        "fps_steady 15.0 first range given out to last file, 4.00 s",
        "fps_total 5.00 command start to exit, 12.0 s",
        "2 on CPU batch 1, 1 thread each",
        "jpg 120 KiB, 2.00 KiB a frame",
        "Start-up limits: 8.00 s of 12.0 s were not rendering. While rendering: Waiting limits: for 51% of the time",
        # Two workers for four seconds: 60 frames of 40 ms are 30 % of that; the replacement is no third worker.
        "Workers died",
        "worker 0 30 frames, busy 53% of the time; process 100 died between 1.35 and 3.00 s",
        "worker 1 30 frames",
        "encode 30% 40.00 40.00 40.00",
        "inference 15% 20.00 20.00 20.00",
        "starting or joining Ray 3.00 s 25%",
        "rendering: first range given out to last file 4.00 s 33%",
        "the slowest session took 0.12 s, the slowest warm-up 0.06 s, loading backgrounds 1.50 s, summed over tasks",
        "Only 33% of it was rendering",
        "loaded 42.0 MiB 2.00 times the clip",
        "Ranges given out again 50:60",
        "Ranges cut in two after killing twice 50:60",
        "Blocks of backgrounds that were lost 2",
        "The actor died unexpectedly",
        "workers on render-1",
        "1 node, 2 CPUs, 0 GPUs",
        "python 3.11.7",
        "sha256 7dcef4547d2a3afe",
        "the clip's own video runs at 30 fps",
        "restart yes",
        "1.02 median, 1.02 at most (frame 0, the network's edge); 99 in 100 frames stay below 1.02",
        "Faces were pasted with hard edges.",
    ):
        assert promised in page.text, (promised, page.text)
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawings) == 6  # two lanes, the curve, the seam, two bars of shares
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)
    assert [tag for tag, attributes in page.tags].count("g") == 6  # a bar for each range
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [picture["alt"] for picture in pictures][:2] == ["Output frame 0", "Output frame 8"]
    assert len(pictures) == 8


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", with_a_death(), record(60))
    text = Path(write_report(str(run))).read_text(encoding="utf-8")
    page = Reader(text)
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form", "video", "audio"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "srcset", "xlink:href", "action", "data", "poster"}:
                assert value is not None
                assert value.startswith("data:")
    assert "@import" not in text
    assert "url(" not in text
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "script-src" not in policy


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", with_a_death(), record(60, deaths=[DIED]))
    first = Path(write_report(str(run))).read_bytes()
    assert Path(write_report(str(run))).read_bytes() == first


EVIL = (
    "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(2)><b a='{{ 7*191 }}' \x00\x1b[31m\u202e\n"
)


def test_whatever_files_say_is_text(tmp_path: Path) -> None:
    """Every text of the record, and every text of the table, is hostile at once."""

    def spoil(value: Any, path: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            kept = {"options", "hardware", "versions"}
            found = {name: spoil(part, (*path, name)) for name, part in value.items()}
            return {**found, EVIL: EVIL} if path and path[0] in kept else found
        if isinstance(value, list):
            return [spoil(part, (*path, i)) for i, part in enumerate(value)]
        # Only these two are words with a meaning.
        return EVIL if isinstance(value, str) and path not in {("options", "format"), ("version",)} else value

    said = record(20, deaths=[DIED], retried=[[1, 2]], failures=[{"frame": 3, "reason": "x"}], reason="stopped")
    said["status"] = "stopped"
    said["workers_ready"][0]["notes"] = ["x"]
    said["workers_ready"][0]["device"] = "x"
    spoilt = spoil(said)
    assert spoilt["options"]["clip"] == EVIL
    rows = [timing(i, BEGAN + i, node=EVIL.replace("\x00", ""), range_id=EVIL, device=EVIL) for i in range(20)]
    # A second node, so that nodes are named.
    rows.append(timing(20, BEGAN + 3, node="other"))
    run = write_run(tmp_path / "<img src=x onerror=alert(3)>", rows, spoilt)
    page = page_of(run)
    assert not [tag for tag, _ in page.tags if tag in {"script", "b"}]
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:image/jpeg;base64,")
    assert page.text.count("<script>alert(1)</script>") > 20
    assert "<img src=x onerror=alert(3)>" in page.text
    assert "{{ 7*191 }}" in page.text
    assert "1337" not in page.text
    # What would turn or colour the words around it is written out.
    assert page.text.count("\\x1b[31m\\u202e\\n") > 20
    assert (run / "report.html").read_text(encoding="utf-8").replace("\n", "").isprintable()


def test_a_run_without_any_frame_has_a_page(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [], opening(60)))
    for said in (
        "not finished",
        "0 of 60",
        "The record was never closed",
        "lists no frame yet",
        "Nothing was rendered.",
        "2 planned on CPU",
        "jpg nothing written yet",
        "No frame has been recorded yet.",
        "Not known: they are recorded when a run ends.",
        "python 3.11.7",
    ):
        assert said in page.text, said
    assert "svg" not in {tag for tag, _ in page.tags}
    # Not even the folder.
    shutil.rmtree(tmp_path / "run" / "timings")
    assert "0 of 60" in page_of(tmp_path / "run").text


def test_a_run_whose_driver_was_killed_has_figures_by_its_table(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", one_range(0, 20, BEGAN), opening(60)))
    assert "20 of 60" in page.text
    # 20 frames of 65 ms, one after the other.
    assert "fps 15.4 by the table of timings, over 1.30 s" in page.text
    assert "Encoding images limits: 62% of the workers' time." in page.text
    assert "fps_total" not in page.text
    assert "From start to exit" not in page.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "interrupted"}, ["interrupted", "The same command goes on"]),
        ({"status": "stopped", "reason": "no space left; make room"}, ["It ended with: no space left; make room"]),
        (
            {"status": "frames_failed", "failures": [{"frame": 17, "reason": "returned NaN"}]},
            ["frames failed", "1 failed", "frame 17 failed: returned NaN"],
        ),
        ({"status": "complete"}, ["No longer in the table of timings: 40 frames"]),
        ({"status": "something new"}, ["something new"]),
    ],
)
def test_how_a_run_ended_is_said_first(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    page = page_of(write_run(tmp_path / "run", one_range(0, 20, BEGAN), record(60, **changes)))
    assert "20 of 60" in page.text
    for word in words:
        assert word in page.text, word


def test_what_earlier_commands_rendered_is_left_out_of_the_figures(tmp_path: Path) -> None:
    rows = [*one_range(0, 40, BEGAN - 9000, encode_ms=9000.0), *one_range(40, 20, BEGAN)]
    page = page_of(write_run(tmp_path / "run", rows, record(60)))
    assert "60 of 60 20 rendered by the last command" in page.text
    assert "Rendered by earlier commands: 40 frames" in page.text
    assert "9,000" not in page.text


def test_a_command_that_found_everything_done_shows_the_earlier_figures(tmp_path: Path) -> None:
    said = record(60, started_at=BEGAN + 9000)
    said["totals"] |= {"rendered": 0, "fps_steady": 0.0, "fps_total": 0.0, "steady_s": 0.0}
    page = page_of(write_run(tmp_path / "run", with_a_death(), said))
    assert "The last command rendered nothing: all it asked for was there." in page.text
    assert "newest 60 frames" in page.text
    assert "fps 16.4 by the table of timings" in page.text
    assert "From start to exit" not in page.text


def test_a_run_of_the_network_alone_has_no_pictures(tmp_path: Path) -> None:
    said = record(60)
    said["options"] |= {"composite": False, "format": "png"}
    said["workers_ready"] = said["workers_ready"][:1]
    said["totals"] |= {"steady_s": 1.3}
    rows = one_range(0, 60, BEGAN, encode_ms=0.0, write_ms=0.0, composite_ms=0.0, bytes=0, checksum="")
    page = page_of(write_run(tmp_path / "run", rows, said, pictures=False))
    assert "timings only no frame files" in page.text
    assert "This run has no frame files and no video, so there is nothing to show." in page.text
    assert "The network limits" in page.text
    # What nobody did is no stage.
    assert "encode" not in page.text.partition("Environment")[0]


def test_stages_beside_each_other_are_explained(tmp_path: Path) -> None:
    said = record(60)
    said["device"] |= {"provider": "CUDAExecutionProvider"}
    said["plan"] |= {"compositing_threads": 4, "batch": 8}
    said["workers_ready"] = [{**said["workers_ready"][0], "device": "NVIDIA H200"}]
    said["totals"] |= {"steady_s": 1.2, "fps_steady": 50.0}
    rows = [timing(i, BEGAN + 0.02 * i, range_id=f"{i // 10}", batch_id=i % 10) for i in range(60)]
    page = page_of(write_run(tmp_path / "run", rows, said))
    assert "1 on CUDA NVIDIA H200, batch 8, 1 thread each" in page.text
    assert "Stages run beside each other here" in page.text
    assert "The network limits: its threads were busy for 100% of the time." in page.text


def test_a_face_encoder_that_ran_ahead_is_told(tmp_path: Path) -> None:
    said = record(60)
    assert "face encoder" not in page_of(write_run(tmp_path / "before", with_a_death(), said)).text
    said["plan"]["faces"] = True
    page = page_of(write_run(tmp_path / "run", with_a_death(), said))
    assert "face encoder run once per background what it makes is held with the background" in page.text


def test_ten_thousand_frames_and_many_workers_stay_small(tmp_path: Path) -> None:
    rows = [
        row for r in range(500) for row in one_range(20 * r, 20, BEGAN + (r // 100) * 2.0, worker=r % 100, pid=r % 100)
    ]
    run = write_run(tmp_path / "run", rows, record(10_000), pictures=False, per_file=1000)
    page = page_of(run)
    assert (run / "report.html").stat().st_size < 1_000_000
    assert "10,000 of 10,000" in page.text
    assert "100 on CPU" in page.text
    assert "36 more workers are not drawn" in page.text
    assert "8 of 8 pictures cannot be read" in page.text


def test_a_record_of_hundreds_of_faults_is_cut_short(tmp_path: Path) -> None:
    said = record(60, deaths=[{"worker": i, "pid": None, "reason": "gone"} for i in range(400)])
    text = page_of(write_run(tmp_path / "run", with_a_death(), said)).text
    assert "worker 49: gone" in text
    assert "worker 50: gone" not in text
    assert "and 350 more" in text


# --- the command


def test_the_command_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", with_a_death(), record(60))
    assert jobs.__main__.run(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"report: {run}/report.html\n"
    # A run with its page is still a run: nothing else is touched.
    assert {path.name for path in run.iterdir()} == {"run.json", "timings", "frames", "report.html"}


def spoil_record(run: Path, **changes: Any) -> None:  # noqa: ANN401
    said = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**said, **changes}))


def spoil_timings(run: Path) -> None:
    shutil.rmtree(run / "timings")
    write_run(run / "other", [timing(0, float("nan"))], record(1))
    (run / "other" / "timings").rename(run / "timings")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: (run / "run.json").unlink(), "holds no run of mouthpiece"),
        (shutil.rmtree, "there is no such folder"),
        (lambda run: (run / "run.json").write_text("{"), "not valid JSON"),
        (lambda run: (run / "run.json").write_text("[]"), "is not a run of this version"),
        (lambda run: spoil_record(run, totals={"frames": 3}), "totals.rendered is missing"),
        (lambda run: spoil_record(run, started_at=1e300), "started_at"),
        (lambda run: spoil_record(run, started_at=float("nan")), "NaN is not a number"),
        (lambda run: spoil_record(run, plan={**record(60)["plan"], "background_bytes": 1.5}), "plan.background_bytes"),
        (lambda run: spoil_record(run, cluster={**record(60)["cluster"], "cpus": float("inf")}), "Infinity is not"),
        (lambda run: spoil_record(run, options={"format": "gif"}), "options.format: there is no gif"),
        (spoil_timings, "holds times that are no times"),
        (lambda run: (run / "report.html").mkdir(), "cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], words: str
) -> None:
    run = write_run(tmp_path / "run", with_a_death(), record(60))
    spoil(run)
    assert jobs.__main__.run(["report", str(run)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        write_report(str(tmp_path / "file"))


def test_a_torn_fragment_does_not_hide_the_others(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", with_a_death(), record(60), per_file=20)
    torn = sorted((run / "timings").iterdir())[1]
    torn.write_bytes(torn.read_bytes()[:200])
    assert "40 of 60" in page_of(run).text


# --- colours: an independent reading of the style sheet


def colours(theme: int) -> dict[str, NDArray[np.float64]]:
    """The custom properties of the light (0) or dark (1) theme, as linear RGB in [0, 1]."""
    block = re.findall(r":root \{(.*?)\}", CSS.read_text(encoding="utf-8"), re.DOTALL)[theme]
    found = {}
    for name, value in re.findall(r"--([a-z]+): #([0-9a-f]{6});", block):
        s = np.array([int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        found[name] = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return found


def contrast(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """WCAG 2.2: the ratio of relative luminances."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    bright, dark = sorted((float(a @ weights), float(b @ weights)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


STAGES = ("gather", "inference", "composite", "encode", "write", "video")


@pytest.mark.parametrize("theme", [0, 1])
def test_text_and_stages_have_contrast(theme: int) -> None:
    found = colours(theme)
    for text, ground in itertools.product(("text", "quiet", "link", "good", "bad"), ("page", "card")):
        assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    for stage in STAGES:
        assert contrast(found[stage], found["page"]) >= 3, stage
    assert contrast(found["hatch"], found["page"]) >= 3


# What is left of colours without one kind of cones: Machado, Oliveira and Fernandes 2009, severity 1.
SIGHT = {
    "full": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ottosson 2020: a space in which distances are seen about alike."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    mixed = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(np.cbrt(np.clip(rgb, 0, 1) @ cones.T) @ mixed.T)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("sight", SIGHT)
def test_stages_are_told_apart_by_every_eye(theme: int, sight: str) -> None:
    found = colours(theme)
    seen = {name: oklab(np.array(SIGHT[sight]) @ found[name]) for name in (*STAGES, "waiting")}
    # A just noticeable difference is about 0.02.
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 0.1, (one, other)


def test_nodes_of_the_record_are_counted(tmp_path: Path) -> None:
    said = record(60)
    said["cluster"] |= {"nodes": [NODE, "b"], "cpus": 96.0, "gpus": 4.0}
    assert "2 nodes, 96 CPUs, 4 GPUs" in page_of(write_run(tmp_path / "run", with_a_death(), said)).text
