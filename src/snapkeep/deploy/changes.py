"""Changes of the parameters of deployed stacks, and the risk of each: lost snapshots, or volumes without protection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from snapkeep.deploy.parameters import COPY_KEY, DR_REGION, LIMITS, RETENTION, STACK_KEY, SUFFIX, TAG_KEY, InvalidParameters
from snapkeep.domain.errors import SnapkeepError

ADOPT_HISTORY, FORMER_SYSTEM = "AdoptHistory", "FormerSystem"
COMPLIANCE_LOCKS, LOCK_DAYS = "AllowComplianceLocks", "MaxLockDays"
HOLD_ON_SIGNALS = "HoldOnSignals"
VAULT_ACCOUNTS, OWNER_ACCOUNTS = "VaultAccounts", "OwnerAccounts"
_BEFORE = {COMPLIANCE_LOCKS: "no"}
"""Values that hold in stacks of versions without the parameter, where a new value is a risk."""


class ChangeNotConfirmed(SnapkeepError):
    """A change that can lose or move protection was not confirmed. Nothing was changed."""


class Risk(StrEnum):
    """The risk of a change of a parameter to snapshots and volumes."""

    NONE = "none"
    MOVES_COPIES = "moves_copies"
    """New copies go to another region."""
    DELETES_SNAPSHOTS = "deletes_snapshots"
    ENDS_PROTECTION = "ends_protection"
    LOCKS_FOR_GOOD = "locks_for_good"
    """Snapshots can be locked so that no principal can delete them."""
    CHANGES_KEY = "changes_key"
    LOSES_DATA = "loses_data"
    """A resource that holds data is removed or replaced."""


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter of a deployed stack with its value before and after."""

    stack: str
    region: str
    name: str
    before: str
    after: str
    risk: Risk = Risk.NONE
    consequence: str = ""
    """The consequence of the change, in a sentence; empty without a risk."""

    @property
    def text(self) -> str:
        """The change in words."""
        return f"{self.name} from '{self.before}' to '{self.after}'"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One resource's change in a change set (botocore: DescribeChangeSet, ResourceChange)."""

    region: str
    action: str
    """`Add`, `Modify`, `Remove` and others."""
    logical_id: str
    resource_type: str
    replacement: str = ""
    """`True`, `False` or `Conditional` for a modification."""
    policy_action: str = ""
    """The fate of the resource: `Delete`, `Retain` and others; empty where CloudFormation does not say."""

    @property
    def consequence(self) -> str:
        """The consequence where data is lost or moves, in a sentence; else empty."""
        if self.action == "Remove":
            # The deployed template's DeletionPolicy decides, not that of the new one.
            return (_REPLACED if self.policy_action == "Retain" else _REMOVED).get(self.resource_type, "")
        # A change set cannot say whether a `Conditional` modification replaces the resource: it is confirmed as if it did.
        return _REPLACED.get(self.resource_type, "") if self.replacement in ("True", "Conditional") else ""

    @property
    def risk(self) -> Risk:
        """The risk of the change."""
        return Risk.LOSES_DATA if self.consequence else Risk.NONE

    @property
    def manner(self) -> str:
        """The kind of change in words."""
        replaced = {"True": ", replaced", "Conditional": ", perhaps replaced"}.get(self.replacement, "")
        return f"{self.action.lower()}{replaced}"

    @property
    def text(self) -> str:
        """The change in words."""
        return f"{self.manner} {self.logical_id} ({self.resource_type})"


Change: TypeAlias = ParameterChange | ResourceChange


_REMOVED = {
    "AWS::DynamoDB::Table": "the copies in the queue are lost, and their executions wait until a sweep repairs them",
    "AWS::S3::Bucket": "the reports of sweeps stay in the former bucket, which no stack owns any more",
    "AWS::KMS::Key": "CloudFormation schedules the key for deletion: data under it becomes unreadable after 30 days",
}
"""Consequences of the removal of a resource that holds data."""
_REPLACED = _REMOVED | {"AWS::KMS::Key": "no stack owns the former key any more: data under it stays readable only with that key"}
"""Consequences of its replacement: the templates retain a replaced key (UpdateReplacePolicy)."""


