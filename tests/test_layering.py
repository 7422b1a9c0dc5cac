"""Who may import whom, read from the source with ast, so that nothing hides behind an import that does not happen.

The table is the architecture: whoever needs another arrow changes it here, and says why in the commit.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from actors.core.choices import Device

ROOT = Path(__file__).parents[1]
# Whatever runs code while it reads data, under any of its names.
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
# What the pure values and arithmetic of actors/core must work without.
SHELL_LIBRARIES = {"ray", "onnxruntime", "av"}
# Programs that the benchmark measures this one against; they share nothing with it.
OTHER_PROGRAMS = "jobs/benchmark/baselines/"


# What each package, or module that stands beside the packages, imports of the program. Layers stand top down: an entry
# names only what stands below it, so there is no circle.
ALLOWED = {
    "jobs.__main__": {"actors.core", "jobs.clock", "jobs.console", "jobs.inputs", "jobs.process"},
    "jobs.commands": {
        *{"jobs.report", "jobs.diagnostics", "jobs.doctor", "jobs.benchmark", "jobs.run", "jobs.tune", "jobs.demo"},
        *{"jobs.batch", "jobs.faces", "jobs.planning", "jobs.cluster", "jobs.inputs", "jobs.audio", "jobs.clip"},
        *{"actors.kinds", "actors.network", "actors.files", "actors.core", "jobs.console", "jobs.progress_meter"},
    },
    "jobs.report": {
        *{"jobs.number_format", "jobs.run", "jobs.faces", "jobs.inputs", "jobs.clip", "actors.files", "actors.core"},
    },
    "jobs.doctor": {
        *{"jobs.benchmark", "jobs.diagnostics", "jobs.faces", "jobs.planning", "jobs.cluster", "jobs.inputs"},
        *{"jobs.process", "jobs.console", "actors", "actors.rendering", "actors.network", "actors.files"},
        "actors.core",
    },
    "jobs.diagnostics": {
        *{"jobs", "jobs.models", "jobs.batch", "jobs.run", "jobs.scheduling", "jobs.planning", "jobs.cluster"},
        *{"jobs.inputs", "jobs.process", "jobs.console"},
        *{"actors", "actors.rendering", "actors.kinds", "actors.files", "actors.core"},
    },
    "jobs.benchmark": {
        *{"jobs.demo", "jobs.models", "jobs.planning", "jobs.cluster", "jobs.inputs", "jobs.clip", "jobs.console"},
        *{"actors.rendering", "actors.network", "actors.kinds", "actors.files", "actors.core"},
    },
    "jobs.tune": {
        *{"jobs.scheduling", "jobs.planning", "jobs.cluster", "jobs.inputs", "jobs.audio", "jobs.process"},
        *{"jobs.console", "actors", "actors.rendering", "actors.files", "actors.core"},
    },
    "jobs.demo": {
        "jobs.run",
        "jobs.audio",
        "jobs.models",
        "jobs.process",
        "actors.kinds",
        "actors.files",
        "actors.core",
    },
    "jobs.batch": {
        *{"jobs", "jobs.run", "jobs.scheduling", "jobs.planning", "jobs.cluster", "jobs.inputs", "jobs.audio"},
        *{"jobs.process", "jobs.console", "jobs.progress_meter", "jobs.number_format"},
        *{"actors", "actors.rendering", "actors.files", "actors.core"},
    },
    "jobs.run": {
        "jobs.faces",
        *{"jobs.scheduling", "jobs.planning", "jobs.cluster", "jobs.inputs", "jobs.audio", "jobs.clip", "jobs.process"},
        *{"jobs.console", "jobs.progress_meter", "jobs.number_format"},
        *{"actors", "actors.rendering", "actors.files", "actors.core"},
    },
    "jobs.faces": {
        *{"jobs.scheduling", "jobs.cluster", "jobs.clip", "jobs.console", "jobs.progress_meter"},
        *{"jobs.number_format", "actors.faces", "actors.rendering", "actors.network", "actors.files", "actors.core"},
    },
    "jobs.scheduling": {"jobs.cluster", "jobs.process", "actors.rendering", "actors.core"},
    "jobs.planning": {"jobs.cluster", "jobs.inputs", "actors.rendering", "actors.files", "actors.core"},
    "jobs.cluster": {
        *{"jobs.inputs", "jobs.process", "jobs.console", "actors", "actors.network", "actors.files", "actors.core"},
    },
    "jobs.inputs": {
        *{"jobs.audio", "jobs.clip", "actors.rendering", "actors.network", "actors.kinds", "actors.files"},
        "actors.core",
    },
    "jobs.audio": {
        *{"jobs.clip", "jobs.process", "actors.network", "actors.kinds", "actors.files", "actors.core"},
    },
    "jobs.clip": {"actors.rendering", "actors.files", "actors.core"},
    "jobs.models": {"actors.network", "actors.core"},
    "jobs.process": {"actors.core"},
    "jobs.progress_meter": {"jobs.console"},
    "jobs.console": {"actors.core"},
    "jobs.number_format": set(),
    "jobs.clock": set(),
    "jobs": {"actors"},
    "actors.faces": {"actors.rendering", "actors.files", "actors.core"},
    "actors.rendering": {"actors.network", "actors.files", "actors.core"},
    "actors.network": {"actors.kinds", "actors.files", "actors.core"},
    "actors.kinds": {"actors.core"},
    "actors.files": {"actors", "actors.core"},
    "actors.core": set(),
    "actors": set(),
}


@cache
def sources(*folders: str) -> dict[str, ast.Module]:
    """The parsed files below the folders, by their path relative to the repository."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): parsed(path) for path in paths}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All that `ast.walk` finds, which takes as long as parsing."""
    return tuple(ast.walk(tree))


