"""A waiting run of Protect without a queue entry: a sweep with its own role ends it, over the wire."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from snapkeep.adapters.clock import WallClock
from snapkeep.functions.clients import Clients
from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.functions.sweep import build
from snapkeep.usecases.sweep.shared import SweepOptions
from support.deployment import DR, PRIMARY, Installation
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")
TELL_CREDENTIALS = """
import os
def handler(event, context):
    return {name: value for name, value in os.environ.items() if name in event}
"""
CREDENTIALS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]


class Later(WallClock):
    """A clock ten minutes ahead: runs have waited long enough for the sweep, without the wait."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=10)


def credentials_of(installation: Installation, function: str) -> dict[str, str]:
    """Return the environment that Lambda gives a function with this one's role."""
    client = installation.client("lambda")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("module.py", TELL_CREDENTIALS)
    role = client.get_function_configuration(FunctionName=function)["Role"]
    settings = {"Runtime": "python3.13", "Role": role, "Handler": "module.handler", "Timeout": 60}
    client.create_function(FunctionName="tell-credentials", Code={"ZipFile": archive.getvalue()}, **settings)
    client.get_waiter("function_active_v2").wait(FunctionName="tell-credentials", WaiterConfig={"Delay": 0.1})
    try:
        return dict(json.load(client.invoke(FunctionName="tell-credentials", Payload=json.dumps(CREDENTIALS))["Payload"]))
    finally:
        client.delete_function(FunctionName="tell-credentials")


@pytest.fixture
def nobody_receives(installation: Installation) -> Iterator[None]:
    """Runs keep waiting while no copy's end is received."""
    events = installation.client("events", DR)
    rules = [rule["Name"] for rule in events.list_rules()["Rules"] if "copySnapshot" in rule.get("EventPattern", "")]
    assert rules
    for rule in rules:
        events.disable_rule(Name=rule)
    yield
    for rule in rules:
        events.enable_rule(Name=rule)


def test_a_sweep_answers_a_run_whose_queue_entry_was_lost(
    installation: Installation, nobody_receives: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = installation.snapshot(installation.volume(Name="waits"))
    installation.copied(snapshot)
    table, key = installation.client("dynamodb", DR), {"pk": {"S": f"{PRIMARY}#{snapshot}#{DR}"}}
    lost = json.loads(table.get_item(TableName="snapkeep-queue", Key=key)["Item"]["entry"]["S"])
    table.delete_item(TableName="snapkeep-queue", Key=key)
    (run,) = lost["runs"]
    states = installation.client("stepfunctions")
    assert states.describe_execution(executionArn=run)["status"] == "RUNNING"

    for name, value in credentials_of(installation, "Sweep").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", installation.aws.endpoint_url)
    variables: dict[str, Any] = installation.client("lambda").get_function_configuration(FunctionName="Sweep")["Environment"]
    environment = Environment({"AWS_REGION": PRIMARY, **variables["Variables"]})
    parts = Composition(environment, Clients(region=PRIMARY), Later())
    report = build(parts).run("sweep-of-waiting-runs", SweepOptions()).report
    findings = [(str(finding.kind), str(finding.handling)) for finding in report.items if finding.subject == snapshot]
    assert findings == [("run_unanswered", "repaired")]

    wait_for(lambda: states.describe_execution(executionArn=run)["status"] == "SUCCEEDED")
    assert len(installation.copies_of(snapshot)) == 1, "the copy that was there was found"
