"""``docs/options.md``, made from the commands themselves; run as a program, it writes the page."""

import sys
from pathlib import Path

import typer
from typer.core import TyperGroup, TyperOption

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "options.md"
MAKE = "python tests/support/options_page.py"

HEAD = f"""# Options

Made from `--help` by `{MAKE}`; do not edit it by hand.

Every option of `composite` may also stand in a TOML file that `--config` names, with dashes or underscores. Relative
paths in the file are seen from the file's folder. An option of the command line beats the file.
"""


def page() -> str:
    """The whole page, by the commands of this program."""
    from jobs.__main__ import COMMANDS, application

    group = typer.main.get_command(application(COMMANDS))
    assert isinstance(group, TyperGroup)
    context = typer.Context(group, info_name="mouthpiece")
    index = [f"- [`{name}`](#mouthpiece-{name})" for name in COMMANDS]
    commands = (_command(group, name, context) for name in COMMANDS)
    return "\n".join([HEAD, *index, "", *commands])


def _command(group: TyperGroup, name: str, parent: typer.Context) -> str:
    """One command's section: what it does, its arguments, and a table of options for each group of them."""
    command = group.commands[name]
    context = typer.Context(command, info_name=name, parent=parent)
    tables: dict[str, list[str]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            told, meaning = (text.replace("\\[", "[").replace("|", "\\|") for text in record)
            panel = (parameter.rich_help_panel or "Option") if isinstance(parameter, TyperOption) else "Argument"
            tables.setdefault(panel, []).append(f"| `{told}` | {meaning} |")
    parts = [f"## mouthpiece {name}\n\n{command.help}\n"]
    parts += [f"| {panel} | |\n|---|---|\n" + "\n".join(rows) + "\n" for panel, rows in tables.items()]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
