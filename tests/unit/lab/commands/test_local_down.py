"""`snapkeep local down` stops only the server that is named."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from snapkeep.cli.errors import WrongUse
from snapkeep.lab.commands.local import local_app
from snapkeep.lab.embedded_aws import Server
from snapkeep.lab.embedded_aws.launch import local_servers
from snapkeep.lab.embedded_aws.launch.local_servers import ServerStatus


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports that `down` requests to stop; 0 stands for all. Two servers run."""
    requests: list[int] = []
    running = [ServerStatus(Server(f"http://127.0.0.1:{port}", port, 1, "secret"), 0.0, {}) for port in (4711, 4712)]

    def down(port: int) -> list[Server]:
        requests.append(port)
        return [status.server for status in running if port in (0, status.server.port)]

    monkeypatch.setattr(local_servers, "statuses", lambda: running)
    monkeypatch.setattr(local_servers, "down", down)
    return requests


def test_down_stops_no_server_until_one_is_named(stopped: list[int]) -> None:
    refused = CliRunner().invoke(local_app, ["down"]).exception
    assert isinstance(refused, WrongUse)
    assert str(refused).startswith("2 are running: http://127.0.0.1:4711, http://127.0.0.1:4712: ")
    assert stopped == []


def test_one_is_stopped_by_its_port_and_all_by_all(stopped: list[int]) -> None:
    assert CliRunner().invoke(local_app, ["down", "--port", "4712"]).output == "Stopped http://127.0.0.1:4712.\n"
    assert CliRunner().invoke(local_app, ["down", "--all"]).output.count("Stopped") == 2
    assert stopped == [4712, 0]


def test_a_port_and_all_contradict_each_other(stopped: list[int]) -> None:
    assert isinstance(CliRunner().invoke(local_app, ["down", "--all", "--port", "4711"]).exception, WrongUse)
    assert stopped == []
