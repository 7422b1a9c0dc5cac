"""``.pre-commit-config.yaml``: local hooks alone, which run what ``make lint`` runs."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_hooks_run_what_make_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("\nlint:", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    wanted = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe]
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == wanted
    assert len(wanted) >= 3
    assert {hook["language"] for hook in hooks} == {"system"}
    # The commands look at the whole repository by themselves.
    assert not any(hook["pass_filenames"] for hook in hooks)