def imported_modules(tree: ast.AST, path: str = "module.py") -> Iterator[str]:
    """Every dotted name that an import can mean: `from a import b` is both `a` and `a.b`.

    Imports inside of functions and under TYPE_CHECKING count, and so does import_module("a") with a literal name.
    """
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # One dot is the folder of the file itself, every further dot the folder above.
            folder = path.split("/")[: -node.level] if node.level else []
            base = ".".join([*folder, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and called_name(node) in {"import_module", "__import__"}:
            yield from (str(word.value) for word in node.args[:1] if isinstance(word, ast.Constant))


def called_name(call: ast.Call) -> str:
    """The last part of what is called: `wait` for ray.wait(...)."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def calls_ray_wait(tree: ast.AST) -> bool:
    """Whether ray.wait is called, also where ray or wait go by another name."""
    rays, waits = {"ray"}, set()
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            rays |= {alias.asname for alias in node.names if alias.name == "ray" and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "ray":
            waits |= {alias.asname or alias.name for alias in node.names if alias.name == "wait"}
    for node in nodes_of(tree):
        if isinstance(node, ast.Call):
            target = ast.unparse(node.func)
            if target in waits or target in {f"{ray}.wait" for ray in rays}:
                return True
    return False


def offences(trees: dict[str, ast.Module], forbidden: set[str]) -> set[str]:
    """`file: module` for every import whose top-level package is forbidden."""
    return {
        f"{path}: {module}"
        for path, tree in trees.items()
        for module in imported_modules(tree, path)
        if module.split(".")[0] in forbidden
    }


@cache
def owner(module: str) -> str:
    """The package that a module belongs to, as the table names it: itself where it stands beside the packages."""
    parts = module.split(".")[:2]
    place = ROOT.joinpath(*parts)
    return ".".join(parts) if place.is_dir() or place.with_suffix(".py").is_file() else parts[0]


def test_imports_are_those_of_the_table() -> None:
    trees = sources("actors", "jobs")
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in trees}
    found: dict[str, set[str]] = {owner(module): set() for module in modules}
    for path, tree in trees.items():
        own = owner(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        for node in nodes_of(tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            named = imported_modules(node, path)
            # `from a import b` means `a.b` where that is a module, and `a` alone where it is not.
            meant = set(named) & modules
            found[own] |= {owner(name) for name in meant if not any(other.startswith(f"{name}.") for other in meant)}
        found[own].discard(own)
    assert found == ALLOWED


def test_the_table_stands_top_down() -> None:
    layers = list(ALLOWED)
    assert [
        (above, below) for above in layers for below in ALLOWED[above] if layers.index(below) < layers.index(above)
    ] == []


def test_every_package_says_in_one_line_what_lives_there() -> None:
    packages = {path: ast.get_docstring(tree) for path, tree in sources("actors", "jobs").items() if "__init__" in path}
    assert [path for path, text in packages.items() if not text or not text.split("\n")[0].endswith((".", ":"))] == []


def test_both_packages_are_looked_at() -> None:
    assert {"actors/core/errors.py", "actors/files/storage.py"} <= set(sources("actors"))
    assert "jobs/__init__.py" in sources("jobs")


def test_actors_never_import_jobs() -> None:
    assert offences(sources("actors"), {"jobs"}) == set()


def test_deploy_runs_where_the_program_is_not_installed() -> None:
    trees = sources("deploy")
    assert "deploy/gpu_pack.py" in trees
    assert offences(trees, {"actors", "jobs"}) == set()
    # What a host without packages runs comes alone.
    unpacker = {module.split(".")[0] for module in imported_modules(trees["deploy/gpu_unpack.py"])}
    assert unpacker <= sys.stdlib_module_names


def test_core_needs_no_engine() -> None:
    core = sources("actors/core")
    assert offences(core, SHELL_LIBRARIES) == set()
    # cv2 is welcome for its arithmetic, but not to read media.
    readers = {
        path
        for path, tree in core.items()
        for node in nodes_of(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "VideoCapture")
        or (isinstance(node, ast.alias) and node.name == "VideoCapture")
    }
    assert readers == set()


def test_core_imports_nothing_of_the_shell_around_it() -> None:
    # Otherwise Ray and ONNX Runtime would come back in through the modules beside core.
    outside = {
        f"{path}: {module}"
        for path, tree in sources("actors/core").items()
        for module in imported_modules(tree, path)
        if module.startswith("actors.") and not f"{module}.".startswith("actors.core.")
    }
    assert outside == set()


def test_nothing_imports_an_unpickler() -> None:
    found = {
        f"{path}: {module}"
        for path, tree in sources("actors", "jobs").items()
        for module in imported_modules(tree, path)
        if UNPICKLERS & set(module.split("."))
    }
    assert found == set()


def test_nothing_allows_numpy_to_unpickle() -> None:
    found = {
        f"{path}:{node.value.lineno}"
        for path, tree in sources("actors", "jobs").items()
        for node in nodes_of(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    }
    assert found == set()


def test_two_modules_wait_for_ray() -> None:
    waiting = {path for path, tree in sources("actors", "jobs").items() if calls_ray_wait(tree)}
    assert waiting == {"jobs/scheduling/pending_calls.py", "jobs/faces/search.py"}


@pytest.mark.parametrize("command", ["inspect", "kinds", "verify", "report", "features"])
def test_a_command_that_needs_no_cluster_does_not_wait_for_ray(command: str) -> None:
    """Importing it takes longer than all else that such a command imports."""
    trees = sources("actors", "jobs")
    paths = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in trees}
    waiting, seen = ["jobs.__main__", f"jobs.commands.{command}"], set[str]()
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += imported_at_once(trees[paths[module]]) if module in paths else ()
    assert not {module for module in seen if module.split(".")[0] == "ray"}


def imported_at_once(tree: ast.Module) -> set[str]:
    """What an import of this module imports: imports inside of functions and under TYPE_CHECKING do not count."""
    at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {module for node in at_once for module in imported_modules(node)}
    return modules | {module.rpartition(".")[0] for module in modules}


def test_one_module_talks_to_onnx_runtime() -> None:
    trees = {path: tree for path, tree in sources("actors", "jobs").items() if not path.startswith(OTHER_PROGRAMS)}
    assert {found.split(":")[0] for found in offences(trees, {"onnxruntime"})} == {"actors/network/runtime.py"}


def test_provider_names_stand_in_one_module() -> None:
    found = {
        path
        for path, tree in sources("actors", "jobs").items()
        for node in nodes_of(tree)
        if isinstance(node, ast.Constant) and node.value in {device.provider for device in Device}
    }
    assert {path for path in found if not path.startswith(OTHER_PROGRAMS)} == {"actors/core/choices.py"}


def test_no_module_imports_private_names_of_another() -> None:
    found = {
        f"{path}: {alias.name}"
        for path, tree in sources("actors", "jobs").items()
        for node in nodes_of(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"actors", "jobs", ""}
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    }
    assert found == set()


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import jobs.planning.block_plan", "jobs.planning.block_plan"),
        ("def f():\n    from jobs import plan", "jobs.plan"),
        ("if TYPE_CHECKING:\n    import jobs as j", "jobs"),
        ("from ..session import open", "actors.session"),
        ("from .. import session", "actors.session"),
        ("from . import pixels", "actors.core.pixels"),
        ("importlib.import_module('jobs.planning.block_plan')", "jobs.planning.block_plan"),
        ("__import__('pickle')", "pickle"),
    ],
)
def test_every_way_to_import_is_seen(source: str, module: str) -> None:
    assert module in set(imported_modules(ast.parse(source), "actors/core/clip.py"))


@pytest.mark.parametrize(
    ("source", "waits"),
    [
        ("import ray\nray.wait(refs)", True),
        ("import ray as r\ndone, _ = r.wait(refs, num_returns=1)", True),
        ("from ray import wait\nwait(refs)", True),
        ("from ray import wait as pause\npause(refs)", True),
        ("import ray\nray.get(refs)", False),
        ("process.wait()", False),
        ("wait(futures)", False),
    ],
)
def test_every_way_to_wait_is_seen(source: str, waits: bool) -> None:
    assert calls_ray_wait(ast.parse(source)) is waits
