"""Plan a drill of instances like their recovery, but in the isolated network. The plan is stored in the bucket."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from snapkeep.domain.drills.instances import DrillPlan, InstanceRequests, drill_plan, plan_key
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.errors import DocumentChanged, DocumentNotFound, NotIsolated
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.records import dataclass
from snapkeep.usecases.drills.ports import DrillNetworks
from snapkeep.usecases.recovery.record_ports import Documents

if TYPE_CHECKING:
    from snapkeep.domain.policy.model import PolicySet, RecoveryGroup
    from snapkeep.usecases.recovery.find_points import SnapshotLister
    from snapkeep.usecases.recovery.prepare_instance import InstanceReader

    class DrillPlanReader(InstanceReader, DrillNetworks, Protocol):
        """Reads the facts for the plan of a drill of instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPlanner:
    """Plans drills of instances, once for each."""

    reader: DrillPlanReader
    points: SnapshotLister
    documents: Documents
    policies: Callable[[], PolicySet]

    def planned(self, run: DrillRun) -> DrillRun:
        """Return a drill with its instances; a failed one if they cannot be planned."""
        group = next((group for group in self.policies().groups if group.name == run.group), None)
        if run.group and group is None:
            return run.failed(f"the policy document has no group {run.group} any more")
        try:
            plan = self._kept(run)
        except DocumentNotFound:
            try:
                plan, obstacles = self._make(run, group)
            except NotIsolated as error:
                return run.failed(str(error))
            if obstacles:
                return run.failed("; ".join(obstacles))
            with suppress(DocumentChanged):  # it was written before this step was repeated
                self.documents.put(plan_key(run.id), to_text(plan))
            plan = self._kept(run)
        return run.planned(plan, next_when_running=group is not None and not group.waits_for_checks)

    def request(self, run: DrillRun) -> InstanceRequests | None:
        """Return the requests of the next instance; None if there is none. The launch has no UEFI data."""
        place = run.next_instance
        if place is None:
            return None
        request = self._kept(run).requests[place]
        return InstanceRequests({}, request.launch) if run.instances[place].image_id else InstanceRequests(request.image, {})

    def _kept(self, run: DrillRun) -> DrillPlan:
        return from_text(DrillPlan, self.documents.get(plan_key(run.id)).text)

    def _make(self, run: DrillRun, group: RecoveryGroup | None) -> tuple[DrillPlan, list[str]]:
        # Only the first step of a drill of instances plans: other cold starts do not need these.
        from snapkeep.domain.recovery.instance_fit import InstanceOptions  # noqa: PLC0415
        from snapkeep.domain.recovery.instance_map import InstanceMap  # noqa: PLC0415
        from snapkeep.usecases.recovery.prepare_group import PrepareGroup  # noqa: PLC0415
        from snapkeep.usecases.recovery.prepare_instance import InstanceRequest, PrepareInstance  # noqa: PLC0415

        network = self.reader.drill_network(run.system)
        prepare = PrepareInstance(snapshots=self.points, reader=self.reader, documents=self.documents, network=network)
        options = InstanceOptions(InstanceMap(instance_types=run.instance_types))
        if group is not None:
            of_group = PrepareGroup(prepare=prepare).plan(group, run.point_start, options)
            stages, obstacles = of_group.stages, list(of_group.obstacles)
            moment = of_group.moment or run.point_start
        else:
            request = InstanceRequest(run.volume_id, run.point_start, options)
            plans, _ = prepare.with_room([prepare.plan_from(prepare.lineages(), request)])
            stages, obstacles, moment = (tuple(plans),), [], run.point_start
        obstacles += [f"{plan.instance_id}: {why}" for stage in stages for plan in stage for why in plan.obstacles]
        return drill_plan(stages, moment), obstacles
