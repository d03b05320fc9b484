"""Wrong input: one line that names it and the right form, exit status 2, and nothing begun."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snapkeep.cli.application import make_application
from snapkeep.cli.common import forget_sessions

REGION = ("--region", "us-east-1")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    forget_sessions()  # other tests have credentials
    for name in (
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("- 1\n", encoding="utf-8")
    (tmp_path / "open.yaml").write_text("a: [1\n", encoding="utf-8")
    (tmp_path / "world.yaml").write_text("version: 1\nvolumes:\n  - {size: x}\n", encoding="utf-8")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    yield
    forget_sessions()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan",), "no region: give --region or set AWS_REGION"),
        (("plan", *REGION), "no AWS credentials found: set AWS_PROFILE, run `aws configure`, or give --profile"),
        (("vault", "list", *REGION), "no AWS credentials found"),
        (("simulate", "--from-account"), "no AWS credentials found"),
        (("plan", *REGION, "--endpoint-url", "127.0.0.1:4566"), "--endpoint-url (or AWS_ENDPOINT_URL) is a URL such as"),
        (("plan", "--region", "us east"), "a region has a name such as us-east-1"),
        (("status", "--region", "germany"), "--region germany is not a region; a region has a name such as us-east-1"),
        (("deploy", *REGION, "--dr-region", "ohio"), "--dr-region ohio is not a region"),
        (("plan", *REGION, "--policy", "none.yaml"), "'--policy': file 'none.yaml' does not exist"),
        (("explain", "vol-1", *REGION), "not a snapshot id such as snap-0123456789abcdef0"),
        (("deploy", *REGION, "--tag", "Team"), "--tag Team: write KEY=VALUE"),
        (("deploy", *REGION, "--parameter", "Retention"), "--parameter Retention: write NAME=VALUE"),
        (("simulate", "--world", "list.yaml"), "list.yaml: a world is an object"),
        (("simulate", "--world", "open.yaml"), "open.yaml: not readable at line 2, column 1"),
        (("simulate", "--world", "binary.yaml"), "binary.yaml: is not text in UTF-8"),
        (("simulate", "--world", "world.yaml"), "volumes[0].size: is not known here"),
        (("simulate", "--region", "us-east-2"), "--region us-east-2 is where the stack's default parameters copy to"),
        (("local", "up", "--world", "list.yaml"), "list.yaml: a world is an object"),
        (("local", "up", "--state", "list.yaml/state"), "list.yaml/state: cannot be written: Not a directory"),
    ],
)
def test_wrong_use_is_refused_first(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(make_application(), arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(make_application(), ("local", "up", "--port", str(port)))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"snapkeep: port {port} of 127.0.0.1: Address already in use: give another with --port")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(make_application(), ("package", "--folder", str(tmp_path / "list.yaml" / "functions")))
    assert result.exit_code == 1
    assert f"snapkeep: {tmp_path / 'list.yaml'}: File exists" in result.stderr
