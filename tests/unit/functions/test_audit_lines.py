"""Every deletion and every step of a copy leaves one line that says all that an audit asks, and no task token."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder
from snapkeep.domain.tags import format_time
from snapkeep.functions import log
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:snapkeep-protect:run-1"
CALL = {"execution": EXECUTION, "token": "AQCEAAAAKgAAAAMAAAAA-secret-of-the-run", "plan": {"delete": []}}

OF_POWERTOOLS = {"level", "location", "message", "timestamp", "service"}


@pytest.fixture(autouse=True)
def fresh_logger(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """A logger of each test's own: it writes to the stdout that it was made under."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", str(request.node.name))
    log.logger.cache_clear()
    yield
    log.logger.cache_clear()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out = capsys.readouterr().out
    assert "secret-of-the-run" not in out
    return [json.loads(line) for line in out.splitlines()]


def test_a_deletion_leaves_snapshot_origin_policy_reasons_plan_and_execution(capsys: pytest.CaptureFixture[str]) -> None:
    log.started(CALL, SimpleNamespace(aws_request_id="request-1"))
    start = datetime(2026, 11, 20, 3, tzinfo=UTC)
    reasons = ("beyond last 7", "beyond daily 14")
    order = DeletionOrder("snap-0a", "vol-0a", start, "gold", reasons, DeletionKind.SECOND_COPY)
    log.audit_deletion(order, DeletionResult("snap-0a", DeletionOutcome.IN_USE, "in use by ami-0a"), "plan-1")
    (line,) = lines(capsys)
    assert {key: value for key, value in line.items() if key not in OF_POWERTOOLS} == {
        "audit": "deletion",
        "snapshot": "snap-0a",
        "volume": "vol-0a",
        "origin_start": format_time(start),
        "policy": "gold",
        "kind": "second_copy",
        "reasons": ["beyond last 7", "beyond daily 14"],
        "plan": "plan-1",
        "outcome": "in_use",
        "cause": "in use by ami-0a",
        "execution": EXECUTION,
        "request_id": "request-1",
    }


def test_a_step_of_a_copy_leaves_its_entry_and_its_execution(capsys: pytest.CaptureFixture[str]) -> None:
    log.started(CALL, SimpleNamespace(aws_request_id="request-2"))
    log.audit_copy("us-east-1#snap-0a#us-east-2", "snap-0c", "started")
    (line,) = lines(capsys)
    assert (line["audit"], line["entry"], line["copy"], line["step"]) == (
        "copy",
        "us-east-1#snap-0a#us-east-2",
        "snap-0c",
        "started",
    )
    assert line["execution"] == EXECUTION


def test_one_call_does_not_carry_the_execution_of_the_call_before(capsys: pytest.CaptureFixture[str]) -> None:
    log.started(CALL, SimpleNamespace(aws_request_id="request-1"))
    log.started({}, SimpleNamespace(aws_request_id="request-2"))
    log.audit_copy("entry", "snap-0c", "started")
    (line,) = lines(capsys)
    assert (line["execution"], line["request_id"]) == ("", "request-2")
