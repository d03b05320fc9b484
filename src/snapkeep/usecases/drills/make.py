"""Make the next resource of a drill: a volume of a point and its snapshot, or an AMI of points and its instance.

Each is tagged in the call that makes it.
"""

from __future__ import annotations

from snapkeep.domain.drills.commands import role_of_instances
from snapkeep.domain.drills.instances import InstanceRequests
from snapkeep.domain.drills.network import missing_for_commands, ways_out
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.errors import AwsRefused, NotIsolated
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import DRILL, INSTANCE
from snapkeep.usecases.drills.ports import DrillMaker, MadeResource
from snapkeep.usecases.recovery.states import GONE

_ENDED = ("deleting", "deleted", "error")


@dataclass(frozen=True, slots=True)
class MakeForDrill:
    """Makes the next resource of a drill. Resources of an earlier call are found by their tag, and not made again."""

    ec2: DrillMaker

    def run(self, run: DrillRun, request: InstanceRequests | None = None) -> MadeResource:
        """Return the resource that was made; `request` is that of the next instance.

        Raise NotIsolated, and the errors of the port.
        """
        if run.of_instances:
            return self._of_instance(run, request)
        return MadeResource(snapshot_id=self._snapshot(run)) if run.restored_id else MadeResource(volume_id=self._volume(run))

    def _of_instance(self, run: DrillRun, request: InstanceRequests | None) -> MadeResource:
        place = run.next_instance
        if place is None or request is None:
            raise ValueError(f"{run.id} needs no instance now")
        instance, name = run.instances[place], f"{run.id}-{place + 1}"
        tags = run.tags_of(instance)
        own = {DRILL: run.id, INSTANCE: instance.instance_id}
        network = self.ec2.drill_network(run.system)
        # The network is checked before each call: a route may have been added since the drill was planned.
        facts = self.ec2.network_facts(network)
        if ways := ways_out(network, facts):
            raise NotIsolated(f"nothing was made, as the network of drills is not isolated: {'; '.join(ways)}")
        if run.command and (missing := missing_for_commands(network, facts)):
            raise AwsRefused(
                f"no command reaches an instance, as the network of drills has no endpoint of {', '.join(missing)}: "
                "`snapkeep deploy --only drill --drill-parameter CommandEndpoints=yes` makes them"
            )
        if not instance.image_id:
            if not self.ec2.images_of(own):
                self.ec2.register_image(request.image, name, tags)
            # EC2 may show a new AMI late: then this step is repeated.
            return MadeResource(image_id=next((image.id for image in self.ec2.images_of(own)), ""))
        launch = {**request.launch, "SubnetId": network.subnet_id, "SecurityGroupIds": list(network.group_ids)}
        if run.command:
            launch["IamInstanceProfile"] = {"Name": role_of_instances(network.system, network.region)}
        made = [known.id for known in self.ec2.instances_of(own) if known.state not in GONE]
        return MadeResource(
            instance_id=made[0] if made else self.ec2.run_instance(launch, instance.image_id, tags, tags, name)[0]
        )

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
