"""Remove what a drill made: whatever carries its tag, and nothing else (INV-16)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.tag_names import DRILL
from snapkeep.usecases.drills.ports import DrillRemover, Removal
from snapkeep.usecases.ports import Clock


@dataclass(frozen=True, slots=True)
class RemoveAfterDrill:
    """Removes the volumes and snapshots of a drill."""

    ec2: DrillRemover
    clock: Clock

    def run(self, run_id: str) -> Removal:
        """Remove what can be removed now. Raise AwsThrottled or AwsUnavailable."""
        if not run_id:
            raise ValueError("a drill has a name")
        more = False
        left: list[str] = []
        for volume in self.ec2.volumes_of({DRILL: run_id}):
            if volume.tags.get(DRILL) != run_id or volume.state == "deleted":
                continue
            if volume.attachments:
                left.append(f"{volume.id} is attached to {', '.join(volume.attachments)}: detach it, and a sweep removes it")
            elif volume.state in ("creating", "deleting"):  # EC2 deletes none that is being created
                more = True
            else:
                more = self._deleted(volume.id, self.ec2.delete_volume, left) or more
        for snapshot in self.ec2.snapshots_of({DRILL: run_id}):
            if snapshot.tags.get(DRILL) == run_id:
                more = self._deleted(snapshot.id, self.ec2.delete_snapshot, left) or more
        return Removal(more, tuple(left), self.clock.now())

    @staticmethod
    def _deleted(resource_id: str, delete: Callable[[str], None], left: list[str]) -> bool:
        try:
            delete(resource_id)
        except AwsRefused as error:
            left.append(f"{resource_id} was not removed: {error}")
            return False
        return True
