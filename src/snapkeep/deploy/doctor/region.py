"""`RegionInventory` over the clients of one region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from snapkeep.deploy.doctor import cloudtrail, kms, lambdas, resource_names, service_quotas
from snapkeep.deploy.doctor.ec2 import Ec2Facts
from snapkeep.deploy.doctor.ports import DeployedFunction, KeyFacts, RecordingTrail, ResourceKind


class AwsRegion(Ec2Facts):
    """One region; `client` returns the client of a service there, or in another `region`."""

    def __init__(self, client: Callable[..., Any]) -> None:
        super().__init__(client("ec2"))
        self._of = client
        self._functions: Sequence[DeployedFunction] | None = None

    def copies_at_once(self) -> int:
        """Return the quota of concurrent snapshot copies into this region."""
        return service_quotas.ebs_quota(self._of("service-quotas"), service_quotas.COPIES_AT_ONCE)

    def most_snapshots(self) -> int:
        """Return the quota of snapshots in this region."""
        return service_quotas.ebs_quota(self._of("service-quotas"), service_quotas.SNAPSHOTS)

    def concurrency(self) -> tuple[int, int]:
        """Return the concurrent executions of Lambda, and the unreserved ones."""
        return lambdas.concurrency(self._of("lambda"))

    def functions(self) -> Sequence[DeployedFunction]:
        """Return all Lambda functions, listed once."""
        if self._functions is None:
            self._functions = lambdas.functions(self._of("lambda"))
        return self._functions

    def existing(self, kind: ResourceKind, names: Sequence[str]) -> Sequence[str]:
        """Return those of the names that exist already."""
        if kind is ResourceKind.FUNCTION:
            listed = {function.name for function in self.functions()}
            return [name for name in names if name in listed]
        service, find = _FINDERS[kind]
        return find(self._of(service), names)

    def trails(self) -> Sequence[RecordingTrail]:
        """Return the trails that record this region's writing management events now."""
        return cloudtrail.recording_trails(self._of)

    def key(self, key: str) -> KeyFacts:
        """Return a key by id, ARN or alias."""
        return kms.key_facts(self._of("kms"), key)


_FINDERS: Mapping[ResourceKind, tuple[str, Callable[[Any, Sequence[str]], list[str]]]] = {
    ResourceKind.LOG_GROUP: ("logs", resource_names.log_groups),
    ResourceKind.STATE_MACHINE: ("stepfunctions", resource_names.state_machines),
    ResourceKind.TABLE: ("dynamodb", resource_names.tables),
}
