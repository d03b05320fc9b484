"""The ports through which the doctor reads, and their data. Every method raises SnapkeepError where AWS refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal whose credentials are used."""

    account_id: str
    arn: str
    partition: str
    """Such as `aws` or `aws-cn`."""

    @property
    def is_root(self) -> bool:
        """Whether it is the account's root user, whom no policy of the account limits."""
        return self.arn.endswith(":root")


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """A Lambda function, and the system that it says it belongs to."""

    name: str
    system: str
    """The value of `SNAPKEEP_NAME`; empty for a function that is not Snapkeep's."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A KMS key."""

    arn: str
    state: str
    """Such as `Enabled` or `PendingDeletion` (KMS developer guide: key states); empty where there is no such key."""
    managed_by_aws: bool
    policy: Mapping[str, Any] | None
    """The key policy; None where it could not be read."""


@dataclass(frozen=True, slots=True)
class RecordingTrail:
    """A trail that records writing management events."""

    name: str
    with_kms: bool = True
    """Whether it records those of KMS too: a trail may leave them out."""


class ResourceKind(StrEnum):
    """Resources whose names the templates fix, so that CloudFormation fails where they exist already."""

    FUNCTION = "function"
    LOG_GROUP = "log group"
    STATE_MACHINE = "state machine"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class PermissionQuestion:
    """Actions, and a resource that they are needed on."""

    actions: tuple[str, ...]
    resource_arn: str


class AccountInventory(Protocol):
    """The account and the caller."""

    def caller(self) -> Caller:
        """Return the caller."""

    def denied(self, caller: Caller, question: PermissionQuestion) -> Sequence[str]:
        """Return the actions of a question that the caller's policies do not allow."""


class RegionInventory(Protocol):
    """One region of the account."""

    def opt_in_status(self, region: str) -> str:
        """Return `opted-in`, `opt-in-not-required` or `not-opted-in` for any region; empty for one that does not exist."""

    def denied_reads(self) -> Sequence[str]:
        """Return the EC2 actions of the reading commands that a dry run refuses."""

    def block_public_access(self) -> str:
        """Return `block-all-sharing`, `block-new-sharing` or `unblocked`."""

    def encrypts_by_default(self) -> bool:
        """Return whether EBS encrypts new volumes and copies here by default."""

    def managed_snapshots(self) -> Mapping[str, int]:
        """Return the number of snapshots of each system, by the value of `snapkeep:managed`."""

    def copies_at_once(self) -> int:
        """Return the quota of concurrent snapshot copies into this region."""

    def most_snapshots(self) -> int:
        """Return the quota of snapshots in this region."""

    def concurrency(self) -> tuple[int, int]:
        """Return the account's concurrent executions of Lambda, and those of them that no function has reserved."""

    def functions(self) -> Sequence[DeployedFunction]:
        """Return all Lambda functions."""

    def existing(self, kind: ResourceKind, names: Sequence[str]) -> Sequence[str]:
        """Return those of the names that exist already."""

    def trails(self) -> Sequence[RecordingTrail]:
        """Return the trails that record this region's writing management events now."""

    def key(self, key: str) -> KeyFacts:
        """Return a key by id, ARN or alias."""
