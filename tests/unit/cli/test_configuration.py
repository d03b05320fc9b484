"""Settings come from options, then variables, then the file, then defaults; mistakes in the file are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from snapkeep.cli import configuration
from snapkeep.cli.application import make_application
from snapkeep.cli.common import AWS_SETTINGS, AwsSettings, with_aws_settings
from snapkeep.cli.errors import WrongUse

seen: list[AwsSettings] = []


def run(*arguments: str) -> Result:
    """Run a command that notes its settings."""
    application = typer.Typer()

    @application.command()
    @with_aws_settings
    def note(settings: AwsSettings) -> None:
        seen.append(settings)

    seen.clear()
    return CliRunner().invoke(application, arguments)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the user's configuration folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for setting in AWS_SETTINGS:
        monkeypatch.delenv(configuration.variable_of(setting), raising=False)
    configuration.read_settings.cache_clear()
    return tmp_path


def write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "snapkeep.toml").write_text(text, encoding="utf-8")


def test_an_option_beats_a_variable_and_a_variable_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'region = "eu-west-1"\ndr_region = "eu-west-2"\nname = "-file"\nprimary_stack = "mine"\n')
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    monkeypatch.setenv("SNAPKEEP_DR_REGION", "eu-west-3")
    monkeypatch.setenv("SNAPKEEP_NAME", "-variable")
    assert run("--name", "-option").exit_code == 0
    (settings,) = seen
    assert (settings.region, settings.dr_region, settings.suffix) == ("eu-west-1", "eu-west-3", "-option")
    assert settings.primary_stack == "mine"


def test_an_empty_option_beats_the_file(folder: Path) -> None:
    write(folder, 'region = "eu-west-1"\nname = "-file"\n')
    assert run("--name", "").exit_code == 0
    assert seen[0].suffix == ""


def test_the_file_of_the_working_directory_is_used_instead_of_the_users(folder: Path) -> None:
    write(folder / "config" / "snapkeep", 'region = "eu-west-1"\nname = "-user"\n')
    assert run().exit_code == 0
    assert (seen[0].region, seen[0].suffix) == ("eu-west-1", "-user")
    write(folder, 'region = "eu-west-2"\n')
    assert run().exit_code == 0
    assert (seen[0].region, seen[0].suffix) == ("eu-west-2", "")


def test_an_endpoint_from_the_file_is_named(folder: Path) -> None:
    write(folder, 'region = "eu-west-1"\nendpoint_url = "http://127.0.0.1:4566"\n')
    assert run().stderr == "endpoint_url is http://127.0.0.1:4566, from snapkeep.toml\n"
    assert run("--endpoint-url", "http://127.0.0.1:1").stderr == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('regoin = "us-east-1"', "'regoin' is not a setting; did you mean region? The settings are dr_region, dr_stack,"),
        ('[aws]\nregion = "us-east-1"', "'aws' is not a setting. The settings are dr_region,"),
        ("name = 5", 'name is a text in quotation marks, such as name = "production"'),
        ('region = "us east"', 'region = "us east" is not a region; a region has a name such as us-east-1'),
        ("region = us-east-1", "write settings as TOML, such as: region = "),
    ],
)
def test_a_mistake_in_the_file_is_named_with_a_valid_value(folder: Path, text: str, said: str) -> None:
    write(folder, text)
    result = CliRunner().invoke(make_application(), ["plan"])
    assert result.exit_code == 2
    assert result.stderr.startswith("snapkeep: snapkeep.toml: ")
    assert said in result.stderr


def test_options_for_everything_need_no_file(folder: Path) -> None:
    write(folder, "broken")
    options = [f"--{name.replace('_', '-')}={'us-east-1' if name == 'region' else ''}" for name in AWS_SETTINGS]
    assert run(*options).exit_code == 0


def test_a_mistyped_variable_is_refused_and_others_are_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SNAPKEEP_PORT", "SNAPKEEP_SERVICE_HOST", "SNAPKEEP_VERSION"):
        monkeypatch.setenv(variable, "x")
    assert run("--region", "us-east-1").exit_code == 0
    monkeypatch.setenv("SNAPKEEP_DRREGION", "eu-west-1")
    result = run("--region", "us-east-1")
    assert isinstance(result.exception, WrongUse)
    assert "SNAPKEEP_DRREGION is not a variable of Snapkeep; did you mean SNAPKEEP_DR_REGION? " in str(result.exception)
