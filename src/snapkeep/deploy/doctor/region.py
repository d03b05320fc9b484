"""`RegionInventory` over the clients of one region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from snapkeep.adapters.aws_errors import accepted, pages
from snapkeep.deploy.doctor import cloudtrail, kms, lambdas
from snapkeep.deploy.doctor.ec2 import Ec2Facts
from snapkeep.deploy.doctor.ports import DeployedFunction, KeyFacts, RecordingTrail, ResourceKind
from snapkeep.domain.errors import AwsRefused

COPIES_AT_ONCE = "Concurrent snapshot copies per destination Region"
SNAPSHOTS = "Snapshots per Region"
"""The quotas' names (EBS user guide: quotas). The code of the first is not on that page."""


class AwsRegion(Ec2Facts):
    """One region; `client` returns the client of a service there, or in another `region`."""

    def __init__(self, client: Callable[..., Any]) -> None:
        super().__init__(client("ec2"))
        self._of = client

    def copies_at_once(self) -> int:
        """Return the quota of concurrent snapshot copies into this region."""
        return self._quota_of_ebs(COPIES_AT_ONCE)

    def most_snapshots(self) -> int:
        """Return the quota of snapshots in this region."""
        return self._quota_of_ebs(SNAPSHOTS)

    def _quota_of_ebs(self, name: str) -> int:
        """Return a quota that is applied to this region. Raise AwsRefused where AWS does not list it."""
        client = self._of("service-quotas")
        for page in pages(client, "list_service_quotas", {"ServiceCode": "ebs"}, "list_service_quotas"):
            for quota in page["Quotas"]:
                if quota["QuotaName"] == name:
                    return int(quota["Value"])
        raise AwsRefused(f"Service Quotas lists no quota '{name}'")

    def concurrency(self) -> tuple[int, int]:
        """Return the concurrent executions of Lambda, and the unreserved ones."""
        return lambdas.concurrency(self._of("lambda"))

    def functions(self) -> Sequence[DeployedFunction]:
        """Return all Lambda functions, listed once."""
        return self._functions

    @cached_property
    def _functions(self) -> Sequence[DeployedFunction]:
        return lambdas.functions(self._of("lambda"))

    def existing(self, kind: ResourceKind, names: Sequence[str]) -> Sequence[str]:
        """Return those of the names that exist already."""
        match kind:
            case ResourceKind.FUNCTION:
                listed = {function.name for function in self.functions()}
            case ResourceKind.LOG_GROUP:
                listed = {group for name in names for group in self._log_groups(name)}
            case ResourceKind.STATE_MACHINE:
                machines = pages(self._of("stepfunctions"), "list_state_machines", {}, "list_state_machines", more="nextToken")
                listed = {machine["name"] for page in machines for machine in page["stateMachines"]}
            case ResourceKind.TABLE:
                listed = {name for name in names if self._table_exists(name)}
        return [name for name in names if name in listed]

    def _log_groups(self, prefix: str) -> list[str]:
        request = {"logGroupNamePrefix": prefix}
        answers = pages(self._of("logs"), "describe_log_groups", request, "describe_log_groups", more="nextToken")
        return [group["logGroupName"] for page in answers for group in page["logGroups"]]

    def _table_exists(self, name: str) -> bool:
        absent = ("ResourceNotFoundException",)
        return accepted(self._of("dynamodb").describe_table, f"describe_table {name}", absent, TableName=name)

    def trails(self) -> Sequence[RecordingTrail]:
        """Return the trails that record this region's writing management events now."""
        return cloudtrail.recording_trails(self._of)

    def key(self, key: str) -> KeyFacts:
        """Return a key by id, ARN or alias."""
        return kms.key_facts(self._of("kms"), key)
