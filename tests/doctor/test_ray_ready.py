"""The token and the ports of this machine."""

from __future__ import annotations

import socket

import pytest

from jobs.doctor import ray_ready
from jobs.doctor.finding import Level
from jobs.doctor.ray_ready import check_ports, check_token, taken_ports


@pytest.mark.parametrize(
    ("environment", "mode", "level"),
    [
        ({}, None, Level.OK),
        ({}, 0o100600, Level.OK),
        ({}, 0o100644, Level.WARNING),
        ({"RAY_AUTH_MODE": "token"}, None, Level.ERROR),
        ({"RAY_AUTH_MODE": "token"}, 0o100600, Level.OK),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}, None, Level.OK),
        ({"RAY_AUTH_MODE": "Disabled"}, 0o100600, Level.WARNING),
    ],
)
def test_a_token_that_is_missing_open_or_off_is_told(
    environment: dict[str, str], mode: int | None, level: Level
) -> None:
    found = check_token(environment, "/home/me/.ray/auth_token", mode)
    assert found.level is level
    assert "secret" not in str(found)
    assert bool(found.fix) is (level is not Level.OK)


def test_ports_that_are_taken_are_named_with_the_flags_for_others() -> None:
    assert "6379, 8265, 52365 are free" in check_ports(()).text
    assert "--port=N" in check_ports({6379}).text
    assert check_ports(None).level is Level.ERROR


def test_a_port_on_which_something_listens_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(ray_ready, "PORTS", {port: "--port"})
        assert taken_ports() == {port}
    assert taken_ports() == set()
