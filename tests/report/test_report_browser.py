"""The page in a real browser: what a reader sees, at the width of a desk and of a hand, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import CHROMIUM, Browser
from faces_folder import prepared
from found_faces import followed, steady, together
from made_run import BEGAN, DIED, one_range, opening, record, timing, with_a_death, write_run
from numpy.typing import NDArray

from actors.files import storage
from jobs.report.batch_page import write_batch_report
from jobs.report.write import remake_faces_page, write_report
from jobs.run.clip_table import ClipState, ClipStatus, ClipTable

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: the page is not looked at")

DESK, HAND = 1280, 390
EVIL = "\"'><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">"

# How far the page and anything in it reach to the right, in CSS pixels.
REACH = """Math.max(document.documentElement.scrollWidth,
    ...[...document.querySelectorAll('main *')].map(e => Math.ceil(e.getBoundingClientRect().right)))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    hostile = record(60, deaths=[DIED], warnings=[EVIL], reason=EVIL, status=EVIL)
    hostile["options"] |= {"clip": EVIL, EVIL: EVIL, "long": "/a" + "very-long-name" * 40}
    hostile["model"] |= {"path": "m" * 300}
    many = [
        timing(100 * worker + i, BEGAN + 0.1 * i, worker=worker, pid=worker, range_id=f"{i:03d}", node=f"{worker % 4}n")
        for worker in range(40)
        for i in range(100)
    ]
    runs = {
        "death": (with_a_death(), record(60, deaths=[DIED], retried=[[50, 60]])),
        "hostile": (with_a_death(), hostile),
        "many": (many, record(4000)),
        "empty": ([], opening(60)),
        "lone": (one_range(0, 1, BEGAN), record(1)),
    }
    written = {
        name: Path(write_report(str(write_run(folder / name, rows, said, pictures=name != "many"))))
        for name, (rows, said) in runs.items()
    }
    clips = [ClipState(name, ClipStatus.DONE, 60, 1, 12.0, 5.0, BEGAN, BEGAN + 9.0, EVIL) for name in runs]
    clips.append(ClipState(f"long-{'name' * 40}", ClipStatus.FAILED, error="reason" * 80))
    ClipTable(storage.locate(str(folder)), clips).write()
    return {**written, "batch": Path(write_batch_report(str(folder)))}