def resource_lines(changes: Iterable[ResourceChange]) -> list[str]:
    """Return the changes of resources as lines, one for each type and kind of change."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        grouped.setdefault((change.manner, change.resource_type), []).append(change.logical_id)
    return [f"{manner} {resource_type}: {', '.join(sorted(ids))}" for (manner, resource_type), ids in sorted(grouped.items())]


def parameter_changes(
    stack: str, region: str, deployed: Mapping[str, str], parameters: Mapping[str, str]
) -> tuple[ParameterChange, ...]:
    """Return the changes that parameters make to a deployed stack; a parameter without a new value keeps its own.

    Raise InvalidParameters for a change that is never right: of the system's name.
    """
    changes = []
    for name, after in parameters.items():
        before = deployed.get(name, _BEFORE.get(name))
        # A parameter that the deployed version did not know changes nothing that runs.
        if before is None or _same_value(before, after):
            continue
        if name == SUFFIX:
            raise InvalidParameters(_RENAMING.format(stack=stack, region=region, before=before, after=after))
        risk, consequence = _risk_of(name, before, after)
        changes.append(ParameterChange(stack, region, name, before, after, risk, consequence))
    return tuple(changes)


_RENAMING = (
    "stack {stack} in {region} is the system with FunctionNameSuffix '{before}', and a running system keeps its name: its "
    "snapshots and copies carry it, and under '{after}' they would belong to no system. To rename it: `snapkeep destroy` this "
    "system, deploy one with --name '{after}', then `snapkeep rename` lets that take over the snapshots"
)


def _same_value(before: str, after: str) -> bool:
    """Whether two values are equal, as numbers where both are numbers."""
    try:
        return float(before) == float(after)
    except ValueError:
        return before == after


def _any(_: str, __: str) -> bool:
    return True


def _lower(before: str, after: str) -> bool:
    return float(after) < float(before)


def _higher(before: str, after: str) -> bool:
    return float(after) > float(before)


def _fewer(before: str, after: str) -> bool:
    """Whether a list of accounts lacks one that it had."""
    return bool(set(filter(None, before.split(","))) - set(after.split(",")))


_WITHOUT_DOCUMENT = "where the stack's parameters are the policy, "
_AGAIN = "retention applies to the earlier snapshots of volumes that it selects again"
_TAKES_OVER = "and retention then deletes some of them"
_RISKS: Sequence[tuple[str, Callable[[str, str], bool], Risk, str]] = (
    (
        DR_REGION,
        _any,
        Risk.MOVES_COPIES,
        (
            f"{_WITHOUT_DOCUMENT}copies go to {{after}}: the next sweep copies the newest snapshot of each volume, in full where "
            "{after} has no copy of it, and earlier copies there expire. The copies in {before} and its DR stack stay and no "
            "copy is added there; `snapkeep destroy --only dr --dr-region {before}` deletes that stack"
        ),
    ),
    (
        RETENTION,
        _lower,
        Risk.DELETES_SNAPSHOTS,
        f"{_WITHOUT_DOCUMENT}retention deletes all but the newest {{after}} of each volume",
    ),
    *((limit, _higher, Risk.DELETES_SNAPSHOTS, "deletions that the former limit refused can be carried out") for limit in LIMITS),
    (
        TAG_KEY,
        lambda _, after: after != "none",
        Risk.ENDS_PROTECTION,
        f"{_WITHOUT_DOCUMENT}volumes without {{after}} are no longer protected, and {_AGAIN}",
    ),
    (TAG_KEY, _any, Risk.DELETES_SNAPSHOTS, f"{_WITHOUT_DOCUMENT}{_AGAIN}"),
    (
        COMPLIANCE_LOCKS,
        lambda _, after: after == "yes",
        Risk.LOCKS_FOR_GOOD,
        (
            "policies can lock in compliance mode: nobody, AWS included, can delete such a snapshot until its lock ends, and its "
            "storage is paid for until then"
        ),
    ),
    (
        COMPLIANCE_LOCKS,
        _any,
        Risk.ENDS_PROTECTION,
        "new locks are in governance mode, even if policies name compliance mode: ec2:UnlockSnapshot can remove them",
    ),
    (
        LOCK_DAYS,
        _lower,
        Risk.ENDS_PROTECTION,
        "policies lock for {after} days at most from now on, and with 0 not at all; existing locks stay",
    ),
    (
        HOLD_ON_SIGNALS,
        lambda _, after: after == "no",
        Risk.ENDS_PROTECTION,
        "grave calls by others no longer put the system on hold: deletions continue during an attack",
    ),
    (
        VAULT_ACCOUNTS,
        _fewer,
        Risk.ENDS_PROTECTION,
        (
            "an account that is left out gets no more copies, and copies that are shared with it stay shared, as Snapkeep "
            "withdraws shares of these accounts alone: remove the vault from the policies an hour before"
        ),
    ),
    (
        OWNER_ACCOUNTS,
        _fewer,
        Risk.ENDS_PROTECTION,
        "the vault makes no more copies for an account that is left out; existing copies stay, and expire",
    ),
    (
        ADOPT_HISTORY,
        lambda _, after: after == "yes",
        Risk.DELETES_SNAPSHOTS,
        f"sweeps take over earlier snapshots, {_TAKES_OVER}",
    ),
    (
        FORMER_SYSTEM,
        lambda _, after: bool(after),
        Risk.DELETES_SNAPSHOTS,
        f"sweeps take over the snapshots of {{after}}, {_TAKES_OVER}",
    ),
    (
        COPY_KEY,
        _any,
        Risk.CHANGES_KEY,
        f"{_WITHOUT_DOCUMENT}the next copy of each volume is a full copy; earlier copies need the former key to be restored",
    ),
    (
        STACK_KEY,
        _any,
        Risk.CHANGES_KEY,
        "data under the former key, such as reports and logs, stays readable only with that key",
    ),
)
"""A parameter, which changes of it are a risk, the risk, and its consequence. The first that fits counts."""


def _risk_of(name: str, before: str, after: str) -> tuple[Risk, str]:
    """Return the risk of a change, and the sentence with its consequence."""
    for parameter, is_risk, risk, consequence in _RISKS:
        if parameter == name and is_risk(before, after):
            return risk, consequence.format(before=before, after=after)
    return Risk.NONE, ""
