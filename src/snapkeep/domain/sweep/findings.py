"""What a sweep finds in one listing of a region, and what would repair it.

Pure: it reads nothing and writes nothing. Every repair is a step of the event-driven path, taken once more: a run of Protect,
an entry in the queue, the receipt of a copy, a plan of retention. What was repaired is not found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count
from math import isqrt
from typing import TypeVar

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import NEVER, Action, Snapshot, Verdict
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet
from snapkeep.domain.retention.holds import SnapshotInRegion
from snapkeep.domain.retention.region_plan import VolumePlan

Item = TypeVar("Item")


class FindingKind(StrEnum):
    """What a sweep finds. The values are words for reports, and names for metrics."""

    UNHANDLED = "snapshot that no run handled"
    TAGS_LOST = "tags lost"
    COPY_MISSING = "copy missing"
    COPY_FAILED = "copy failed for good"
    COPY_LATE = "copy past its deadline"
    COPY_UNSEEN = "end of a copy that no run saw"
    FAILED_COPY = "failed copy left behind"
    COPY_TWICE = "copy made twice"
    ENTRY_ORPHANED = "queue entry without its snapshot"
    RUN_UNANSWERED = "run that nobody would answer"
    PAST_RETENTION = "snapshot past retention"
    PLAN_REFUSED = "plan refused"
    ADOPTABLE = "snapshot to adopt"
    UNDELIVERED = "event that was not delivered"
    UNREADABLE = "undelivered event that cannot be read"
    RPO_MISSED = "recovery point objective missed"
    PUBLIC = "snapshot open to everybody"
    SHARED = "snapshot shared with an unknown account"
    SHARING_NOT_BLOCKED = "public sharing is not blocked"
    OUT_OF_REACH = "region out of reach"
    POLICY_PROBLEM = "tag names no policy"
    DOCUMENT_BROKEN = "policy document that cannot be used"


NEEDS_A_PERSON = frozenset(
    {
        FindingKind.COPY_FAILED,
        FindingKind.COPY_LATE,
        FindingKind.PLAN_REFUSED,
        FindingKind.UNREADABLE,
        FindingKind.RPO_MISSED,
        FindingKind.PUBLIC,
        FindingKind.SHARED,
        FindingKind.OUT_OF_REACH,
        FindingKind.POLICY_PROBLEM,
        FindingKind.DOCUMENT_BROKEN,
    }
)
"""What makes a sweep's report less than OK even when every repair was made."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A run of Protect that waits for a copy, as its own history tells: for which, since when, with which task token."""

    run: str
    token: str
    request: CopyRequest
    since: datetime

    @property
    def snapshot_in_region(self) -> SnapshotInRegion:
        """Which copy it waits for, within one source region."""
        return self.request.origin.snapshot_id, self.request.region


@dataclass(frozen=True, slots=True)
class Protect:
    """Start Protect for a snapshot, as its event would have."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Ask for a copy, as Protect would have."""

    snapshot: Snapshot
    policy: Policy
    rule: CopyRule


@dataclass(frozen=True, slots=True)
class Receive:
    """Receive a copy that has ended, as its event would have."""

    copy_id: str
    source_snapshot_id: str
    source_region: str
    succeeded: bool
    cause: str


@dataclass(frozen=True, slots=True)
class Retag:
    """Write tags: those that were lost, or those that adopt a snapshot."""

    snapshot_id: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Give a waiting run's token to the entry of its copy, as its own call did; or answer it, where the copy is settled."""

    wait: Wait


Repair = Protect | Enqueue | Receive | Retag | Rejoin


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and what would repair it (None: nothing that a sweep may do)."""

    kind: FindingKind
    subject: str
    volume_id: str
    text: str
    urgency: datetime = NEVER
    """The start time of what could be restored today: the oldest first."""
    repair: Repair | None = None

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to act."""
        return self.kind in NEEDS_A_PERSON


@dataclass(frozen=True, slots=True)
class Decision:
    """Findings in the order of urgency, and the verdicts that delete."""

    findings: tuple[Finding, ...]
    deletions: tuple[Verdict, ...] = ()


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Given findings, return them most urgent first."""
    return tuple(sorted(findings, key=lambda one: (one.urgency, one.volume_id, one.subject)))


def deletions_of(plans: Iterable[VolumePlan]) -> tuple[Verdict, ...]:
    """Given volumes' plans, return the verdicts that delete, of plans that are not refused."""
    return tuple(verdict for plan in plans for verdict in plan.outcome if verdict.action is Action.DELETE)


def plan_findings(plan: VolumePlan, system: str) -> Iterator[Finding]:
    """Given a volume's plan, return what a person should know of it."""
    volume_id = plan.lineage.volume_id
    if plan.refusals:
        yield Finding(FindingKind.PLAN_REFUSED, volume_id, volume_id, "; ".join(plan.refusals))
    if plan.selection.problem and any(one.snapshot.managed_by(system) for one in plan.verdicts):
        yield Finding(FindingKind.POLICY_PROBLEM, volume_id, volume_id, plan.selection.problem)


def document_findings(policies: PolicySet) -> list[Finding]:
    """Given the policies that a sweep goes by, return what is wrong with the document that should be in force."""
    return [Finding(FindingKind.DOCUMENT_BROKEN, "policy document", "", policies.problem)] if policies.problem else []


LEAST_STARTS = 29
"""A prime above 24: no schedule of up to a day, in whole hours, divides it."""


def rotating_sample(items: Sequence[Item], most: int, now: datetime) -> list[Item]:
    """Given more items than one sweep looks at, return those whose turn it is: others each hour, and all of them in the end.

    The places to begin at are a prime number, at most `most` items apart: a schedule of any number of hours comes to each.
    """
    if len(items) <= most:
        return list(items)
    if most < 1:
        return []
    least = max(LEAST_STARTS, -(-len(items) // most))
    places = next(one for one in count(least) if all(one % divisor for divisor in range(2, isqrt(one) + 1)))
    first = int(now.timestamp()) // 3600 % places * len(items) // places
    return [items[(first + number) % len(items)] for number in range(most)]
