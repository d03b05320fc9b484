"""Both stacks, deployed once for a test session into an account of their own in the embedded AWS."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Self

import pytest

from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.domain.commands import document_arn
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import wait_for

PRIMARY, DR = "us-east-1", "us-east-2"
REGIONS = {"primary": PRIMARY, "dr": DR}
_numbers = itertools.count(1)


class Quiet:
    """A watcher of deployments that prints nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *values: None


@dataclass(frozen=True, eq=False)
class Installation:
    """A deployed system, and the actions of a person on it."""

    aws: EmbeddedAws
    account_id: str
    outputs: dict[str, dict[str, str]]

    @cache  # noqa: B019 - as long as the session
    def client(self, service: str, region: str = PRIMARY) -> Any:
        return self.aws.client(service, region, self.account_id)

    def volume(self, **tags: str) -> str:
        listed = [{"Key": key, "Value": value} for key, value in (tags or {"Name": "data"}).items()]
        ec2 = self.client("ec2")
        volume_id = ec2.create_volume(
            AvailabilityZone=f"{PRIMARY}a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": listed}]
        )["VolumeId"]
        wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available")
        return str(volume_id)

    def snapshot(self, volume_id: str) -> str:
        return str(self.client("ec2").create_snapshot(VolumeId=volume_id)["SnapshotId"])

    def copies_of(self, snapshot_id: str) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:snapkeep:source-snapshot", "Values": [snapshot_id]}]
        return list(self.client("ec2", DR).describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"])

    def copied(self, snapshot_id: str) -> dict[str, Any]:
        """Wait until a snapshot has a completed copy, and return the copy."""
        copies = wait_for(lambda: [copy for copy in self.copies_of(snapshot_id) if copy["State"] == "completed"])
        return dict(copies[0])

    def tags_of(self, snapshot_id: str, region: str = PRIMARY) -> dict[str, str]:
        (snapshot,) = self.client("ec2", region).describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
        return {tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", [])}

    def network(self, region: str) -> tuple[str, str]:
        """Return a subnet and the default security group of a region's default VPC."""
        ec2 = self.client("ec2", region)
        subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
        chosen = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
        return subnet["SubnetId"], ec2.describe_security_groups(Filters=chosen)["SecurityGroups"][0]["GroupId"]

    def run(self, stack: str, machine: str, event: dict[str, Any]) -> dict[str, Any]:
        """Start a state machine, wait for its end, and return the execution."""
        client = self.client("stepfunctions", REGIONS[stack])
        arn = client.start_execution(stateMachineArn=self.outputs[stack][machine], input=json.dumps(event))["executionArn"]

        def ended() -> dict[str, Any] | None:
            execution = client.describe_execution(executionArn=arn)
            return execution if execution["status"] != "RUNNING" else None

        return dict(wait_for(ended))

    def sweep(self, stack: str, **options: bool) -> dict[str, Any]:
        """Sweep a region, and return the report in its bucket."""
        execution = self.run(stack, "SweepStateMachineArn", {"options": options})
        summary = json.loads(execution["output"] if execution["status"] == "SUCCEEDED" else execution["cause"])
        report = self.report(stack, summary["json"])
        assert (execution["status"] == "SUCCEEDED") == (report["outcome"] == "OK")
        return report

    def report(self, stack: str, url: str) -> dict[str, Any]:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        body = self.client("s3", REGIONS[stack]).get_object(Bucket=bucket, Key=key)["Body"].read()
        return dict(json.loads(body))


def install(embedded: EmbeddedAws, *, dr: Mapping[str, str] = MappingProxyType({}), **parameters: str) -> Installation:
    """Deploy both stacks, with these parameters in both and `dr` in the DR stack, into an account of their own.

    SsmDocuments names freeze and thaw.
    """
    account_id = f"2000000000{next(_numbers):02d}"

    @cache
    def client(service: str, region: str) -> Any:
        return embedded.client(service, region, account_id)

    documents = ",".join(document_arn(name, PRIMARY, account_id, "aws") for name in ("freeze", "thaw"))
    deployed = Deployment(DeploymentTarget(client, PRIMARY, DR), Quiet()).deploy(
        {"KnownAccounts": "111122223333", "SsmDocuments": documents, **parameters}, {**parameters, **dr}
    )  # type: ignore[arg-type]
    outputs = {result.region: result.outputs for result in deployed.stacks}
    return Installation(embedded, account_id, {stack: dict(outputs[region]) for stack, region in REGIONS.items()})


@pytest.fixture(scope="session")
def installation(embedded: EmbeddedAws) -> Installation:
    """A system with every function that a stack can have."""
    return install(embedded, dr={"VaultAccounts": "210987654321"})
