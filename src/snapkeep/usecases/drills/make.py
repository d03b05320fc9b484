"""Make a volume of a recovery point, or a snapshot of that volume, for a drill; each is tagged in the call that makes it."""

from __future__ import annotations

from dataclasses import dataclass

from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.tag_names import DRILL
from snapkeep.usecases.drills.ports import DrillMaker, Made

_ENDED = ("deleting", "deleted", "error")


@dataclass(frozen=True, slots=True)
class MakeForDrill:
    """Makes what a drill needs next. What an earlier call made is found by its tag, and not made again."""

    ec2: DrillMaker

    def run(self, run: DrillRun) -> Made:
        """Return the volume, or the snapshot of the volume. Raise AwsRefused and what else the port raises."""
        return Made(snapshot_id=self._snapshot(run)) if run.restored_id else Made(volume_id=self._volume(run))

    def _volume(self, run: DrillRun) -> str:
        made = [volume.id for volume in self.ec2.volumes_of({DRILL: run.id}) if volume.state not in _ENDED]
        if made:
            return made[0]
        zones = self.ec2.zones()
        if not zones:
            raise AwsRefused(f"{run.region} has no Availability Zone that can be used")
        return self.ec2.create_volume(run.request(zones[0]), run.tags, run.id)[0]

    def _snapshot(self, run: DrillRun) -> str:
        made = [snapshot.id for snapshot in self.ec2.snapshots_of({DRILL: run.id}) if snapshot.state not in _ENDED]
        description = f"Snapkeep drill {run.id}: a snapshot of what {run.point} became"
        return made[0] if made else self.ec2.create_snapshot(run.restored_id, description, run.tags)
