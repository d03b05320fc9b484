"""Copies whose comparison with their source ended without a proof, and the choice of the one to compare again. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from snapkeep.domain.model import Lineage, Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.methods import Method, estimate
from snapkeep.domain.recovery.schedule import method_due
from snapkeep.domain.recovery.verdict import is_compared, is_proved
from snapkeep.domain.sweep.findings import Finding, FindingKind, VerifyRepair

MOST_COMPARISONS = 20
"""The most comparisons that one sweep starts: after a long outage, a fleet's comparisons share the quotas of the EBS direct
APIs."""
COMPARED_WITHIN = timedelta(days=1)
"""A time longer than all retries of Verify's steps. A comparison with many reads has more time: see `UnprovedCopy.patience`."""


@dataclass(frozen=True, slots=True)
class UnprovedCopy:
    """A copy that arrived long ago, whose comparison neither proved it nor found it different."""

    copy: Snapshot
    method: Method
    month_usd: float

    @property
    def arrived_at(self) -> datetime:
        """The time of its completion, or of its start if EC2 does not return the former."""
        return self.copy.completed_at or self.copy.start_time

    @property
    def patience(self) -> timedelta:
        """The time for a comparison: twice the time by AWS's documented rates, and at least a day."""
        return max(COMPARED_WITHIN, 2 * timedelta(seconds=estimate(self.method, self.copy.size_gib).seconds))

    def attempt(self, now: datetime) -> int:
        """Return the number of the comparison that is due, 0 for the first: as many could have ended since the arrival."""
        return (now - self.arrived_at) // self.patience


def unproved_copies(
    snapshots: Iterable[Snapshot], policies: PolicySet, now: datetime, *, system: str, leaving: Collection[str] = ()
) -> list[UnprovedCopy]:
    """Return the copies of a DR region whose comparison should have ended in a proof, the newest first in each lineage.

    None is older than its lineage's newest proved copy. Copies that cannot be read, and copies that are about to be deleted
    (`leaving`, by id), are left out.
    """
    lineages: dict[Lineage, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.is_copy and snapshot.origin.region != snapshot.region:
            lineages[snapshot.origin.lineage].append(snapshot)
    return [
        unproved
        for copies in lineages.values()
        for copy in _since_last_proof(copies, system)
        if copy.id not in leaving
        and (unproved := _comparison_of(copy, copies, policies)) is not None
        and unproved.attempt(now) > 0
    ]


def _since_last_proof(copies: Iterable[Snapshot], system: str) -> Iterator[Snapshot]:
    counted = [copy for copy in copies if copy.counts_for(system)]
    for copy in sorted(counted, key=lambda copy: (copy.origin.start_time, copy.id), reverse=True):
        if is_proved(copy):
            return
        if not is_compared(copy):
            yield copy


def _comparison_of(copy: Snapshot, copies: Iterable[Snapshot], policies: PolicySet) -> UnprovedCopy | None:
    """Return the comparison that a copy's rule requires; None if it requires none."""
    policy = policies.named(copy.policy)
    rule = policy.copy_rule(copy.region) if policy else None
    if rule is None:
        return None
    method = method_due(rule.verify, copy, [other for other in copies if other.id != copy.id])
    return UnprovedCopy(copy, method, rule.verify.month_usd) if method else None


def unproved_findings(
    unproved: Iterable[UnprovedCopy], sources: Mapping[str, Mapping[str, Snapshot]], now: datetime
) -> list[Finding]:
    """Return a finding for each lineage's newest unproved copy whose source exists: after its proof, older ones need none.

    `sources` has the existing snapshots, by region and id. A missing region could not be read: no comparison of its snapshots
    starts.
    """
    findings: dict[Lineage, Finding] = {}
    for unproved_copy in unproved:
        origin = unproved_copy.copy.origin
        if origin.lineage not in findings and (finding := _finding(unproved_copy, sources.get(origin.region), now)) is not None:
            findings[origin.lineage] = finding
    return list(findings.values())


def _finding(unproved_copy: UnprovedCopy, existing: Mapping[str, Snapshot] | None, now: datetime) -> Finding | None:
    copy = unproved_copy.copy
    arrived = f"{unproved_copy.arrived_at:%Y-%m-%d %H:%M} UTC"
    text = f"it arrived at {arrived}, and no comparison with {copy.origin.snapshot_id} has ended in a proof"
    if existing is None:
        text += f"; {copy.origin.region} cannot be read now"
        return Finding(FindingKind.COPY_UNPROVED, copy.id, copy.origin.volume_id, text, unproved_copy.arrived_at)
    source = existing.get(copy.origin.snapshot_id)
    if source is None or not source.completed or source.unusable is not None:
        return None
    # One name for the whole time of a comparison: sweeps in this time start no second one.
    repair = VerifyRepair(copy.id, unproved_copy.method, f"{copy.id}-again-{unproved_copy.attempt(now)}", unproved_copy.month_usd)
    return Finding(FindingKind.COPY_UNPROVED, copy.id, copy.origin.volume_id, text, unproved_copy.arrived_at, repair)
