"""Remove the resources of a drill: everything with its tag, and nothing else (INV-16)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import DRILL, SYSTEM
from snapkeep.usecases.drills.ports import DrillRemover, Removal
from snapkeep.usecases.ports import Clock

MOST_ROUNDS = 240
"""The number of rounds of a removal, 15 seconds apart: an hour. A sweep after the drill's end removes the rest, and an
execution has at most 25,000 events (Step Functions: quotas)."""


@dataclass(frozen=True, slots=True)
class RemoveAfterDrill:
    """Removes the instances, AMIs, volumes and snapshots of a drill."""

    ec2: DrillRemover
    clock: Clock
    system: str

    def run(self, run_id: str, before: Removal | None = None) -> Removal:
        """Remove the resources that can be removed now, after the previous round. Raise AwsThrottled or AwsUnavailable."""
        if not run_id:
            raise ValueError("a drill has a name")
        stuck: list[str] = []
        between: list[str] = []
        ended = self._end_machines(run_id, stuck, between)
        for volume in self.ec2.volumes_of({DRILL: run_id}):
            if not self._is_own(volume.tags, run_id) or volume.state == "deleted":
                continue
            if volume.attachments and volume.attachments.keys() <= ended:
                between.append(f"{volume.id} is still attached to {', '.join(volume.attachments)}")
            elif volume.attachments:
                stuck.append(f"{volume.id} is attached to {', '.join(volume.attachments)}: detach it, and a sweep removes it")
            elif volume.state in ("creating", "deleting"):  # EC2 does not delete a volume that is being created
                between.append(f"{volume.id} is still {volume.state}")
            else:
                self._delete(volume.id, self.ec2.delete_volume, stuck, between)
        for snapshot in self.ec2.snapshots_of({DRILL: run_id}):
            if self._is_own(snapshot.tags, run_id):
                self._delete(snapshot.id, self.ec2.delete_snapshot, stuck, between)
        rounds = 1 + (before.rounds if before else 0)
        is_last = rounds >= MOST_ROUNDS
        return Removal(bool(between) and not is_last, (*stuck, *(between if is_last else ())), self.clock.now(), rounds)

    def _end_machines(self, run_id: str, stuck: list[str], between: list[str]) -> set[str]:
        """Terminate the instances and deregister the AMIs of a drill; return the instances."""
        instances = [instance for instance in self.ec2.instances_of({DRILL: run_id}) if self._is_own(instance.tags, run_id)]
        for instance in instances:
            if instance.state == "shutting-down":
                between.append(f"{instance.id} is still {instance.state}")
            elif instance.state != "terminated":
                self._delete(instance.id, self.ec2.end_instance, stuck, between)
        for image in self.ec2.images_of({DRILL: run_id}):
            if self._is_own(image.tags, run_id):
                self._delete(image.id, self.ec2.deregister_image, stuck, between)
        return {instance.id for instance in instances}

    def _is_own(self, tags: Mapping[str, str], run_id: str) -> bool:
        """Whether the drill made the resource. Drills of earlier versions name no system."""
        return tags.get(DRILL) == run_id and tags.get(SYSTEM, self.system) == self.system

    @staticmethod
    def _delete(resource_id: str, delete: Callable[[str], None], stuck: list[str], between: list[str]) -> None:
        try:
            delete(resource_id)
        except AwsRefused as error:
            stuck.append(f"{resource_id} was not removed: {error}")
        else:
            between.append(f"{resource_id} was deleted, and EC2 still lists it")
