"""Policies: retention, copies and recovery point objective of the volumes that they govern.

`parameters.py` makes a complete `PolicySet` of stack parameters alone; `document.py` makes one of a document, which can say more.
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
"""A snapshot a day holds it: the newest copy is at most a day and the time of the next copy old."""
CONSISTENT_INSTANCE, CONSISTENT_VOLUME = "instance", "volume"
"""Whether the snapshots of an instance's volumes are of one moment."""
WHEN_RPO = "rpo"
PARAMETERS_POLICY = "default"
"""The name of the one policy that stack parameters make."""


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
    """So many of the newest completed snapshots are kept regardless of the rules."""
    timezone: str = "UTC"
    """IANA name of the time zone in which the periods begin."""


@dataclass(frozen=True, slots=True)
class GoneRetention(Retention):
    """The retention of a deleted volume: `keep_within` counts back from now, because no newer snapshot will be made."""


class LockMode(StrEnum):
    """How a lock can be removed (EBS user guide: snapshot lock): by UnlockSnapshot, or by nobody after the cool-off period."""

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@dataclass(frozen=True, slots=True)
class LockRule:
    """A lock on each snapshot or copy: until it ends, nobody can delete it."""

    mode: LockMode
    duration: timedelta
    """Whole days, from the moment at which the snapshot or copy is completed."""
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
    """How each copy is compared with its source once it has arrived."""

    structure: str = "always"
    """`always` compares the listings of both; `never` compares nothing."""
    sample: int = 300
    """How many blocks are compared; 0 for none."""
    subset: str = ""
    """`n/t`: of each day's copies another part, from part n on, in place of the sample; all parts take t days."""
    full_every: timedelta = timedelta(0)
    """So often, all blocks of one copy of each volume; 0 for never."""
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
    """One copy of every snapshot, or of one in each period, in one DR region. A policy has at most one rule for a region."""

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
    """`auto`: for each copy the cheapest way that meets its deadline."""
    copy_budget: str = ""
    """The most that completion durations cost in a calendar month (UTC), as `50 USD/month`; empty for no limit."""
    verify: VerifyRule = field(default_factory=VerifyRule)
    every: timedelta = timedelta(0)
    """One snapshot of each period of this length is copied; zero copies all, unless `only` says otherwise."""
    only: str = ""
    """`kept` copies one snapshot of each of the finest calendar periods of `retention`."""
    lock: LockRule | None = None
    """The lock on each copy; None for none."""

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
    """The volumes that a policy governs. Every part that is given must match; within a part, one value."""

    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values (`*` and `?`); all keys must match."""
    exclude_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    volume_ids: tuple[str, ...] = ()
    exclude_volume_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    instance_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values; an instance that the volume is attached to must have all of them."""
    availability_zones: tuple[str, ...] = ()
    volume_types: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """`root`, `data`, `unattached`."""
    min_size_gib: int = 0
    max_size_gib: int = 0
    snapshot_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values: of the volumes that the other parts take, only snapshots with all of them count."""


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Snapshots that another tool deletes: they are tagged, copied and counted like others, and never deleted."""

    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values (`*` and `?`); one such tag on a snapshot is enough."""


@dataclass(frozen=True, slots=True)
class CarryTags:
    """The tags of a volume that its snapshots and their copies have."""

    excluded: tuple[str, ...] = ()
    """Patterns of tag keys (`*` and `?`), besides those of other tools."""


@dataclass(frozen=True, slots=True)
class RecordContent:
    """The contents of recovery records besides settings."""

    user_data: bool = False
    """The user data of instances, which often hold secrets."""


@dataclass(frozen=True, slots=True)
class SnapshotRule:
    """When the system makes a snapshot itself, where nobody else did: by one of the first three."""

    when: str = ""
    """`rpo`: in time for the copies to hold the policy's RPO."""
    every: timedelta = timedelta(0)
    cron: str = ""
    """As EventBridge has it: `0 */4 * * ? *`."""
    timezone: str = "UTC"
    """IANA name of the time zone of `every` and `cron`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The deletions that the plan of one lineage in one region may hold (INV-08)."""

    max_deletions: int = 100
    max_share_percent: int = 75
    """Checked where a lineage has more than `small_lineage` snapshots."""
    small_lineage: int = 10


