"""The root command: fast, lazy, and clear about what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError
from typer.testing import CliRunner

from snapkeep.cli import application
from snapkeep.cli.application import LazyCommand, make_application
from snapkeep.cli.common import aws_settings, default_dr_region
from snapkeep.cli.errors import WrongUse, exit_status, one_line
from snapkeep.cli.output import print_json
from snapkeep.domain.errors import InvalidConfiguration, PlanRefused


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_imports_neither_boto3_nor_a_command_nor_the_rich_library() -> None:
    code = (
        "import sys\n"
        "from snapkeep.cli.application import make_application\n"
        "try: make_application()(['--help'], prog_name='snapkeep')\n"
        "except SystemExit: pass\n"
        "heavy = [m for m in sys.modules if m.split('.')[0] in ('boto3', 'botocore', 'yaml', 'rich', 'jinja2')]\n"
        "print('HEAVY', sorted(set(heavy)))\n"
    )
    assert run_python(code).splitlines()[-1] == "HEAVY []"


def test_every_command_has_help() -> None:
    runner = CliRunner()
    root = typer.main.get_command(make_application())
    assert isinstance(root, application.Root)
    for name in root.lazy:
        result = runner.invoke(make_application(), [name, "--help"])
        assert result.exit_code == 0, f"{name}: {result.output}"
        assert "Usage:" in result.output
        assert "<bool>" not in result.output


@pytest.mark.parametrize(
    ("command", "usage", "described"),
    [
        (("plan",), "[VOLUME]...", "VOLUME Only volumes of"),
        (("policy", "check"), "{FILE}...", "FILE Policy documents in"),
        (("policy", "show"), "[VERSION]", "VERSION Version to print"),
        (("completion",), "{SHELL}", "SHELL <bash|zsh|fish> Your shell"),
    ],
)
def test_an_argument_is_named_once_and_without_a_type_of_python(command: tuple[str, ...], usage: str, described: str) -> None:
    """The usage was `[[VOLUME]...]...`, and the type `<list[str]>`."""
    shown = CliRunner().invoke(make_application(), [*command, "--help"], env={"COLUMNS": "120"}).output
    assert f"[OPTIONS] {usage} " in shown
    assert described in " ".join(shown.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_help_fills_its_lines(columns: int) -> None:
    """Help kept the line breaks of docstrings, which fall in the middle of a terminal's lines."""
    shown = CliRunner().invoke(make_application(), ["recoverable", "--help"], env={"COLUMNS": str(columns)}).output
    lines = [line.strip() for line in shown[shown.index("It reads") : shown.index("╭")].splitlines() if line.strip()]
    assert lines[1:]
    for line, following in pairwise(lines):
        assert len(f" {line} {following.partition(' ')[0]} ") > columns


@pytest.fixture
def failing_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Exception]:
    """A command `fail` that raises what the list holds."""
    raised: list[Exception] = []
    module = tmp_path / "snapkeep_failing_command.py"
    module.write_text(
        "import typer\napp = typer.Typer()\nraised = []\n@app.command()\ndef fail() -> None:\n    raise raised[0]\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "snapkeep_failing_command", raising=False)
    monkeypatch.setattr(application, "COMMANDS", (LazyCommand("fail", "snapkeep_failing_command", "Fails."),))
    import snapkeep_failing_command  # type: ignore[import-not-found]  # noqa: PLC0415 - written above

    snapkeep_failing_command.raised = raised
    return raised


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (PlanRefused("would delete 12 of 13"), 1, "snapkeep: would delete 12 of 13"),
        (InvalidConfiguration("Retention is 0;\n1 or more is right"), 2, "snapkeep: Retention is 0; 1 or more is right"),
        (NoCredentialsError(), 2, "snapkeep: no AWS credentials found: set AWS_PROFILE, run `aws configure`, or give --profile"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "CreateStack"),
            1,
            "snapkeep: CreateStack: AccessDenied: not you (the credentials in use lack this permission)",
        ),
    ],
)
def test_a_known_error_is_one_line_and_an_exit_status(
    failing_command: list[Exception], error: Exception, status: int, line: str
) -> None:
    failing_command.append(error)
    result = CliRunner().invoke(make_application(), ["fail"])
    assert (result.exit_code, result.stderr.strip()) == (status, line)


def test_ctrl_c_is_one_line_and_status_130(failing_command: list[BaseException]) -> None:
    failing_command.append(KeyboardInterrupt())
    result = CliRunner().invoke(make_application(), ["fail"])
    assert (result.exit_code, result.stderr.strip()) == (130, "snapkeep: interrupted")


def test_a_defect_keeps_its_traceback(failing_command: list[Exception]) -> None:
    failing_command.append(ZeroDivisionError("a defect"))
    result = CliRunner().invoke(make_application(), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_unknown_command_is_wrong_use() -> None:
    result = CliRunner().invoke(make_application(), ["no-such-command"])
    assert result.exit_code == 2
    assert "No such command 'no-such-command'" in result.stderr


def test_the_dr_region_must_not_be_the_primary_region() -> None:
    with pytest.raises(WrongUse, match="--dr-region us-east-1 is the primary region too"):
        aws_settings(region="us-east-1", dr_region="us-east-1")


@pytest.mark.parametrize("region", ["us-east-2", "cn-north-1", "us-gov-west-1"])
def test_a_first_deployment_has_no_default_dr_region_here(region: str) -> None:
    """us-east-2 is in another partition than the last two, and no snapshot can be copied there."""
    with pytest.raises(WrongUse, match=f"no default for the primary region {region}; name the DR region"):
        default_dr_region(aws_settings(region=region))


def test_no_region_anywhere_is_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(WrongUse, match="no region: give --region or set AWS_REGION"):
        aws_settings()


def test_a_profile_that_does_not_exist_is_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(WrongUse, match="--profile nobody: there is no such profile"):
        aws_settings(profile="nobody", region="us-east-1").session()


def test_missing_configuration_is_wrong_use_and_defects_have_no_status() -> None:
    assert exit_status(EndpointConnectionError(endpoint_url="http://127.0.0.1:1")) == 1
    assert exit_status(NoCredentialsError()) == 2
    unreadable = ResponseParserError("no XML:\nb'<all of the answer'")
    assert (exit_status(unreadable), one_line(unreadable)) == (1, "no XML:")
    assert exit_status(KeyError("x")) is None
    assert "\n" not in one_line(PlanRefused("two\nlines"))


def test_json_has_iso_times(capsys: pytest.CaptureFixture[str]) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    print_json({"at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-02T00:00:00+00:00"}
