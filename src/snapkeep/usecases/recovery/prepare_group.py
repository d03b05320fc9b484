"""Plan the recovery of a group: find its members by their records, and choose one moment for all of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from snapkeep.domain.policy.model import RecoveryGroup
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import Lineages, choose_points, volumes_of_instance
from snapkeep.domain.recovery.group import GroupPlan, is_member, one_moment, stages_of
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.record import RecoveryRecord
from snapkeep.domain.tag_names import INSTANCE
from snapkeep.usecases.recovery.prepare_instance import InstanceRequest, PrepareInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareGroup:
    """Makes the plan of a group's recovery."""

    prepare: PrepareInstance

    def plan(self, group: RecoveryGroup, at: datetime, options: InstanceOptions, without: Collection[str] = ()) -> GroupPlan:
        """Return the plan, with every obstacle that can be known. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        lineages = self.prepare.lineages()
        members, obstacles = self._members(lineages, group, at, without)
        if not members and not obstacles:
            obstacles.append(f"{group.name}: no recovery point in {lineages.region} is of an instance with its tags")
        newest = {}
        for instance_id, record in members.items():
            choice = choose_points(lineages, [volume.volume_id for volume in record.volumes], at)
            if choice.points:
                newest[instance_id] = max(point.origin.start_time for point in choice.points)
        moment, behind = one_moment(newest)
        if moment:
            moment = max([moment, *(whole_from(lineages, instance_id, members[instance_id], moment) for instance_id in newest)])
        requests = [InstanceRequest(instance_id, moment or at, options) for instance_id in members]
        plans, exceeded = self.prepare.with_room([self.prepare.plan_from(lineages, request) for request in requests])
        stages, missing = stages_of(group, plans)
        return GroupPlan(group.name, moment, stages, (*obstacles, *behind, *missing, *exceeded))

    def _members(
        self, lineages: Lineages, group: RecoveryGroup, at: datetime, without: Collection[str]
    ) -> tuple[dict[str, RecoveryRecord], list[str]]:
        """Return the records of the members, and which instances are perhaps members."""
        points = [point for volume_id in lineages.by_volume if (point := lineages.newest(volume_id, at))]
        known = {point.tags[INSTANCE] for point in points if INSTANCE in point.tags}
        members = {}
        obstacles = [
            f"--without {name}: no recovery point is of an instance with this id" for name in without if name not in known
        ]
        for instance_id in sorted(known.difference(without)):
            record, notes = self.prepare.record_at(lineages, instance_id, at)
            if record is None:
                obstacles.append(
                    f"{instance_id}: whether it belongs to {group.name} is not known: {'; '.join(notes)}. "
                    f"--without {instance_id} leaves it out"
                )
            elif record.instance and is_member(group, record.instance):
                members[instance_id] = record
        return members, obstacles


def whole_from(lineages: Lineages, instance_id: str, record: RecoveryRecord, moment: datetime) -> datetime:
    """Return the first moment, not before another, at which an instance can be whole: its first points may be newer than it.

    An instance that had other volumes then, because its root volume was replaced since, is whole with those.
    """
    volumes = [volume.volume_id for volume in record.volumes]
    if not set(volumes_of_instance(lineages, instance_id, moment)) <= set(volumes):
        return moment
    first = [point.origin.start_time for volume_id in volumes if (point := lineages.oldest(volume_id))]
    return max([moment, *first])