@dataclass(frozen=True, slots=True)
class Policy:
    """A named policy."""

    name: str
    selector: Selector
    retention: Retention
    copies: tuple[CopyRule, ...] = ()
    rpo: timedelta = DEFAULT_RPO
    """Recovery point objective: how old the newest completed copy's origin may be."""
    leave_alone: LeaveAlone = field(default_factory=LeaveAlone)
    hold_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag key -> patterns of values; a snapshot with one such tag is held with its copies, and does not count in retention."""
    carry_tags: CarryTags = field(default_factory=CarryTags)
    record: RecordContent = field(default_factory=RecordContent)
    gone: GoneRetention | None = None
    """Which snapshots and copies of a deleted volume are kept; None: the same as of one that exists."""
    snapshots: SnapshotRule | None = None
    """When the system makes snapshots itself; None: others make them."""
    consistent: str = CONSISTENT_INSTANCE
    """Whether it makes one multi-volume set of an instance's due volumes, or a snapshot of each (`volume`)."""
    before: Script | None = None
    """Runs before the system makes snapshots of an instance's volumes; they are application-consistent if it succeeds."""
    after: Script | None = None
    """Runs after that, whatever became of `before`."""
    vault: str = ""
    """The name of the vault that pulls its copies; empty for none."""
    lock: LockRule | None = None
    """The lock on each snapshot in the volume's own region; None for none."""

    @property
    def makes_in_time(self) -> bool:
        """Whether its snapshots are made just in time for the RPO: the moment depends on how long copies took."""
        return self.snapshots is not None and self.snapshots.when == WHEN_RPO

    def retention_of(self, retention: Retention, *, gone: bool) -> Retention:
        """Return a retention of this policy, or the one of deleted volumes where it has one and the volume is deleted."""
        return self.gone if gone and self.gone is not None else retention

    @property
    def copy_regions(self) -> tuple[str, ...]:
        """The regions that this policy copies to."""
        return tuple(rule.region for rule in self.copies)

    def copy_rule(self, region: str) -> CopyRule | None:
        """Return this policy's rule for a destination region; None if it has none."""
        return next((rule for rule in self.copies if rule.region == region), None)


AWS_MANAGED = "aws-managed"
"""A vault's key EBS_KEY: no principal of its account can disable or delete it."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Another account that keeps copies of the DR copies, which production can neither change nor delete."""

    name: str
    account: str
    """Account number of 12 digits."""
    region: str
    from_region: str
    """The DR region whose copies are shared with the vault."""
    retention: Retention
    """Which of its copies the vault keeps."""
    kms_key: str = AWS_MANAGED
    """Key id, ARN or alias in the vault's account and region, or AWS_MANAGED."""
    lock: LockRule | None = None
    """How the vault locks its copies; None: not at all."""


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """The instances of a recovery group."""

    tags: dict[str, tuple[str, ...]]
    """Tag key -> patterns of values (`*` and `?`); an instance has every one of these tags."""


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
    """Patterns of the tag `Name`, those first that are launched first; all others come last."""
    wait: GroupWait = GroupWait.CHECKS
    """The state that each stage reaches before the next one."""

    @property
    def waits_for_checks(self) -> bool:
        """Whether each stage passes its status checks before the next one is launched."""
        return self.wait is GroupWait.CHECKS


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of a system, first match first."""

    policies: tuple[Policy, ...]
    limits: Limits = field(default_factory=Limits)
    source: PolicySource = PARAMETERS
    problem: str = ""
    """Why the newest document is not in force, in words; empty when it is."""
    primary_region: str = field(default="", compare=False)
    """The primary region, which no copy may go to; set only for policies of the primary stack's parameters."""
    groups: tuple[RecoveryGroup, ...] = ()
    drills: tuple[DrillRule, ...] = ()
    vaults: tuple[Vault, ...] = ()

    @property
    def copy_regions(self) -> list[str]:
        """The regions that the policies copy to, each once, in their order."""
        return list(dict.fromkeys(rule.region for policy in self.policies for rule in policy.copies))

    def as_planned_in(self, region: str) -> PolicySet:
        """Return the policies as the functions of a region know them.

        The primary stack's parameters do not say how many copies another region keeps, so sweeps go by the newest, which every
        region keeps.
        """
        if not self.primary_region:
            return self
        return replace(self, policies=tuple(_with_newest_copies_of(policy, region) for policy in self.policies))

    def named(self, name: str) -> Policy | None:
        """Return the policy of this name; None if there is none."""
        return next((policy for policy in self.policies if policy.name == name), None)

    def copying_to(self, region: str, name: str) -> Policy | None:
        """Return the policy of this name if it copies to a region, else the first that does; None if none does."""
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
