"""`snapkeep plan` runs over clients that cannot write."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import Result

from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed_system import InstalledSystem
from support.lineages import REGION
from support.volume_plans import DR, Reader, World


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> AwsSettings:
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    monkeypatch.setattr(AwsSettings, "session", lambda _: session)
    return AwsSettings(REGION, DR, endpoint_url="http://127.0.0.1:9", read_only=True)


def test_stores_and_queues_refuse_every_write(settings: AwsSettings) -> None:
    installed = InstalledSystem(settings)
    with pytest.raises(PermissionError, match="PutParameter would write"):
        installed.adapters.policy_store_of(REGION).put("{}", advanced=False)
    with pytest.raises(PermissionError, match="UpdateItem would write"):
        installed.adapters.queue_of(DR).release_lease("somebody")
    with pytest.raises(PermissionError, match="DeleteSnapshot would write"):
        settings.client("ec2", REGION).delete_snapshot(SnapshotId="snap-0123456789abcdef0")


def test_read_only_clients_read(settings: AwsSettings) -> None:
    client = settings.client("ec2", REGION)
    with Stubber(client) as stubber:
        stubber.add_response("describe_volumes", {"Volumes": []})
        assert client.describe_volumes()["Volumes"] == []


def test_plan_uses_read_only_clients(plan: Callable[..., Result], world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def reader(self: RegionalAdapters, region: str) -> Reader:
        seen.append(cast("AwsSettings", self.names).read_only)
        return Reader(world, region)

    monkeypatch.setattr(RegionalAdapters, "points_of", reader)
    assert plan().exit_code == 0
    assert seen == [True, True]
