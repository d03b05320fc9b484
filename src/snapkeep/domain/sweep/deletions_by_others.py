"""Managed snapshots that another principal deleted: the last sweep's plan kept them, and the current rules keep them.

Pure. Snapkeep deletes only snapshots that the rules do not keep. It therefore needs no record of its own deletions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from snapkeep.domain.model import Action, Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.exclusions import NOT_COUNTED
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.region_plan import RegionFacts, RegionPlan, plan_region
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.domain.sweep.memory import KeptSnapshot, RequestedLock, SweepMemory
from snapkeep.domain.tag_names import MANAGED


def memory_of(
    plan: RegionPlan,
    snapshots: Iterable[Snapshot],
    findings: Collection[Finding],
    deletions: Mapping[str, int],
    at: datetime,
    locks: Mapping[str, datetime] = MappingProxyType({}),
    *,
    system: str,
) -> SweepMemory:
    """Return the memory of a sweep: its listing, plan, findings, deletions by day, and requested locks."""
    # The repair of a finding may make a snapshot managed before someone deletes it.
    subjects = {finding.subject for finding in findings}
    kept = (verdict for verdict in plan.outcomes if verdict.action is Action.KEEP)
    return SweepMemory(
        at,
        tuple(
            KeptSnapshot(snapshot.id, snapshot.origin, snapshot.policy)
            for verdict in kept
            if (snapshot := verdict.snapshot).completed and snapshot.managed_by(system) and NOT_COUNTED not in verdict.reasons
        ),
        tuple(snapshot.id for snapshot in snapshots if snapshot.tags.get(MANAGED) != system and snapshot.id not in subjects),
        deletions,
        tuple(RequestedLock(snapshot_id, since) for snapshot_id, since in locks.items()),
        tuple(sorted(finding.subject for finding in findings if finding.kind is FindingKind.NOT_COPYABLE)),
    )


def deleted_by_others(
    remembered: Iterable[KeptSnapshot],
    facts: RegionFacts,
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    placed: PlacedHolds = NOTHING_HELD,
) -> list[KeptSnapshot]:
    """Return the remembered snapshots that the region no longer has, although the rules or placed holds keep them.

    Sources are planned without their copies, which may have changed since. Deletions under an earlier policy that kept less are
    returned too.
    """
    present = {snapshot.id for snapshot in facts.snapshots}
    absent = [snapshot for snapshot in remembered if snapshot.id not in present]
    if not absent:
        return []
    lineages = {snapshot.origin.lineage for snapshot in absent}
    volume_ids = {lineage.volume_id for lineage in lineages if lineage.region == facts.region}
    before = replace(
        facts,
        volumes=[volume for volume in facts.volumes if volume.id in volume_ids],
        snapshots=[
            *(snapshot for snapshot in facts.snapshots if snapshot.origin.lineage in lineages),
            *(snapshot.restored(facts.region, system) for snapshot in absent),
        ],
    )
    plan = plan_region(before, _for_one_region(policies, facts.region), now, system=system, placed=placed)
    kept = {verdict.snapshot.id for verdict in plan.verdicts if verdict.action is Action.KEEP}
    return [snapshot for snapshot in absent if snapshot.id in kept]


def _for_one_region(policies: PolicySet, region: str) -> PolicySet:
    """Return the policies without copies in other regions and without tags of snapshots: no sweep remembers these."""
    own = [
        replace(
            policy,
            copies=tuple(rule for rule in policy.copies if rule.region == region),
            selector=replace(policy.selector, snapshot_tags={}),
        )
        for policy in policies.policies
    ]
    return replace(policies, policies=tuple(own))


def is_own_deletion(who: str, system: str) -> bool:
    """Whether an ARN is the session of this system's DeleteOldSnapshots: Lambda names a function's session after it."""
    return who.endswith(f"/DeleteOldSnapshots{system.removeprefix('snapkeep')}") and ":assumed-role/" in who


def findings_of(deleted: Collection[KeptSnapshot], by: dict[str, str], since: datetime, system: str) -> list[Finding]:
    """Return a finding for each deleted snapshot.

    `by` has the ARN of the principal that deleted it, by snapshot, as far as known.
    """
    return [
        Finding(
            FindingKind.DELETED_BY_OTHERS,
            snapshot.id,
            snapshot.origin.volume_id,
            f"deleted after {since:%Y-%m-%d %H:%M} UTC; by: {by.get(snapshot.id) or 'not known'}",
        )
        for snapshot in deleted
        if not is_own_deletion(by.get(snapshot.id, ""), system)
    ]
