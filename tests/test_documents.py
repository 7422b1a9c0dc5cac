"""The documents against the repository: links lead somewhere, names exist, tables and options are today's."""

import importlib
import re
from pathlib import Path

import options_page
import pytest

from actors.kinds import all_kinds

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# The log tells of modules that are gone.
TODAYS = [page for page in PAGES if page.name != "performance-log.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
DOTTED = re.compile(r"`((?:actors|jobs|deploy)(?:\.[A-Za-z_]\w*)+)(?:\(\))?`")
FILE = re.compile(r"`((?:actors|jobs|deploy|tests|docs|notebooks)/[\w./-]*)`")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, by GitHub's rule: lower case, spaces to dashes, other signs left out."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def stands(dotted: str) -> bool:
    """Whether the dotted name is a module, or something that a module holds."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:end])
        if place.is_dir() or place.with_suffix(".py").is_file():
            found: object = importlib.import_module(".".join(parts[:end]))
            for name in parts[end:]:
                fields = getattr(found, "__dataclass_fields__", {})
                if not hasattr(found, name) and name not in fields:
                    return False
                found = getattr(found, name, None)
            return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(prose(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", TODAYS, ids=named)
def test_every_name_of_the_program_exists(page: Path) -> None:
    text = prose(page)
    assert [name for name in DOTTED.findall(text) if not stands(name)] == []
    # A path with my_ is the reader's own.
    assert [path for path in FILE.findall(text) if "my_" not in path and not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("dotted", "there"),
    [
        ("actors.core", True),
        ("actors.core.kind", True),
        ("actors.core.kind.ModelKind", True),
        ("actors.core.kind.ModelKind.crop", True),
        ("actors.core.kinds", False),
        ("actors.core.kind.Kind", False),
        ("actors.core.kind.ModelKind.cropped", False),
        ("jobs.nothing.here", False),
    ],
)
def test_names_that_exist_are_told_from_others(dotted: str, *, there: bool) -> None:
    assert stands(dotted) is there


def test_the_options_are_todays() -> None:
    written = options_page.PAGE.read_text(encoding="utf-8")
    assert written == options_page.page(), f"docs/options.md is stale; make it anew with {options_page.MAKE}"


def test_the_table_of_kinds_has_every_kind() -> None:
    table = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `((?:\w+-)+\w+)` \|", table, flags=re.MULTILINE)
    assert sorted(listed) == sorted(kind.name for kind in all_kinds())


def test_the_architecture_names_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = [path.parent for root in ("actors", "jobs") for path in ROOT.glob(f"{root}/*/__init__.py")]
    assert [folder.name for folder in packages if f"| `{folder.parent.name}.{folder.name}` |" not in text] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
