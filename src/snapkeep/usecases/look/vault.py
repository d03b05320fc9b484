"""The recovery points of a vault, each with its lock and with its verdict under the vault's policy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from snapkeep.domain.model import Action, Snapshot, SnapshotLock, Verdict
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.placed_holds import PlacedHolds
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.usecases.ports import SnapshotReader
from snapkeep.usecases.retention.plan_regions import protected_ids


@dataclass(frozen=True, slots=True)
class VaultPoint:
    """One copy in a vault."""

    copy: Snapshot
    lock: SnapshotLock | None
    verdict: Verdict
    """The verdict of the vault's next sweep, under its own policy."""


def list_vault(
    reader: SnapshotReader, policies: Iterable[PolicySet], placed: PlacedHolds, now: datetime, *, system: str
) -> list[list[VaultPoint]]:
    """Return the managed copies of a vault's region, by volume, the newest first, once for each of the vault's own policies.

    The region is listed once. Raise AwsRefused, AwsThrottled or AwsUnavailable.
    """
    snapshots = [snapshot for snapshot in reader.all_snapshots() if snapshot.is_copy]
    locks = reader.locks([snapshot.id for snapshot in snapshots])
    protected = protected_ids(reader, snapshots, now, locks)
    facts = RegionFacts(reader.region, (), snapshots)
    plans = [
        plan_region(facts, of_one_policy, now, system=system, protected_ids=protected, placed=placed)
        for of_one_policy in policies
    ]
    managed = [[verdict for verdict in plan.outcomes if verdict.snapshot.managed_by(system)] for plan in plans]
    points = [
        [VaultPoint(verdict.snapshot, locks.get(verdict.snapshot.id), verdict) for verdict in verdicts] for verdicts in managed
    ]
    return [sorted(of_policies, key=_newest_first) for of_policies in points]


def of_volumes(points: Iterable[VaultPoint], volume_ids: Iterable[str]) -> list[VaultPoint]:
    """Return the points of source volumes, or of all volumes without ids."""
    named = set(volume_ids)
    return [point for point in points if not named or point.copy.origin.volume_id in named]


def deleted_points(points: Iterable[VaultPoint]) -> list[VaultPoint]:
    """Return the points that the next sweep deletes."""
    return [point for point in points if point.verdict.action is Action.DELETE]


def newly_deleted(before: Iterable[VaultPoint], after: Iterable[VaultPoint]) -> list[VaultPoint]:
    """Return the points that sweeps delete only after a change of policies."""
    deleted = {point.copy.id for point in deleted_points(before)}
    return [point for point in deleted_points(after) if point.copy.id not in deleted]


def _newest_first(point: VaultPoint) -> tuple[str, float, str]:
    origin = point.copy.origin
    return origin.volume_id, -origin.start_time.timestamp(), point.copy.id
