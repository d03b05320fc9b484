"""Policies: retention, copies and recovery point objective of the volumes that they govern.

`parameters.py` makes a complete `PolicySet` from stack parameters alone; `document.py` makes one from a document, which has
more settings.
"""

from __future__ import annotations

from dataclasses import field
from datetime import timedelta
from enum import StrEnum

from snapkeep.domain.policy.completion import COMPLETION_AUTO
from snapkeep.domain.policy.drill_rules import DrillRule
from snapkeep.domain.policy.scripts import Script
from snapkeep.domain.policy.source import PARAMETERS, PolicySource
from snapkeep.domain.prices import usd_of
from snapkeep.domain.records import dataclass, replace

DEFAULT_RPO = timedelta(hours=30)
"""One snapshot a day meets it: the newest copy is at most a day and the duration of the next copy old."""
CONSISTENT_INSTANCE, CONSISTENT_VOLUME = "instance", "volume"
"""Whether the snapshots of an instance's volumes are made at one moment."""
WHEN_RPO = "rpo"
PARAMETERS_POLICY = "default"
"""The name of the only policy that stack parameters make."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A snapshot is kept when any rule keeps it; the words are those of restic and borg. 0 leaves a rule out."""

    keep_last: int = 0
    keep_within: timedelta = timedelta(0)
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    minimum: int = 1
    """The number of newest completed snapshots that are kept regardless of the rules."""
    timezone: str = "UTC"
    """IANA name of the time zone in which the periods begin."""


@dataclass(frozen=True, slots=True)
class GoneRetention(Retention):
    """The retention of a deleted volume: `keep_within` counts back from now, because no newer snapshot will be made."""


class LockMode(StrEnum):
    """The mode of a lock (EBS user guide: snapshot lock).

    UnlockSnapshot removes one in governance mode; after the cool-off period, one in compliance mode cannot be removed.
    """

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@dataclass(frozen=True, slots=True)
class LockRule:
    """A lock on each snapshot or copy, which cannot be deleted until the lock ends."""

    mode: LockMode
    duration: timedelta
    """Whole days, from the completion of the snapshot or copy."""
    cool_off: timedelta = timedelta(0)
    """Whole hours, in which a lock in compliance mode can still be removed."""

    after_proof: bool = True
    """Whether a copy gets a lock in compliance mode only once it is proved."""

    @property
    def days(self) -> int:
        """The duration in days."""
        return self.duration // timedelta(days=1)


@dataclass(frozen=True, slots=True)
class VerifyRule:
    """The comparison of each completed copy with its source."""

    structure: str = "always"
    """`always` compares the listings of both; `never` compares nothing."""
    sample: int = 300
    """The number of blocks that are compared; 0 for none."""
    subset: str = ""
    """`n/t`: the copies of each day are compared in another part of their blocks, from part n on, instead of the sample; all
    parts take t days."""
    full_every: timedelta = timedelta(0)
    """The period in which all blocks of one copy of each volume are compared; 0 for never."""
    budget: str = ""
    """The most that the rule's comparisons cost in a calendar month (UTC), as `5 USD/month`; empty for no limit."""

    @property
    def verifies(self) -> bool:
        """Whether anything is compared."""
        return self.structure != "never"

    @property
    def month_usd(self) -> float:
        """The budget of a month in US dollars; 0 for no limit."""
        return usd_of(self.budget)


@dataclass(frozen=True, slots=True)
class CopyRule:
    """A copy of every snapshot, or of one snapshot in each period, in one DR region.

    A policy has at most one rule for a region.
    """

    region: str
    kms_key: str = ""
    """Key id, ARN or alias in the destination region; empty is the region's default for EBS."""
    copy_within: timedelta = timedelta(hours=24)
    """The deadline of a copy, counted from its source's start time."""
    retention: Retention = field(default_factory=lambda: Retention(keep_last=1))
    carry_tags: bool = True
    completion_minutes: int = 0
    """Time-based copy with this duration; 0 is a standard copy."""
    completion: str = ""
    """`auto`: each copy is made in the cheapest way that meets its deadline."""
    copy_budget: str = ""
    """The most that completion durations cost in a calendar month (UTC), as `50 USD/month`; empty for no limit."""
    verify: VerifyRule = field(default_factory=VerifyRule)
    every: timedelta = timedelta(0)
    """The length of the periods of which one snapshot is copied; zero copies all snapshots, unless `only` is set."""
    only: str = ""
    """`kept` copies one snapshot of each of the finest calendar periods of `retention`."""
    lock: LockRule | None = None
    """The lock on each copy; None for no lock."""

    @property
    def chooses_completion(self) -> bool:
        """Whether the way of each copy is chosen when it starts."""
        return self.completion == COMPLETION_AUTO

    @property
    def budget_usd(self) -> float:
        """The budget of a month in US dollars; 0 for no limit."""
        return usd_of(self.copy_budget)


