"""`snapkeep local up` and `demo`: without the extra `local`, and the commands that they name."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snapkeep.lab.commands.demo import app as demo_app
from snapkeep.lab.commands.local import local_app
from snapkeep.lab.commands.next_steps import next_steps, program
from snapkeep.lab.embedded_aws import EmbeddedAwsError
from snapkeep.lab.embedded_aws.launch.embedded_aws import REQUIRED_MODULES, check_installed


@pytest.fixture
def without_ministack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "ministack" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.usefixtures("without_ministack")
@pytest.mark.parametrize("arguments", [["up", "--port", "0"], ["up", "--detach", "--port", "0"]])
def test_up_without_the_extra_names_the_missing_packages(arguments: list[str]) -> None:
    error = CliRunner().invoke(local_app, arguments).exception
    assert isinstance(error, EmbeddedAwsError)
    assert "ministack" in str(error)
    assert "\n" not in str(error)


@pytest.mark.usefixtures("without_ministack")
def test_demo_without_the_extra_recommends_no_package_of_an_index() -> None:
    error = CliRunner().invoke(demo_app, []).exception
    assert isinstance(error, EmbeddedAwsError)
    assert "snapkeep[local]" not in str(error)


def test_the_required_modules_are_those_of_the_extra() -> None:
    check_installed()
    assert all(importlib.util.find_spec(name) for name in REQUIRED_MODULES)


def test_next_steps_name_only_commands_on_the_path() -> None:
    commands = [command for _, command in next_steps(4711, detached=True, deployed=False, find=lambda name: None)]
    assert not any(command.startswith("aws ") for command in commands)
    assert commands[-1].endswith("local down --port 4711")
    assert program(lambda name: None, ["/opt/venv/bin/snapkeep"]) == "/opt/venv/bin/snapkeep"
    assert program(lambda name: f"/usr/bin/{name}", ["/opt/venv/bin/snapkeep"]) == "snapkeep"
