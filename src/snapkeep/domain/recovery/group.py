"""A recovery group: its members, the common moment of their recovery, and the order of their launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import DEFAULT_RPO, RecoveryGroup
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.instance_plan import InstancePlan
from snapkeep.domain.recovery.record import InstanceSettings
from snapkeep.domain.wildcards import matches_any


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """The steps of a group's recovery, before consent."""

    name: str
    moment: datetime | None
    """The common moment: no member's data is newer; None without a member."""
    stages: tuple[tuple[InstancePlan, ...], ...]
    """The stages: each is launched once the one before it is ready."""
    obstacles: tuple[str, ...]
    """The obstacles of the group; each plan has its own too."""

    @property
    def hindered(self) -> bool:
        """Whether the group or one of its instances has an obstacle."""
        return bool(self.obstacles) or any(plan.obstacles for stage in self.stages for plan in stage)


def is_member(group: RecoveryGroup, instance: InstanceSettings) -> bool:
    """Whether an instance has every tag of a group."""
    tags = instance.identity.tags
    return all(key in tags and matches_any(tags[key], patterns) for key, patterns in group.instances.tags.items())


def one_moment(newest: Mapping[str, datetime]) -> tuple[datetime | None, list[str]]:
    """Return the newest moment to which every instance can be recovered, and the instances that are too far behind.

    `newest` has the moment of each instance's newest points. An instance far behind the others was probably replaced. Without a
    warning, the whole group would be recovered to the last day of this instance.
    """
    if not newest:
        return None, []
    latest = max(newest.values())
    behind = {instance_id: latest - moment for instance_id, moment in newest.items() if latest - moment > DEFAULT_RPO}
    obstacles = [
        f"{instance_id}: its newest data is {counted(int(span.total_seconds() // 3600), 'hour')} older than that of others: "
        f"leave it out with --without {instance_id}, or take the group back with --at"
        for instance_id, span in behind.items()
    ]
    return min(newest.values()), obstacles


def stages_of(group: RecoveryGroup, plans: Sequence[InstancePlan]) -> tuple[tuple[tuple[InstancePlan, ...], ...], list[str]]:
    """Return the plans in the group's order, with those that it does not name at the end, and remarks about unused patterns."""
    rest, stages, missing = list(plans), [], []
    for pattern in group.order:
        stage = tuple(plan for plan in rest if matches_any(plan.name, [pattern]))
        rest = [plan for plan in rest if plan not in stage]
        if stage:
            stages.append(stage)
        else:
            missing.append(f"order: no instance of {group.name} that can be recovered is named {pattern}")
    return tuple(filter(None, (*stages, tuple(rest)))), missing