@dataclass(frozen=True, slots=True)
class Selector:
    """The volumes that a policy governs. Every part that is set must match; within a part, one value is enough."""

    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values (`*` and `?`); all keys must match."""
    exclude_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    volume_ids: tuple[str, ...] = ()
    exclude_volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    instance_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values; an instance to which the volume is attached must match all of them."""
    availability_zones: tuple[str, ...] = ()
    volume_types: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """`root`, `data`, `unattached`."""
    min_size_gib: int = 0
    max_size_gib: int = 0
    snapshot_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values; only snapshots that match all of them count."""


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Snapshots that another tool deletes: they are tagged, copied and counted like others, and never deleted."""

    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values (`*` and `?`); one such tag on a snapshot is enough."""


@dataclass(frozen=True, slots=True)
class CarryTags:
    """The tags of a volume that its snapshots and their copies get."""

    excluded: tuple[str, ...] = ()
    """Patterns of tag keys (`*` and `?`) that are not carried, besides those of other tools."""


@dataclass(frozen=True, slots=True)
class RecordContent:
    """The contents of recovery records besides settings."""

    user_data: bool = False
    """The user data of instances, which often hold secrets."""


@dataclass(frozen=True, slots=True)
class SnapshotRule:
    """The time when the system makes a snapshot itself, if no other principal made one. One of the first three fields is set."""

    when: str = ""
    """`rpo`: just in time for the copies to meet the policy's RPO."""
    every: timedelta = timedelta(0)
    cron: str = ""
    """An expression of EventBridge: `0 */4 * * ? *`."""
    timezone: str = "UTC"
    """IANA name of the time zone of `every` and `cron`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The deletions that the plan of one lineage in one region may hold (INV-08)."""

    max_deletions: int = 100
    max_share_percent: int = 75
    """Checked if a lineage has more than `small_lineage` snapshots."""
    small_lineage: int = 10


@dataclass(frozen=True, slots=True)
class Policy:
    """A named policy."""

    name: str
    selector: Selector
    retention: Retention
    copies: tuple[CopyRule, ...] = ()
    rpo: timedelta = DEFAULT_RPO
    """Recovery point objective: the greatest age of the origin of the newest completed copy."""
    leave_alone: LeaveAlone = field(default_factory=LeaveAlone)
    hold_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values; a snapshot with one such tag is held with its copies, and does not count in retention."""
    carry_tags: CarryTags = field(default_factory=CarryTags)
    record: RecordContent = field(default_factory=RecordContent)
    gone: GoneRetention | None = None
    """The retention of a deleted volume's snapshots and copies; None for the same as of an existing one."""
    snapshots: SnapshotRule | None = None
    """The time when the system makes snapshots itself; None if others make them."""
    consistent: str = CONSISTENT_INSTANCE
    """Whether the system makes one multi-volume set of an instance's due volumes, or a snapshot of each (`volume`)."""
    before: Script | None = None
    """The command before the system makes snapshots of an instance's volumes; they are application-consistent if it
    succeeds."""
    after: Script | None = None
    """The command after the snapshots, whatever the result of `before`."""
    vault: str = ""
    """The name of the vault that pulls its copies; empty for no vault."""
    lock: LockRule | None = None
    """The lock on each snapshot in the volume's own region; None for no lock."""

    @property
    def makes_in_time(self) -> bool:
        """Whether its snapshots are made just in time for the RPO: the moment depends on the durations of earlier copies."""
        return self.snapshots is not None and self.snapshots.when == WHEN_RPO

    def retention_of(self, retention: Retention, *, gone: bool) -> Retention:
        """Return a retention of this policy; for a deleted volume, that of deleted volumes if the policy has one."""
        return self.gone if gone and self.gone is not None else retention

    @property
    def copy_regions(self) -> tuple[str, ...]:
        """The regions that this policy copies to."""
        return tuple(rule.region for rule in self.copies)

    def copy_rule(self, region: str) -> CopyRule | None:
        """Return this policy's rule for a destination region; None if it has none."""
        return next((rule for rule in self.copies if rule.region == region), None)


