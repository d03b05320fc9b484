"""Find recovery points in the regions that can be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.selection import select
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.changes import UnusualChange
from snapkeep.domain.recovery.choice import Lineages, PointChoice, Target, choose_points, lineages_of

NO_CHANGES: Mapping[str, UnusualChange] = MappingProxyType({})
NOTHING_EXPECTED: Mapping[str, Collection[str]] = MappingProxyType({})


class SnapshotLister(Protocol):
    """Lists the snapshots of one region."""

    def all_snapshots(self) -> Iterable[Snapshot]:
        """Return every snapshot that the account owns in the region. Raise AwsRefused, AwsThrottled or AwsUnavailable."""


@dataclass(frozen=True, slots=True)
class BeforeChange:
    """An unusual change of a volume, and the last recovery point before it in a region; None if there is none."""

    change: UnusualChange
    point: Snapshot | None


@dataclass(frozen=True, slots=True)
class RegionPoints:
    """The choice of points in one region, by instance or volume."""

    region: str
    choices: Mapping[str, PointChoice]
    problem: str = ""
    """The reason why the region was not read; then nothing is known about it."""
    before: Mapping[str, BeforeChange] = field(default_factory=dict)
    """The unusual changes of chosen volumes, by volume."""


def find_points(
    readers: Mapping[str, SnapshotLister],
    target: Target,
    at: datetime,
    changes: Mapping[str, UnusualChange] = NO_CHANGES,
    expected: Mapping[str, Collection[str]] = NOTHING_EXPECTED,
) -> list[RegionPoints]:
    """Return the recovery points in each region. A region that cannot be read is included with its problem.

    `changes` has the newest unusual change by volume, `expected` by region the volumes that are named even if they have no
    snapshot there.
    """
    regions: list[RegionPoints] = []
    for region, reader in readers.items():
        try:
            lineages = lineages_of(region, reader.all_snapshots())
        except SnapkeepError as error:
            regions.append(RegionPoints(region, {}, f"{region} was not looked at: {error}"))
            continue
        regions.append(points_in(lineages, target, at, changes, expected.get(region, ())))
    return regions


def expected_points(volumes: Iterable[Volume], policies: PolicySet, target: Target) -> dict[str, list[str]]:
    """Return by region the volumes of a target without names that must be recoverable there: their policies say so."""
    expected: dict[str, list[str]] = defaultdict(list)
    for volume in volumes:
        policy = select(volume, policies).policy
        if policy and target.takes(policy.name, volume.tags):
            for region in (volume.region, *policy.copy_regions):
                expected[region].append(volume.id)
    return expected


def points_in(
    lineages: Lineages,
    target: Target,
    at: datetime,
    changes: Mapping[str, UnusualChange] = NO_CHANGES,
    expected: Collection[str] = (),
) -> RegionPoints:
    """Return the recovery points in a listed region."""
    groups = target.groups(lineages, at)
    named = {volume_id for volume_ids in groups.values() for volume_id in volume_ids}
    groups |= {volume_id: [volume_id] for volume_id in expected if volume_id not in named}
    choices = {owner: choose_points(lineages, volume_ids, at) for owner, volume_ids in groups.items()}
    chosen = {point.origin.volume_id for choice in choices.values() for point in choice.points}
    before = {volume_id: before_change(lineages, change) for volume_id, change in changes.items() if volume_id in chosen}
    return RegionPoints(lineages.region, choices, before=before)


def before_change(lineages: Lineages, change: UnusualChange) -> BeforeChange:
    """Return an unusual change with the last point before it in a region."""
    # The snapshot that shows the change begins at this moment.
    return BeforeChange(change, lineages.newest(change.volume_id, change.start_time - timedelta(seconds=1)))
