"""`--verbose` and `--log-file` show each call to AWS, and no secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.stub import Stubber

from snapkeep.cli import common
from snapkeep.cli.call_log import LOGGER, start_log
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import WrongUse
from support.lineages import REGION

SECRET, TOKEN, VALUE = "wJalrXUtnFEMIsecret", "FwoGZXIvYXdzTOKEN", "password in a document"


@pytest.fixture(autouse=True)
def _session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    common._session.cache_clear()
    yield
    common._session.cache_clear()
    LOGGER.handlers.clear()
    LOGGER.setLevel(logging.NOTSET)


def test_calls_are_logged_without_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "calls.log"
    start_log(verbose=True, file=file)
    client = AwsSettings(REGION, "").client("ssm", REGION)
    with Stubber(client) as stubber:
        stubber.add_response("put_parameter", {"Version": 1})
        client.put_parameter(Name="/snapkeep/policy", Value=VALUE)
        stubber.add_client_error("put_parameter", "AccessDeniedException", f"{VALUE} is not allowed", http_status_code=400)
        with pytest.raises(ClientError):
            client.put_parameter(Name="/snapkeep/policy", Value=VALUE)
    first, second = file.read_text(encoding="utf-8").splitlines()
    assert f"{REGION} ssm PutParameter(Name, Value): 200, attempt 1, request id " in first
    assert "400, attempt 1, request id not given, AccessDeniedException, " in second
    assert capsys.readouterr().err.splitlines() == [first, second]
    assert not any(text in first + second for text in (SECRET, TOKEN, VALUE, "AKIAEXAMPLE"))


def test_a_call_without_an_answer_is_logged_without_the_proxys_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:9")
    monkeypatch.setattr(common, "FIRST_READ_SECONDS", 0.2)
    start_log(verbose=False, file=tmp_path / "calls.log")
    with pytest.raises(BotoCoreError):
        AwsSettings(REGION, "", read_only=True).client("ec2", REGION).describe_volumes()
    (line,) = (tmp_path / "calls.log").read_text(encoding="utf-8").splitlines()
    assert f"{REGION} DescribeVolumes(): no answer, ProxyConnectionError, " in line
    assert not any(text in line for text in ("hunter2", SECRET, TOKEN))


def test_without_the_options_nothing_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    start_log(verbose=False, file=None)
    client = AwsSettings(REGION, "").client("ssm", REGION)
    with Stubber(client) as stubber:
        stubber.add_response("get_parameter", {"Parameter": {}})
        client.get_parameter(Name="/snapkeep/policy")
    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"no/calls\.log: No such file or directory"):
        start_log(verbose=False, file=tmp_path / "no" / "calls.log")