AWS_MANAGED = "aws-managed"
"""The value of a vault's key for EBS_KEY, which no principal of its account can disable or delete."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Another account with copies of the DR copies, which production can neither change nor delete."""

    name: str
    account: str
    """Account number of 12 digits."""
    region: str
    from_region: str
    """The DR region whose copies are shared with the vault."""
    retention: Retention
    """The retention of the vault's copies."""
    kms_key: str = AWS_MANAGED
    """Key id, ARN or alias in the vault's account and region, or AWS_MANAGED."""
    lock: LockRule | None = None
    """The lock on the vault's copies; None for no lock."""


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """The instances of a recovery group."""

    tags: dict[str, tuple[str, ...]]
    """Tag key -> patterns of values (`*` and `?`); a member has all of these tags."""


class GroupWait(StrEnum):
    """The state of the instances of a stage that the next stage waits for: status checks passed, or running."""

    CHECKS = "checks"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class RecoveryGroup:
    """Instances that are recovered together, to one moment, in an order."""

    name: str
    instances: GroupMembers
    order: tuple[str, ...] = ()
    """Patterns of the tag `Name` in the order of the launch; all other instances come last."""
    wait: GroupWait = GroupWait.CHECKS
    """The state that each stage reaches before the next one."""

    @property
    def waits_for_checks(self) -> bool:
        """Whether each stage must pass its status checks before the next one is launched."""
        return self.wait is GroupWait.CHECKS


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of a system, in the order in which they are tried."""

    policies: tuple[Policy, ...]
    limits: Limits = field(default_factory=Limits)
    source: PolicySource = PARAMETERS
    problem: str = ""
    """Why the newest document is not in force, in words; empty when it is."""
    primary_region: str = field(default="", compare=False)
    """The primary region, which cannot be a destination; set only for policies of the primary stack's parameters."""
    groups: tuple[RecoveryGroup, ...] = ()
    drills: tuple[DrillRule, ...] = ()
    vaults: tuple[Vault, ...] = ()

    @property
    def copy_regions(self) -> list[str]:
        """The regions to which the policies copy, each once, in order."""
        return list(dict.fromkeys(rule.region for policy in self.policies for rule in policy.copies))

    def as_planned_in(self, region: str) -> PolicySet:
        """Return the policies as the functions of a region know them.

        The primary stack's parameters do not name the number of copies that another region keeps. Sweeps therefore count on the
        newest copy, which every region keeps.
        """
        if not self.primary_region:
            return self
        return replace(self, policies=tuple(_with_newest_copies_of(policy, region) for policy in self.policies))

    def named(self, name: str) -> Policy | None:
        """Return the policy of this name; None if there is none."""
        return next((policy for policy in self.policies if policy.name == name), None)

    def copying_to(self, region: str, name: str) -> Policy | None:
        """Return the policy of this name if it copies to a region, otherwise the first that does; None if none does."""
        copying = [policy for policy in self.policies if policy.copy_rule(region)]
        return next((policy for policy in copying if policy.name == name), next(iter(copying), None))

    def vault_of(self, policy: Policy, region: str) -> Vault | None:
        """Return the vault that pulls a policy's copies from a DR region; None if none does."""
        return next((vault for vault in self.vaults if vault.name == policy.vault and vault.from_region == region), None)

    def drills_in(self, region: str) -> list[DrillRule]:
        """Return the drills of a DR region."""
        return [rule for rule in self.drills if rule.region == region]


def _with_newest_copies_of(policy: Policy, region: str) -> Policy:
    newest = Retention(keep_last=1)
    rules = (rule if rule.region == region else replace(rule, retention=newest) for rule in policy.copies)
    return replace(policy, copies=tuple(rules))
