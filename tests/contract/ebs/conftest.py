"""The backends of the contract: the model in process, the model over the wire, and moto where it agrees with the documents.

To let another endpoint keep it, add its backend to ``BACKENDS``: a function of the pytest request.
``disagreements.json`` names, for each backend, the tests that it fails, with the source of what the documents say. Such a
test must continue to fail: when a release fixes it, remove the entry.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from snapkeep.lab.ebs_model import Speeds, World
from snapkeep.lab.embedded_aws import EmbeddedAws

os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
PRIMARY, DR = "us-east-1", "us-east-2"
DISAGREEMENTS = Path(__file__).parent / "disagreements.json"


class ModelBackend:
    """The model in process, in virtual time."""

    def __init__(self) -> None:
        self.world = World(speeds=Speeds(volume_create_seconds=0))

    def client(self, service: str, region: str, account_id: str = "") -> Any:
        return self.world.client(service, region, account_id or None)

    def settle(self) -> None:
        """Let every started operation complete."""
        self.world.run_until_idle()

    def close(self) -> None:
        """Nothing to end."""


@cache
def _boto3_session() -> boto3.Session:
    """One session for all clients: reading EC2's service model takes longer than any test."""
    return boto3.Session()


@cache
def _boto3_client(service: str, region: str) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return _boto3_session().client(service, region_name=region, **keys)


class MotoBackend:
    """moto, in process, through boto3. Everything completes at once."""

    def __init__(self) -> None:
        self._mock = mock_aws()
        self._mock.start()

    def client(self, service: str, region: str, account_id: str = "") -> Any:
        if not account_id:
            return _boto3_client(service, region)
        role = f"arn:aws:iam::{account_id}:role/other"
        made = _boto3_client("sts", region).assume_role(RoleArn=role, RoleSessionName="other")["Credentials"]
        keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
        return _boto3_session().client(service, region_name=region, aws_session_token=made["SessionToken"], **keys)

    def settle(self) -> None:
        """Nothing is ever pending."""

    def close(self) -> None:
        self._mock.stop()


class EmbeddedBackend:
    """The embedded AWS over the wire, with boto3. Each test is an account of its own."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._account_id = str(next(_accounts))

    def client(self, service: str, region: str, account_id: str = "") -> Any:
        return _boto3_session().client(service, **self._aws.client_arguments(region, account_id or self._account_id))

    def settle(self) -> None:
        """Put the world's clock forward until nothing is pending."""
        self._aws.admin("POST", "clock", {"seconds": 3600})

    def close(self) -> None:
        """The server stays for the next test."""


_accounts = itertools.count(310_000_000_001)


@pytest.fixture(scope="session")
def contract_server() -> Iterator[EmbeddedAws]:
    """An embedded AWS with the speeds of AWS: only the clock makes things complete."""
    with EmbeddedAws(world_document={"version": 1, "speeds": {"volume_create_seconds": 0}}) as server:
        yield server


BACKENDS: dict[str, Callable[[pytest.FixtureRequest], Any]] = {
    "model": lambda request: ModelBackend(),
    "embedded": lambda request: EmbeddedBackend(request.getfixturevalue("contract_server")),
    "moto": lambda request: MotoBackend(),
}


class Aws:
    """The interface of a backend to the contract's tests."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.settle = backend.settle
        self.primary = backend.client("ec2", PRIMARY)
        self.dr = backend.client("ec2", DR)
        self.kms = backend.client("kms", DR)

    def volume(self, size_gib: int = 8, tags: dict[str, str] | None = None, **more: Any) -> str:
        if tags:
            more["TagSpecifications"] = tagged("volume", tags)
        return self.primary.create_volume(AvailabilityZone=PRIMARY + "a", Size=size_gib, **more)["VolumeId"]

    def snapshot(self, volume_id: str, tags: dict[str, str] | None = None) -> str:
        more = {"TagSpecifications": tagged("snapshot", tags)} if tags else {}
        snapshot_id = self.primary.create_snapshot(VolumeId=volume_id, **more)["SnapshotId"]
        self.settle()
        return snapshot_id

    def copy(self, snapshot_id: str, **more: Any) -> str:
        return self.dr.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id, **more)["SnapshotId"]

    def listed(self, client: Any, **more: Any) -> list[dict[str, Any]]:
        return client.describe_snapshots(OwnerIds=["self"], **more)["Snapshots"]

    def described(self, client: Any, snapshot_id: str) -> dict[str, Any]:
        (snapshot,) = client.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
        return snapshot


def tagged(kind: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


@pytest.fixture(params=list(BACKENDS))
def aws(request: pytest.FixtureRequest) -> Iterator[Aws]:
    backend = BACKENDS[request.param](request)
    yield Aws(backend)
    backend.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = json.loads(DISAGREEMENTS.read_text())
    for item in items:
        if Path(item.fspath).parent != DISAGREEMENTS.parent or not hasattr(item, "callspec"):
            continue
        entry = known.get(item.callspec.params.get("aws", ""), {}).get(item.originalname)
        if entry:
            item.add_marker(pytest.mark.xfail(strict=True, reason=f"{entry['does']} [{entry['source']}]"))
