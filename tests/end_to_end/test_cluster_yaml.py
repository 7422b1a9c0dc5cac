"""``cluster.yaml``: against the schema in Ray's wheel, against Ray's own preparation, and against the build."""

from __future__ import annotations

import copy
import json
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
SHARED = "/mnt/mouthpiece"
DEFAULT_SHARE = 0.25
COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)


@pytest.fixture
def config() -> dict[str, Any]:
    """The file as it stands, before Ray fills in anything."""
    loaded = yaml.safe_load(TEXT)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """The file as Ray uses it: its defaults filled in, its command lists joined."""
    result = prepare_config(copy.deepcopy(config))
    assert isinstance(result, dict)
    return result


def node_types(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return iter(config["available_node_types"].items())


def head_of(config: dict[str, Any]) -> dict[str, Any]:
    head: dict[str, Any] = config["available_node_types"][config["head_node_type"]]
    return head


def workers_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [kind for name, kind in node_types(config) if name != config["head_node_type"]]


def all_commands(config: dict[str, Any], node: dict[str, Any], *, head: bool) -> list[str]:
    """What Ray runs on a node, in order; a node type's own lists replace the common ones."""
    role = "head" if head else "worker"
    setup = config[f"{role}_setup_commands"]
    commands: list[str] = [
        *node.get("initialization_commands", config["initialization_commands"]),
        *(setup if head else node.get("worker_setup_commands", setup)),
        *config[f"{role}_start_ray_commands"],
    ]
    return commands


def test_it_fits_the_schema_in_the_wheel(config: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config | {"min_workers": 1}, schema)


def test_ray_prepares_and_accepts_it(prepared: dict[str, Any]) -> None:
    validate_config(prepared)


def test_the_parts_it_is_made_of(config: dict[str, Any]) -> None:
    assert set(config) == {
        "cluster_name",
        "max_workers",
        "idle_timeout_minutes",
        "provider",
        "auth",
        "head_node_type",
        "available_node_types",
        "file_mounts",
        "rsync_exclude",
        *COMMANDS,
    }
    assert config["provider"]["type"] == "aws"
    assert "docker" not in config


def test_the_head_does_not_render(prepared: dict[str, Any]) -> None:
    head = head_of(prepared)
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert head["max_workers"] == 0


def test_workers_have_a_gpu_and_come_only_when_asked_for(prepared: dict[str, Any]) -> None:
    workers = workers_of(prepared)
    assert workers
    for worker in workers:
        assert worker["min_workers"] == 0
        assert 1 <= worker["max_workers"] <= prepared["max_workers"]
        assert worker["resources"]["GPU"] == 1
        # At the default share of a GPU every worker that fits on the GPU also has a core.
        assert worker["resources"]["CPU"] >= worker["resources"]["GPU"] / DEFAULT_SHARE


@pytest.mark.parametrize("head", [True, False])
def test_every_node_mounts_the_shared_folder_before_ray_starts(prepared: dict[str, Any], *, head: bool) -> None:
    for node in [head_of(prepared)] if head else workers_of(prepared):
        commands = all_commands(prepared, node, head=head)
        mounts = [place for place, command in enumerate(commands) if f"amazonaws.com:/ {SHARED}" in command]
        starts = [place for place, command in enumerate(commands) if "ray start" in command]
        assert len(mounts) == len(starts) == 1
        assert mounts[0] < starts[0]
        assert "mount -t nfs4" in commands[mounts[0]]


def test_the_file_system_lies_in_the_region_of_the_nodes(config: dict[str, Any]) -> None:
    region = config["provider"]["region"]
    assert f".efs.{region}.amazonaws.com:/" in " ".join(config["initialization_commands"])
    assert all(zone.startswith(region) for zone in config["provider"]["availability_zone"].split(","))


def test_what_the_user_must_set_is_marked(config: dict[str, Any]) -> None:
    for _, kind in node_types(config):
        assert kind["node_config"]["ImageId"] == "ami-SET-ME"
        assert kind["node_config"]["SecurityGroupIds"] == ["sg-SET-ME"]
    assert any("fs-SET-ME." in command for command in config["initialization_commands"])
    marks = {word.strip(".,:;") for word in TEXT.replace("[", " ").replace("]", " ").split() if "-SET-ME" in word}
    assert {mark.partition(".")[0] for mark in marks} == {"ami-SET-ME", "sg-SET-ME", "fs-SET-ME"}


@pytest.mark.parametrize("head", [True, False])
def test_every_node_installs_the_pinned_package_and_workers_cuda(prepared: dict[str, Any], *, head: bool) -> None:
    for node in [head_of(prepared)] if head else workers_of(prepared):
        installs = [command for command in all_commands(prepared, node, head=head) if "mouthpiece" in command]
        pinned = [shlex.split(command) for command in installs if "pip install -c" in command]
        assert all(command[2:4] == ["-c", "~/mouthpiece/constraints.txt"] for command in pinned)
        extras = [command[4].endswith("mouthpiece[cuda]") for command in pinned]
        assert extras == ([False] if head else [False, True])


def test_the_mounted_files_are_here_and_are_what_the_build_needs(config: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = [pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    assert "cuda" in project["project"]["optional-dependencies"]
    mounts: dict[str, str] = config["file_mounts"]
    here = {local for local in mounts.values() if not local.startswith("~")}
    modules = [f"{name}.py" for name in project["tool"]["setuptools"]["py-modules"]]
    documents = [project["project"]["readme"], *project["project"]["license-files"]]
    assert here == {"pyproject.toml", "constraints.txt", *documents, *modules, *packages}
    assert all((ROOT / local).exists() for local in here)
    assert {remote: local for remote, local in mounts.items() if local in here} == {
        f"~/mouthpiece/{local}": local for local in here
    }


def test_all_nodes_ask_for_the_same_token(config: dict[str, Any]) -> None:
    assert ("~/.ray/auth_token", "~/.ray/auth_token") in config["file_mounts"].items()
    for role in ("head", "worker"):
        starts = [command for command in config[f"{role}_start_ray_commands"] if "ray start" in command]
        assert len(starts) == 1
        assert "RAY_AUTH_MODE=token;" in starts[0]
        assert '"$HOME/venv/bin:$PATH"' in starts[0]
