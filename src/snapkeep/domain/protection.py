"""How well each volume is protected now: newest snapshot, newest copy in each region, and the age of what could be restored.

The RPO age of a volume is how old the newest completed DR copy's origin is; where a policy asks for no copy, how old the
newest completed snapshot is. With several copy rules the worst region counts. About a region that could not be looked at
nothing is concluded: a volume whose copy would be there is not called protected, and not late for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median_low

from snapkeep.domain.model import NEVER, Lineage, Snapshot, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet
from snapkeep.domain.policy.selection import select


class VolumeHealth(StrEnum):
    """How a volume stands."""

    PROTECTED = "protected"
    FIRST_COPY = "first copy to come"
    LATE = "late"
    UNKNOWN = "not known"
    NO_SNAPSHOT = "no snapshot"
    NO_POLICY = "no policy"


WRONG = frozenset({VolumeHealth.LATE, VolumeHealth.NO_SNAPSHOT})
"""What somebody should look at. A volume without a policy is left alone on purpose."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest completed snapshot or copy of a volume in a region; `id` is empty when there is none."""

    region: str
    id: str = ""
    start_time: datetime = NEVER
    """The origin's start time: what the data is from."""
    known: bool = True
    """Whether its region could be looked at."""

    @property
    def there(self) -> bool:
        """Whether there is one."""
        return bool(self.id)

    def age(self, now: datetime) -> timedelta:
        """How old the data is; only where there is one."""
        return now - self.start_time


@dataclass(frozen=True, slots=True)
class VolumeProtection:
    """How one volume of the primary region stands."""

    lineage: Lineage
    volume: Volume
    policy: str
    """Empty where none governs it."""
    why_policy: str
    standing: VolumeHealth
    why: str
    asked: timedelta
    age: timedelta | None
    """RPO age; None while there is nothing to restore from where the policy wants it, or nobody could look there."""
    snapshot: Newest
    copies: tuple[Newest, ...] = ()
    """One for each copy rule of its policy, in the policy's order."""
    pending: int = 0
    failed: int = 0
    snapshots: int = 0

    @property
    def wrong(self) -> bool:
        """Whether somebody should look at it."""
        return self.standing in WRONG


@dataclass(frozen=True, slots=True)
class PolicyAges:
    """RPO ages over the volumes of one policy."""

    policy: str
    asked: timedelta
    volumes: int
    late: int
    worst: timedelta
    median: timedelta


@dataclass(frozen=True, slots=True)
class RuleAges:
    """How old the newest copies are that one copy rule asks for."""

    policy: str
    region: str
    asked: timedelta
    known: bool
    """Whether the region could be looked at; without that all else is nothing."""
    volumes: int
    without_copy: int = 0
    late: int = 0
    """Volumes whose newest copy there is older than the policy allows, or is not there in time."""
    worst: timedelta = timedelta(0)
    median: timedelta = timedelta(0)


class NewestByLineage:
    """The newest completed snapshot of each lineage of one listing; filled in one pass."""

    def __init__(self, region: str, snapshots: Iterable[Snapshot], system: str) -> None:
        self.region = region
        self.newest: dict[Lineage, Snapshot] = {}
        self.oldest_start: dict[Lineage, datetime] = {}
        self.counts: dict[Lineage, int] = defaultdict(int)
        self.pending: dict[Lineage, int] = defaultdict(int)
        self.failed: dict[Lineage, int] = defaultdict(int)
        for snapshot in snapshots:
            self._add(snapshot, system)

    def _add(self, snapshot: Snapshot, system: str) -> None:
        lineage, start = snapshot.origin.lineage, snapshot.origin.start_time
        if snapshot.state is SnapshotState.PENDING:
            self.pending[lineage] += 1
        elif snapshot.state is SnapshotState.ERROR:
            self.failed[lineage] += 1
        if not snapshot.completed or not snapshot.managed_by(system):
            return
        self.counts[lineage] += 1
        known = self.newest.get(lineage)
        if known is None or start > known.origin.start_time:
            self.newest[lineage] = snapshot
        if start < self.oldest_start.get(lineage, start + timedelta(1)):
            self.oldest_start[lineage] = start

    def of(self, lineage: Lineage) -> Newest:
        """Given a lineage, return its newest here."""
        found = self.newest.get(lineage)
        return Newest(self.region, found.id, found.origin.start_time) if found else Newest(self.region)


def volume_protections(
    region: str,
    volumes: Iterable[Volume],
    snapshots: Iterable[Snapshot],
    copies_by_region: Mapping[str, Iterable[Snapshot]],
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
) -> list[VolumeProtection]:
    """Given listings of a primary region and of its DR regions, return how each volume stands, the worst first."""
    sources = NewestByLineage(region, (one for one in snapshots if one.origin.region == region), system)
    copies = {name: NewestByLineage(name, listed, system) for name, listed in copies_by_region.items()}
    found = [_standing(Lineage(region, volume.id), volume, sources, copies, policies, now) for volume in volumes]
    return sorted(found, key=lambda one: (not one.wrong, one.standing is VolumeHealth.NO_POLICY, -_seconds(one.age), one.lineage))


def _seconds(age: timedelta | None) -> float:
    return age.total_seconds() if age is not None else float("inf")


