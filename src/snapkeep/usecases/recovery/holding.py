"""Hold the points of a recovery, and release those without another holder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.holders import holder_tag
from snapkeep.domain.tag_names import HOLD, HOLDER
from snapkeep.domain.tags import has_room


class SnapshotTags(Protocol):
    """Reads and writes the tags of snapshots. Raises AwsRefused, AwsThrottled, AwsUnavailable, SnapshotGone."""

    def tags_of(self, snapshot_ids: Collection[str]) -> dict[str, Mapping[str, str]]:
        """Return the tags of the snapshots that exist."""

    def tag_snapshots(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> None:
        """Write tags of snapshots."""

    def untag_snapshots(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> None:
        """Remove tags of snapshots, where they have these values."""


@dataclass(frozen=True, slots=True)
class PointHolds:
    """Holds points for runs. Each call may be repeated after it was interrupted, and while other runs hold and release."""

    ec2: SnapshotTags

    def hold(self, snapshot_ids: Collection[str], run_id: str, since: datetime) -> list[str]:
        """Hold the points; return those whose tags leave no room for it. Raise SnapshotGone."""
        tags, own = self.ec2.tags_of(snapshot_ids), holder_tag(run_id, since)
        full = [point_id for point_id in snapshot_ids if not has_room(tags.get(point_id, {}), {HOLD, *own})]
        of_persons = [point_id for point_id in snapshot_ids if _is_of_a_person(tags.get(point_id, {}))]
        free = [point_id for point_id in snapshot_ids if point_id not in {*full, *of_persons}]
        # The value of a run is replaced: the run removes the tag only while it names the run. A person's value stays.
        if free:
            self.ec2.tag_snapshots(free, {HOLD: run_id} | own)
        if held := [point_id for point_id in of_persons if point_id not in full]:
            self.ec2.tag_snapshots(held, own)
        return full

    def release(self, snapshot_ids: Collection[str], run_id: str) -> None:
        """Release the points that still exist. If a point has other holders, the shared key names one of them."""
        key = f"{HOLDER}{run_id}"
        ended = {point_id: {run_id} for point_id in snapshot_ids}  # the values of the shared key that may be replaced
        changed: Collection[str] = snapshot_ids
        while changed:  # checks each changed point again, because others hold and release points at the same time
            listed, changed = self.ec2.tags_of(changed), []
            for point_id, tags in listed.items():
                other_runs = sorted(tag.removeprefix(HOLDER) for tag in tags if tag.startswith(HOLDER) and tag != key)
                shown = tags.get(HOLD, "")
                to_remove = {key: tags[key]} if key in tags else {}
                if not shown or (shown in ended[point_id] and shown not in other_runs):
                    if other_runs:
                        self.ec2.tag_snapshots([point_id], {HOLD: other_runs[0]})
                        ended[point_id].add(other_runs[0])
                        changed.append(point_id)
                    elif shown:  # in one call with its own key: who sees the one without the other takes it for a person's
                        to_remove[HOLD] = shown
                if to_remove:  # by key and value: a recovery that begins in this moment has written another value
                    self.ec2.untag_snapshots([point_id], to_remove)
                    changed.append(point_id)


def _is_of_a_person(tags: Mapping[str, str]) -> bool:
    return HOLD in tags and f"{HOLDER}{tags[HOLD]}" not in tags
