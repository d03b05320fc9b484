"""The protection of each volume now: its newest snapshot, its newest copy in each region, and its RPO age.

The RPO age of a volume is the age of the data in its newest DR copy that can be restored. Under a policy without copies it is
the age of the newest snapshot that can be restored. With several copy rules the oldest copy counts. A region that could not be
read makes no volume protected or late. If it is the primary region, the copies in the others show which volumes exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from snapkeep.domain.json_codec import named
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import NEVER, Lineage, Snapshot, SnapshotState, Unusable, Volume
from snapkeep.domain.other_tools import Maker, maker_of
from snapkeep.domain.policy.model import Policy, PolicySet
from snapkeep.domain.policy.selection import Selection, remembered_volume, select, select_by_snapshots, why_left_out
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import MANAGED


class VolumeHealth(LabelledEnum):
    """The protection of a volume. The values are identifiers for machines."""

    PROTECTED = "protected", "protected"
    FIRST_COPY_PENDING = "first_copy_pending", "first copy pending"
    LATE = "late", "late"
    UNKNOWN = "unknown", "not known"
    NO_SNAPSHOT = "no_snapshot", "no snapshot"
    NO_RECOVERY_POINT = "no_recovery_point", "no recovery point"
    NO_POLICY = "no_policy", "no policy"


NEEDS_ATTENTION = frozenset({VolumeHealth.LATE, VolumeHealth.NO_SNAPSHOT, VolumeHealth.NO_RECOVERY_POINT})
"""A person should look at these volumes. A volume without a policy is left alone on purpose."""


@dataclass(frozen=True, slots=True)
class NewestSnapshot:
    """The newest recovery point of a volume in a region; `id` is empty if there is none."""

    region: str
    id: str = ""
    start_time: datetime = NEVER
    """The start of the source snapshot: the time of the data."""
    known: bool = True
    """Whether its region could be read."""
    unusable: tuple[Unusable, ...] = ()
    """Why other completed snapshots or copies cannot be restored, one reason for each."""
    maker: Maker | None = None
    """The tool that made it; None for a copy, and without a point."""

    @property
    def there(self) -> bool:
        """Whether a recovery point exists."""
        return bool(self.id)

    def age(self, now: datetime) -> timedelta:
        """Return the age of the data of an existing point."""
        return now - self.start_time

    @property
    def why_unusable(self) -> str:
        """The reasons against the other points in words, each with its count; empty without any."""
        return ", ".join(f"{reason.label} ({self.unusable.count(reason)})" for reason in Unusable if reason in self.unusable)


@dataclass(frozen=True, slots=True)
class VolumeProtection:
    """The protection of one volume of the primary region."""

    lineage: Lineage
    volume: Volume
    policy: str
    """Empty if no policy governs it."""
    why_policy: str
    health: VolumeHealth
    why: str
    cause: str
    """The cause in `why` without figures: volumes with the same cause are shown together."""
    rpo: timedelta
    """The RPO of its policy."""
    age: timedelta | None
    """RPO age; None while a copy that its policy requires is missing, or its region could not be read."""
    snapshot: NewestSnapshot
    copies: tuple[NewestSnapshot, ...] = ()
    """One for each copy rule of its policy, in the policy's order."""
    pending: int = 0
    failed: int = 0
    snapshots: int = 0

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at it."""
        return self.health in NEEDS_ATTENTION

    @property
    def recovery_points(self) -> tuple[NewestSnapshot, ...]:
        """The newest points of its recovery: its copies, or its snapshot if its policy makes no copies."""
        return tuple(point for point in self.copies or (self.snapshot,) if point.there)


@dataclass(frozen=True, slots=True)
class PolicyAges:
    """RPO ages over the volumes of one policy; None if no volume has a known age."""

    policy: str
    rpo: timedelta = field(metadata=named("asked_seconds"))
    volumes: int
    late: int
    worst: timedelta | None = field(metadata=named("worst_seconds"))
    median: timedelta | None = field(metadata=named("median_seconds"))


@dataclass(frozen=True, slots=True)
class RuleAges:
    """Ages of the newest copies that one copy rule makes."""

    policy: str
    region: str = field(metadata=named("to"))
    rpo: timedelta = field(metadata=named("rpo_seconds"))
    known: bool
    """Whether the region could be read; if not, the counts are zero and the ages None."""
    volumes: int
    without_copy: int = 0
    late: int = field(default=0, metadata=named("missed"))
    """Volumes whose newest copy there is older than the RPO, or whose first copy there is overdue."""
    worst: timedelta | None = field(default=None, metadata=named("worst_seconds"))
    median: timedelta | None = field(default=None, metadata=named("median_seconds"))


class NewestByLineage:
    """The newest recovery point of each lineage of one listing; filled in one pass."""

    def __init__(self, region: str, snapshots: Iterable[Snapshot], system: str, *, known: bool = True) -> None:
        self.region = region
        self.known = known
        self.newest: dict[Lineage, Snapshot] = {}
        self.oldest_start: dict[Lineage, datetime] = {}
        self.counts: dict[Lineage, int] = defaultdict(int)
        self.pending: dict[Lineage, int] = defaultdict(int)
        self.failed: dict[Lineage, int] = defaultdict(int)
        self.unusable: dict[Lineage, list[Unusable]] = defaultdict(list)
        for snapshot in snapshots:
            self._add(snapshot, system)

    def _add(self, snapshot: Snapshot, system: str) -> None:
        lineage, start = snapshot.origin.lineage, snapshot.origin.start_time
        if snapshot.state is SnapshotState.PENDING:
            self.pending[lineage] += 1
        elif snapshot.state is SnapshotState.ERROR:
            self.failed[lineage] += 1
        if not snapshot.completed or snapshot.tags.get(MANAGED) != system:
            return
        if start < self.oldest_start.get(lineage, start + timedelta(1)):
            self.oldest_start[lineage] = start
        if snapshot.unusable:
            self.unusable[lineage].append(snapshot.unusable)
            return
        self.counts[lineage] += 1
        known = self.newest.get(lineage)
        if known is None or start > known.origin.start_time:
            self.newest[lineage] = snapshot

    def of(self, lineage: Lineage) -> NewestSnapshot:
        """Return the newest snapshot of a lineage in this region."""
        newest, unusable = self.newest.get(lineage), tuple(self.unusable.get(lineage, ()))
        if newest is None:
            return NewestSnapshot(self.region, known=self.known, unusable=unusable)
        maker = None if newest.is_copy else maker_of(newest)
        return NewestSnapshot(self.region, newest.id, newest.origin.start_time, unusable=unusable, maker=maker)


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
    """Return the protection of each volume, the worst first, from listings of a primary region and its DR regions."""
    selections = [(volume, select(volume, policies)) for volume in volumes]
    policy_of = {volume.id: selection.policy for volume, selection in selections}
    counted = (
        snapshot
        for snapshot in snapshots
        if snapshot.origin.region == region and not why_left_out(snapshot, policy_of.get(snapshot.origin.volume_id))
    )
    sources = NewestByLineage(region, counted, system)
    copies = {name: NewestByLineage(name, listing, system) for name, listing in copies_by_region.items()}
    protections = [_protection(volume, selection, sources, copies, now) for volume, selection in selections]
    return sorted(protections, key=_worst_first)


def protections_by_copies(
    region: str, copies_by_region: Mapping[str, Iterable[Snapshot]], policies: PolicySet, now: datetime, *, system: str
) -> list[VolumeProtection]:
    """Return the protection of each volume of a primary region that could not be read, as its copies show.

    Volumes without a managed copy are not known. A volume's tags and size are those of its newest copy.
    """
    sources = NewestByLineage(region, (), system, known=False)
    listings = {name: list(listing) for name, listing in copies_by_region.items()}
    copies = {name: NewestByLineage(name, listing, system) for name, listing in listings.items()}
    newest: dict[Lineage, Snapshot] = {}
    for copy in chain.from_iterable(listings.values()):
        known = newest.get(copy.origin.lineage)
        managed = copy.completed and copy.tags.get(MANAGED) == system and copy.origin.region == region
        if managed and (known is None or copy.origin.start_time > known.origin.start_time):
            newest[copy.origin.lineage] = copy
    protections = [
        _protection(remembered_volume(copy), select_by_snapshots([copy], policies, system=system), sources, copies, now)
        for copy in newest.values()
    ]
    return sorted(protections, key=_worst_first)


def _worst_first(protection: VolumeProtection) -> tuple[bool, bool, bool, timedelta, Lineage]:
    unmanaged, age = protection.health is VolumeHealth.NO_POLICY, protection.age
    return not protection.needs_attention, unmanaged, age is not None, -(age or timedelta(0)), protection.lineage


def _protection(
    volume: Volume, selection: Selection, sources: NewestByLineage, copies: Mapping[str, NewestByLineage], now: datetime
) -> VolumeProtection:
    lineage = Lineage(volume.region, volume.id)
    snapshot = sources.of(lineage)
    policy = selection.policy
    newest_copies = tuple(
        copies[rule.region].of(lineage) if rule.region in copies else NewestSnapshot(rule.region, known=False)
        for rule in (policy.copies if policy else ())
    )
    starts = [listing.oldest_start[lineage] for listing in (sources, *copies.values()) if lineage in listing.oldest_start]
    # The time for which the volume should have had a copy: since its first snapshot.
    oldest = sources.oldest_start.get(lineage) or min(starts, default=now)
    return VolumeProtection(
        lineage=lineage,
        volume=volume,
        policy=policy.name if policy else "",
        why_policy=selection.problem or selection.why,
        rpo=policy.rpo if policy else timedelta(0),
        snapshot=snapshot,
        copies=newest_copies,
        pending=sources.pending[lineage] + sum(listing.pending[lineage] for listing in copies.values()),
        failed=sources.failed[lineage] + sum(listing.failed[lineage] for listing in copies.values()),
        snapshots=sources.counts[lineage],
        **_judge(policy, snapshot, newest_copies, oldest, now)._asdict(),
    )


class _Judgement(NamedTuple):
    health: VolumeHealth
    why: str
    age: timedelta | None = None
    cause: str = ""
    """See `VolumeProtection.cause`."""


def _judge(
    policy: Policy | None, snapshot: NewestSnapshot, copies: Sequence[NewestSnapshot], oldest: datetime, now: datetime
) -> _Judgement:
    if policy is None and not snapshot.known:
        cause = f"{snapshot.region} could not be read"
        return _Judgement(VolumeHealth.UNKNOWN, f"its policy is not known: {cause}", cause=cause)
    if policy is None:
        return _Judgement(VolumeHealth.NO_POLICY, "no policy governs it")
    if snapshot.known and not snapshot.there and not snapshot.unusable:
        return _Judgement(VolumeHealth.NO_SNAPSHOT, "it has no managed snapshot")
    if snapshot.known and not snapshot.there and not policy.copies:
        return _unrecoverable(snapshot, "snapshots")
    known = [copy for copy in copies if copy.known]
    unknown = [copy.region for copy in copies if not copy.known] or [snapshot.region] * (not copies and not snapshot.known)
    # A fault in a region that was read is certain; a good state is not, while another region is not known.
    if known or snapshot.there:
        judgement = _judge_copies(policy, snapshot, known, oldest, now)
        if not unknown or judgement.health in NEEDS_ATTENTION:
            return judgement
    why = f"{', '.join(unknown)} could not be read"
    return _Judgement(VolumeHealth.UNKNOWN, why, cause=why)


def _judge_copies(
    policy: Policy, snapshot: NewestSnapshot, copies: Sequence[NewestSnapshot], oldest: datetime, now: datetime
) -> _Judgement:
    absent = [copy for copy in copies if not copy.there]
    unusable = next((copy for copy in absent if copy.unusable), None)
    if unusable:
        return _unrecoverable(unusable, f"copies in {unusable.region}")
    if absent:
        region, waited = absent[0].region, now - oldest
        # A new volume is not late before its RPO has passed once.
        if waited <= policy.rpo:
            return _Judgement(VolumeHealth.FIRST_COPY_PENDING, f"its first copy to {region} is pending", cause=f"to {region}")
        why = f"no copy in {region}, {age_text(waited)} after its first snapshot"
        return _Judgement(VolumeHealth.LATE, why, cause=f"no copy in {region}")
    # The worst region counts: a disaster may hit the others.
    age = max((copy.age(now) for copy in copies), default=snapshot.age(now))
    if age <= policy.rpo:
        return _Judgement(VolumeHealth.PROTECTED, "", age)
    return _judge_late(policy, snapshot, copies, age, now)


def _judge_late(
    policy: Policy, snapshot: NewestSnapshot, copies: Sequence[NewestSnapshot], age: timedelta, now: datetime
) -> _Judgement:
    behind = max(copies, key=lambda copy: copy.age(now), default=snapshot)
    unusable = f"; others cannot be restored: {behind.why_unusable}" if behind.unusable else ""
    if not snapshot.there:
        why = f"its newest copy in {behind.region} is {age_text(age)} old{unusable}"
        return _Judgement(VolumeHealth.LATE, why, age, f"newest copy in {behind.region} older than the RPO")
    if snapshot.age(now) > policy.rpo:
        why = f"no snapshot for {age_text(snapshot.age(now))}{unusable}"
        return _Judgement(VolumeHealth.LATE, why, age, "no snapshot within the RPO")
    why = f"its copy in {behind.region} is behind its newest snapshot{unusable}"
    return _Judgement(VolumeHealth.LATE, why, age, f"copy in {behind.region} behind the newest snapshot")


def _unrecoverable(newest: NewestSnapshot, kind: str) -> _Judgement:
    """Return the health of a volume without restorable snapshots, or without restorable copies in a region."""
    if set(newest.unusable) == {Unusable.KEY_NOT_KNOWN}:
        why = f"none of its {kind} is known to be restorable: {newest.why_unusable}"
        return _Judgement(VolumeHealth.UNKNOWN, why, cause=f"no {kind} known to be restorable")
    why = f"none of its {kind} can be restored: {newest.why_unusable}"
    return _Judgement(VolumeHealth.NO_RECOVERY_POINT, why, cause=f"no {kind} that can be restored")


def age_text(span: timedelta) -> str:
    """Return a span of time in its two largest units: `42 min`, `5 h 10 min`, `3 d 4 h`."""
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{rest} min"


def ages_by_policy(protections: Iterable[VolumeProtection]) -> list[PolicyAges]:
    """Return the worst and the median RPO age of each policy that governs a volume, by name."""
    by_policy: dict[str, list[VolumeProtection]] = defaultdict(list)
    for protection in protections:
        if protection.policy:
            by_policy[protection.policy].append(protection)
    return [_ages(name, members) for name, members in sorted(by_policy.items())]


def _ages(name: str, members: Sequence[VolumeProtection]) -> PolicyAges:
    ages = [member.age for member in members if member.age is not None]
    return PolicyAges(
        policy=name,
        rpo=members[0].rpo,
        volumes=len(members),
        late=sum(member.needs_attention for member in members),
        worst=max(ages, default=None),
        median=_lower_median(ages),
    )


def ages_by_rule(protections: Iterable[VolumeProtection], now: datetime) -> list[RuleAges]:
    """Return the ages of each policy's newest copies in each of its regions, by name."""
    by_rule: dict[tuple[str, str], list[tuple[VolumeProtection, NewestSnapshot]]] = defaultdict(list)
    for protection in protections:
        for copy in protection.copies:
            by_rule[protection.policy, copy.region].append((protection, copy))
    return [_rule_ages(policy, region, members, now) for (policy, region), members in sorted(by_rule.items())]


def _rule_ages(policy: str, region: str, members: Sequence[tuple[VolumeProtection, NewestSnapshot]], now: datetime) -> RuleAges:
    rpo, known = members[0][0].rpo, members[0][1].known
    if not known:
        return RuleAges(policy, region, rpo, known, len(members))
    ages = [copy.age(now) for _, copy in members if copy.there]
    return RuleAges(
        policy=policy,
        region=region,
        rpo=rpo,
        known=True,
        volumes=len(members),
        without_copy=len(members) - len(ages),
        late=sum(age > rpo for age in ages) + sum(protection.needs_attention and not copy.there for protection, copy in members),
        worst=max(ages, default=None),
        median=_lower_median(ages),
    )


def _lower_median(ages: Sequence[timedelta]) -> timedelta | None:
    # The module statistics would add fractions and decimal to every cold start of Sweep.
    return sorted(ages)[(len(ages) - 1) // 2] if ages else None