def _standing(
    lineage: Lineage,
    volume: Volume,
    sources: NewestByLineage,
    copies: Mapping[str, NewestByLineage],
    policies: PolicySet,
    now: datetime,
) -> VolumeProtection:
    chosen = select(volume, policies)
    snapshot = sources.of(lineage)
    policy = chosen.policy
    found = tuple(
        copies[rule.region].of(lineage) if rule.region in copies else Newest(rule.region, known=False) for rule in _rules(policy)
    )
    oldest = sources.oldest_start.get(lineage, now)
    standing, why, age = _judge(policy, snapshot, found, oldest, now)
    return VolumeProtection(
        lineage=lineage,
        volume=volume,
        policy=policy.name if policy else "",
        why_policy=chosen.problem or chosen.why,
        standing=standing,
        why=why,
        asked=policy.rpo if policy else timedelta(0),
        age=age,
        snapshot=snapshot,
        copies=found,
        pending=sources.pending[lineage] + sum(one.pending[lineage] for one in copies.values()),
        failed=sources.failed[lineage] + sum(one.failed[lineage] for one in copies.values()),
        snapshots=sources.counts[lineage],
    )


def _rules(policy: Policy | None) -> Sequence[CopyRule]:
    return policy.copies if policy else ()


def _judge(
    policy: Policy | None, snapshot: Newest, copies: Sequence[Newest], oldest: datetime, now: datetime
) -> tuple[VolumeHealth, str, timedelta | None]:
    if policy is None:
        return VolumeHealth.NO_POLICY, "no policy governs it", None
    if not snapshot.there:
        return VolumeHealth.NO_SNAPSHOT, "no snapshot of it has been protected", None
    standing, why, age = _judge_copies(policy, snapshot, [copy for copy in copies if copy.known], oldest, now)
    unknown = [copy.region for copy in copies if not copy.known]
    if unknown and standing is not VolumeHealth.LATE:
        return VolumeHealth.UNKNOWN, f"nobody could look at its copy in {', '.join(unknown)}", None
    return standing, why, age


def _judge_copies(
    policy: Policy, snapshot: Newest, copies: Sequence[Newest], oldest: datetime, now: datetime
) -> tuple[VolumeHealth, str, timedelta | None]:
    absent = [copy for copy in copies if not copy.there]
    if absent:
        return _without_copy(policy, absent[0].region, now - oldest)
    age = max((copy.age(now) for copy in copies), default=snapshot.age(now))
    if age <= policy.rpo:
        return VolumeHealth.PROTECTED, "", age
    if snapshot.age(now) > policy.rpo:
        return VolumeHealth.LATE, f"no snapshot for {age_text(snapshot.age(now))}", age
    behind = max(copies, key=lambda copy: copy.age(now))
    return VolumeHealth.LATE, f"its copy in {behind.region} is behind its newest snapshot", age


def _without_copy(policy: Policy, region: str, waited: timedelta) -> tuple[VolumeHealth, str, None]:
    if waited <= policy.rpo:
        return VolumeHealth.FIRST_COPY, f"its first copy to {region} is still to come", None
    return VolumeHealth.LATE, f"no copy in {region}, {age_text(waited)} after its first snapshot", None


def age_text(span: timedelta) -> str:
    """Given a stretch of time, return its two largest units: `42 min`, `5 h 10 min`, `3 d 4 h`."""
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{rest} min"


def ages_by_policy(found: Iterable[VolumeProtection]) -> list[PolicyAges]:
    """Given how volumes stand, return the worst and the median RPO age for each policy that governs any, by name."""
    by_policy: dict[str, list[VolumeProtection]] = defaultdict(list)
    for one in found:
        if one.policy:
            by_policy[one.policy].append(one)
    return [_ages(name, members) for name, members in sorted(by_policy.items())]


def _ages(name: str, members: Sequence[VolumeProtection]) -> PolicyAges:
    ages = [one.age for one in members if one.age is not None] or [timedelta(0)]
    return PolicyAges(
        policy=name,
        asked=members[0].asked,
        volumes=len(members),
        late=sum(one.wrong for one in members),
        worst=max(ages),
        median=median_low(ages),
    )


def ages_by_rule(found: Iterable[VolumeProtection], now: datetime) -> list[RuleAges]:
    """Given how volumes stand, return how old the copies of each policy in each of its regions are, by name."""
    by_rule: dict[tuple[str, str], list[tuple[VolumeProtection, Newest]]] = defaultdict(list)
    for one in found:
        for copy in one.copies:
            by_rule[one.policy, copy.region].append((one, copy))
    return [_rule_ages(policy, region, members, now) for (policy, region), members in sorted(by_rule.items())]


def _rule_ages(policy: str, region: str, members: Sequence[tuple[VolumeProtection, Newest]], now: datetime) -> RuleAges:
    asked, known = members[0][0].asked, members[0][1].known
    if not known:
        return RuleAges(policy, region, asked, known, len(members))
    ages = [copy.age(now) for _, copy in members if copy.there]
    return RuleAges(
        policy=policy,
        region=region,
        asked=asked,
        known=True,
        volumes=len(members),
        without_copy=len(members) - len(ages),
        late=sum(age > asked for age in ages) + sum(one.wrong and not copy.there for one, copy in members),
        worst=max(ages, default=timedelta(0)),
        median=median_low(ages or [timedelta(0)]),
    )