@pytest.mark.parametrize("name", ["death", "hostile", "many", "empty", "lone", "batch"])
@pytest.mark.parametrize("width", [DESK, HAND])
def test_every_page_fits_and_is_quiet(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    browser.open(pages[name], width)
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate(REACH) <= width
    assert browser.complaints() == []
    assert browser.requests() == []
    # Opened details are a part of the page, and must fit too.
    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert browser.evaluate(REACH) <= width


def test_a_batch_leads_to_its_clips(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["batch"], DESK)
    links = browser.evaluate("[...document.querySelectorAll('#clips a')].map(a => a.href)")
    assert links == [pages[name].as_uri() for name in ("death", "hostile", "many", "empty", "lone")]
    bars = "[...document.querySelectorAll('#timeline g.bar')]"
    assert browser.evaluate(f"{bars}.length") > 2
    assert browser.evaluate(f"{bars}.every(g => g.getBBox().width > 0 && g.getBBox().height > 99)")
    # On a phone each figure of the table has its name beside it.
    browser.open(pages["batch"], HAND)
    named = "getComputedStyle(document.querySelector('#clips td[data-name=frames]'), '::after').content"
    assert "frames" in browser.evaluate(named)


def test_a_reader_sees_the_run(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["death"], DESK)
    text = browser.text()
    for said in (
        "60 of 60",
        "fps_steady",
        "Waiting limits: for 51% of the time workers had nothing to do.",
        "process 100 died between 1.35 and 3.00 s",
        "Frames per second over 3.65 s: 16.4 on average",
        "unet-328-ave",
    ):
        assert said in text, said
    bars = "[...document.querySelectorAll('#timeline g.bar')]"
    assert browser.evaluate(f"{bars}.length") == 6
    # Each of them has been painted with some width and the height of its lane.
    assert browser.evaluate(f"{bars}.every(g => g.getBBox().width > 1 && g.getBBox().height > 99)")
    loaded = "[...document.querySelectorAll('#frames img')].filter(i => i.complete && i.naturalWidth == 160).length"
    assert browser.evaluate(loaded) == 8


def test_marks_stand_where_their_time_is(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["death"], DESK)
    left, width = browser.evaluate(
        "(t => [t.left, t.width])(document.querySelector('#timeline .track').getBoundingClientRect())"
    )
    place = "(r => [r.left, r.right])(document.querySelector('{}').getBoundingClientRect())"
    # The first worker died after 1.35 of 3.65 s, its replacement began at 3.00 s.
    death = browser.evaluate(place.format(".died-span"))
    assert death == pytest.approx([left + width * 1.35 / 3.65, left + width * 3.0 / 3.65], abs=2)
    last = browser.evaluate(place.format("#timeline .lane:first-child g.bar:last-of-type rect"))
    assert last == pytest.approx([left + width * 3.0 / 3.65, left + width], abs=2)
    # Timeline and curve share their axis.
    ticks = "[...document.querySelectorAll('#{} .axis span')].map(s => [s.innerText, s.style.left])"
    assert browser.evaluate(ticks.format("timeline")) == browser.evaluate(ticks.format("rate"))
    assert browser.evaluate(ticks.format("rate"))[1] == ["1 s", "27.4%"]


def test_screen_readers_hear_the_drawings(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["death"], HAND)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    by_role: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            by_role.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    images = by_role["image"]
    assert "Output frame 0" in images
    assert any(name.startswith("worker 0: 30 frames, busy 53% of the time; process 100 died") for name in images)
    assert any(name.startswith("Frames per second over 3.65 s") for name in images)
    # On a phone the table of stages is laid out as a grid, and stays a table.
    assert len(by_role["table"]) == 3
    assert {"stage", "share", "p50", "p99"} <= set(by_role["columnheader"])
    assert "encode" in by_role["rowheader"]
    assert by_role["heading"][0].endswith("/death")


def test_hostile_words_are_shown_and_do_nothing(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"], DESK)
    assert browser.evaluate("document.title") != "owned"
    assert browser.evaluate("document.querySelectorAll('script, main img:not([src^=\"data:\"])').length") == 0
    assert "<script>document.title='owned'</script>" in browser.text()


def picture(browser: Browser) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize(
    ("dark", "page", "encode"), [(False, "ffffff", "ea6a1a"), (True, "16191d", "e0702c")], ids=["light", "dark"]
)
def test_the_reader_s_theme_is_followed(
    browser: Browser, pages: dict[str, Path], dark: bool, page: str, encode: str
) -> None:
    browser.open(pages["death"], DESK, dark=dark)
    image = picture(browser)
    assert image.shape[1] == DESK
    assert image.shape[0] > 1500  # the whole page, not only what a window shows

    def share(colour: str) -> float:
        bgr = [int(colour[i : i + 2], 16) for i in (4, 2, 0)]
        return float((np.abs(image.astype(int) - bgr).max(axis=2) <= 2).mean())

    assert share(page) > 0.4
    # Encoding takes 40 of 65 ms in every bar.
    assert share(encode) > 0.005


@pytest.mark.parametrize("width", [DESK, HAND])
def test_the_page_about_faces_fits_and_shows_them(browser: Browser, tmp_path: Path, width: int) -> None:
    faces = together(
        steady([*range(12), *range(24, 30), *range(33, 45)], 60, 20, 50),
        steady(range(50, 60), 40, 10, 70),
        steady(range(5, 16), 5, 30, 20),
    )
    dubbed = followed(faces, 60, size=(160, 90), cuts=[45])
    folder = prepared(tmp_path / "faces", dubbed, (160, 90), name="a-very-long-name" * 10 + ".mp4")
    browser.open(Path(remake_faces_page(folder)), width)
    assert browser.evaluate(REACH) <= width
    assert browser.complaints() == []
    assert browser.requests() == []
    text = browser.text()
    for said in ("17 frames without the face", "frames 5 to 15", "12 to 23", "nobody is found", "face 3 goes"):
        assert said in text, said
    loaded = "[...document.querySelectorAll('main img')].filter(i => i.complete && i.naturalWidth == 240).length"
    assert browser.evaluate(loaded) == 6
    # Each interpolated frame has its place on the strip: three of sixty.
    strip = "document.querySelector('#time .state svg').getBoundingClientRect()"
    drawn = "document.querySelector('#time .state .interpolated').getBoundingClientRect()"
    assert browser.evaluate(f"{drawn}.width / {strip}.width") == pytest.approx(3 / 60, abs=0.002)
    assert browser.evaluate(f"({drawn}.left - {strip}.left) / {strip}.width") == pytest.approx(30 / 60, abs=0.002)
