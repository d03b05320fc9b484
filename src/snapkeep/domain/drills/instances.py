"""The instances of a drill as data: the progress of each, the next resource to make, and the requests that make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.domain.commands import CommandResult
from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.launch_facts import Billing

if TYPE_CHECKING:
    from snapkeep.domain.recovery.instance_plan import InstancePlan


@dataclass(frozen=True, slots=True)
class DrilledInstance:
    """One instance of a drill, and its progress."""

    instance_id: str
    """The instance whose points are restored."""
    stage: int
    """Instances of one stage are launched at the same time, once those of the stages before are ready."""
    volumes: tuple[str, ...]
    """The volumes whose points are restored."""
    points: tuple[str, ...]
    billing: Billing
    """The recorded billing: an AMI with another billing is not launched."""
    image_id: str = field(default="", metadata=OPTIONAL)
    image_checked: bool = field(default=False, metadata=OPTIONAL)
    """Whether the AMI is available and billed as recorded."""
    restored_id: str = field(default="", metadata=OPTIONAL)
    running_at: datetime | None = field(default=None, metadata=OPTIONAL)
    checked_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when both status checks passed."""
    progress_percent: int = field(default=0, metadata=OPTIONAL)
    """The progress of the initialisation of its volumes."""
    initialised_at: datetime | None = field(default=None, metadata=OPTIONAL)
    command_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when the command was sent."""
    command_lost_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time of a call whose result is not known: the command may run. It is not sent again before Systems Manager would list
    it."""
    command: CommandResult | None = field(default=None, metadata=OPTIONAL)

    @property
    def command_ended(self) -> bool:
        """Whether its command has ended, with success or without."""
        return self.command is not None and self.command.ended

    def is_ready(self, *, when_running: bool) -> bool:
        """Whether the next stage may be launched."""
        return (self.running_at if when_running else self.checked_at) is not None


def next_to_make(instances: Sequence[DrilledInstance], *, when_running: bool) -> int | None:
    """Return the index of the instance whose AMI is registered, or which is launched, next; None if a wait is next.

    All AMIs are registered, and their billing checked, before anything is launched, as in recoveries.
    """
    without_image = next((place for place, instance in enumerate(instances) if not instance.image_id), None)
    if without_image is not None:
        return without_image
    waiting = [instance.stage for instance in instances if not instance.is_ready(when_running=when_running)]
    if not waiting or not all(instance.image_checked for instance in instances):
        return None
    launched = (place for place, instance in enumerate(instances) if instance.stage == min(waiting) and not instance.restored_id)
    return next(launched, None)


@dataclass(frozen=True, slots=True)
class InstanceRequests:
    """The requests that make an instance, without names, tags and tokens."""

    image: Mapping[str, Any]
    """The parameters of RegisterImage."""
    launch: Mapping[str, Any]
    """The parameters of RunInstances, without the AMI."""


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """The plan of a drill of instances. It is stored apart from the run: UEFI data alone may be 64,000 characters."""

    moment: datetime
    """The moment of the recovery: no point has newer data."""
    size_gib: int
    instances: tuple[DrilledInstance, ...]
    requests: tuple[InstanceRequests, ...]


def plan_key(run_id: str) -> str:
    """Return the name of a drill's plan in the bucket."""
    return f"drill-plans/{run_id}.json"


def drill_plan(stages: Iterable[Sequence[InstancePlan]], moment: datetime) -> DrillPlan:
    """Return the plan of a drill of instances from the plans of their recovery."""
    planned = [(number, plan) for number, stage in enumerate(stages) for plan in stage]
    instances = tuple(
        DrilledInstance(
            plan.instance_id,
            number,
            tuple(volume.point.origin.volume_id for volume in plan.volumes),
            plan.point_ids,
            plan.billing,
        )
        for number, plan in planned
    )
    size_gib = sum(volume.size_gib for _, plan in planned for volume in plan.volumes)
    requests = tuple(InstanceRequests(plan.image, plan.launch) for _, plan in planned)
    return DrillPlan(moment, size_gib, instances, requests)
