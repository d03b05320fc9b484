"""Find recovery points in the regions that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.choice import PointChoice, Target, choose_points, lineages_of


class SnapshotLister(Protocol):
    """Lists the snapshots of one region."""

    def all_snapshots(self) -> Iterable[Snapshot]:
        """Return every snapshot that the account owns in the region. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class RecoverableThings:
    """The choice of points in one region, by instance or volume."""

    region: str
    choices: Mapping[str, PointChoice]
    problem: str = ""
    """Why the region was not read; nothing is known of it then."""


def find_points(readers: Mapping[str, SnapshotLister], target: Target, at: datetime) -> list[RecoverableThings]:
    """Return what can be recovered in each region. A region that cannot be read is among them, with its problem."""
    found: list[RecoverableThings] = []
    for region, reader in readers.items():
        try:
            lineages = lineages_of(region, reader.all_snapshots())
        except SnapkeepError as error:
            found.append(RecoverableThings(region, {}, f"{region} was not looked at: {error}"))
            continue
        groups = target.groups(lineages, at)
        choices = {owner: choose_points(lineages, volume_ids, at) for owner, volume_ids in groups.items()}
        found.append(RecoverableThings(region, choices))
    return found
