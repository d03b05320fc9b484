"""Plan the recovery of instances: read the points, the records, the place to launch in and what EC2 would refuse."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from snapkeep.domain.drills.network import DrillNetwork, isolated
from snapkeep.domain.errors import DocumentNotFound, SnapkeepError
from snapkeep.domain.model import KeyFault, Unusable
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import Lineages, PointChoice, Target, choose_points, lineages_of, volumes_of_instance
from snapkeep.domain.recovery.holders import TRIAL_HOLD
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.instance_map import ProposedMap, propose_map, translate
from snapkeep.domain.recovery.instance_plan import (
    InstancePlan,
    missing_addresses,
    no_plan,
    plan_instance,
    plan_root,
    required_volumes,
)
from snapkeep.domain.recovery.instance_steps import instance_steps
from snapkeep.domain.recovery.launch_facts import LaunchInventory, LaunchSite
from snapkeep.domain.recovery.rates import rate_remarks
from snapkeep.domain.recovery.record import InstanceSettings, RecoveryRecord
from snapkeep.domain.recovery.recovery_plan import STEP_TAGS, RecoveryRun
from snapkeep.domain.recovery.region_quotas import RegionQuotas, storage_of, vcpus_of
from snapkeep.usecases.recovery.begin import new_run
from snapkeep.usecases.recovery.find_points import SnapshotLister
from snapkeep.usecases.recovery.prepare import RegionReader, repetitions
from snapkeep.usecases.recovery.read_records import newest_record, records_of
from snapkeep.usecases.recovery.record_ports import Documents


class InstanceReader(RegionReader, Protocol):
    """Reads what the plan of an instance needs besides, and tries its requests as dry runs."""

    def refusal_of_image(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why RegisterImage would be refused, by a dry run; empty if it would not."""

    def refusal_of_root(self, instance_id: str, snapshot_id: str, tags: Mapping[str, str]) -> str:
        """Return why CreateReplaceRootVolumeTask would be refused, by a dry run; empty if it would not."""

    def site(
        self, *, subnet_id: str, group_ids: Collection[str], instance_type: str, key_pair: str, address: str, instance_id: str
    ) -> LaunchSite:
        """Return the place to launch in; `instance_id` is the recorded instance, empty if it is of another region."""

    def inventory(self, instance_types: Collection[str]) -> LaunchInventory:
        """Return what the region has that instances can be launched with."""

    def vcpus(self) -> RegionQuotas:
        """Return the quotas of vCPUs, as far as they are known, and how many run in On-Demand instances."""


@dataclass(frozen=True, slots=True)
class InstanceRequest:
    """The request of a person."""

    instance: str
    """Id of an instance, or the tag `Name` of its volumes."""
    at: datetime
    options: InstanceOptions
    replace_root: bool = False
    """Whether the root volume of the standing instance is replaced, and nothing is launched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareInstance:
    """Makes the plan of an instance's recovery."""

    snapshots: SnapshotLister
    reader: InstanceReader
    documents: Documents | None
    """None where the bucket cannot be reached: no instance can be planned then."""
    fault_of_key: Callable[[str], KeyFault | None] = lambda _: None
    """Returns why a KMS key of the region cannot be used. Raises AwsThrottled or AwsUnavailable."""
    network: DrillNetwork | None = None
    """The isolated network of drills; None for recoveries. A drill makes no dry runs: its role that plans can make nothing."""

    def plan(self, request: InstanceRequest) -> InstancePlan:
        """Return the plan, with every obstacle that can be known. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        plans, _ = self.with_room([self.plan_from(self.lineages(), request)])
        return plans[0]

    def lineages(self) -> Lineages:
        """Return the snapshots of the region, to plan several instances from one listing."""
        return lineages_of(self.reader.region, self.snapshots.all_snapshots())

    def plan_from(self, lineages: Lineages, request: InstanceRequest) -> InstancePlan:
        """Return the plan of an instance from a listing that was read before; whether there is room is left open."""
        region = self.reader.region
        named = self._named(lineages, request)
        if len(named) != 1:
            several = f"several instances: {', '.join(named)}; name one"
            words = several if named else lineages.why_unnamed(request.instance, request.at)
            return no_plan(region, request.instance, f"{request.instance}: {words}")
        record, notes = self.record_at(lineages, named[0], request.at)
        if record is None or record.instance is None:
            advice = f"recover its volumes instead: snapkeep recover volume {named[0]} --in {region}"
            return no_plan(region, named[0], *(notes or ("no recovery record",)), advice)
        if request.replace_root:
            plan = self._plan_root(lineages, record, request)
        else:
            plan = self._plan_launch(lineages, record, record.instance, request)
        plan = replace(plan, remarks=(*plan.remarks, *notes))
        if plan.obstacles or self.network is not None:
            return plan
        return replace(plan, obstacles=tuple(self._refusals(plan)))

    def with_room(self, plans: Sequence[InstancePlan]) -> tuple[list[InstancePlan], list[str]]:
        """Return plans that are carried out together with what the quotas do not admit of each, and of all of them together.

        The region is listed once, and not for plans with obstacles.
        """
        if not plans or any(plan.obstacles for plan in plans):
            return list(plans), []
        volumes = [volume for plan in plans for volume in plan.volumes]
        storage = self.reader.storage({volume.volume_type for volume in volumes})
        vcpus = RegionQuotas() if all(plan.replaces_root for plan in plans) else self.reader.vcpus()
        rates = tuple(rate_remarks(len(volumes), plans[0].rate_mibps))
        # Drills clean up after themselves, and are repetitions.
        made = [] if self.network else self.reader.recovered_from({point for plan in plans for point in plan.point_ids})
        checked = [
            replace(
                plan,
                obstacles=(*storage.obstacles(storage_of(plan.volumes)), *vcpus.obstacles(vcpus_of([plan]))),
                remarks=(
                    *plan.remarks,
                    *rates,
                    *storage.remarks(storage_of(plan.volumes)),
                    *vcpus.remarks(vcpus_of([plan])),
                    *repetitions(made, plan.point_ids),
                ),
                together=len(volumes),
            )
            for plan in plans
        ]
        together = [*storage.obstacles(storage_of(volumes)), *vcpus.obstacles(vcpus_of(plans)), *missing_addresses(plans)]
        return checked, [] if any(plan.obstacles for plan in checked) else together

    def _named(self, lineages: Lineages, request: InstanceRequest) -> list[str]:
        if request.instance.startswith("i-"):
            return [request.instance] if volumes_of_instance(lineages, request.instance, request.at) else []
        groups = Target((request.instance,)).groups(lineages, request.at)
        return [owner for owner, volume_ids in groups.items() if owner.startswith("i-") and volume_ids]

    def record_at(self, lineages: Lineages, instance_id: str, at: datetime) -> tuple[RecoveryRecord | None, list[str]]:
        """Return the record of the instance's newest point up to a moment: it says which volumes the instance had then."""
        points = [point for volume in volumes_of_instance(lineages, instance_id, at) if (point := lineages.newest(volume, at))]
        if not points:
            return None, [lineages.why_unnamed(instance_id, at)]
        newest = max(points, key=lambda point: (point.origin.start_time, point.id))
        records, notes = records_of(self.documents, [newest])
        return records.get(newest.id), notes

    def _plan_launch(
        self, lineages: Lineages, record: RecoveryRecord, instance: InstanceSettings, request: InstanceRequest
    ) -> InstancePlan:
        options, same_region = request.options, record.region == self.reader.region or self.network is not None
        if self.network is not None:
            record = isolated(record, self.network)
            instance = record.instance or instance
        volume_ids, problems = required_volumes(record, options.without)
        choice = choose_points(lineages, volume_ids, request.at)
        words = translate(instance, options.names, same_region=same_region)
        site = self.reader.site(
            subnet_id=words.subnet,
            group_ids=[group for group in words.security_groups if group],
            instance_type=words.instance_type,
            key_pair=words.key_pair,
            address=instance.network.address,
            instance_id=instance.instance_id if same_region else "",
        )
        plan = plan_instance(choice, record, self._data_bytes(choice), words, site, options)
        unknown, unusable = self._faults_of_keys(plan)
        return replace(plan, remarks=(*plan.remarks, *unknown), obstacles=(*problems, *plan.obstacles, *unusable))

    def _faults_of_keys(self, plan: InstancePlan) -> tuple[list[str], list[str]]:
        """Return the keys of the map whose state is not known, and those that cannot be used, in words.

        A launch with one that cannot be used ends in `terminated`, without a reason. The keys of points were looked at with them.
        """
        unknown: list[str] = []
        unusable: list[str] = []
        for mapping in plan.launch["BlockDeviceMappings"]:
            key = mapping["Ebs"].get("KmsKeyId")
            if key and (fault := self.fault_of_key(key)):
                words = unknown if fault.reason is Unusable.KEY_NOT_KNOWN else unusable
                words.append(f"{mapping['DeviceName']}: {fault.text} ({key}, by the map)")
        return unknown, unusable

    def _plan_root(self, lineages: Lineages, record: RecoveryRecord, request: InstanceRequest) -> InstancePlan:
        root = [volume.volume_id for volume in record.volumes if volume.root]
        choice = choose_points(lineages, root, request.at)
        standing = ""
        if record.instance and record.region == self.reader.region:
            site = self.reader.site(
                subnet_id="",
                group_ids=(),
                instance_type=record.instance.shape.instance_type,
                key_pair="",
                address="",
                instance_id=record.instance.instance_id,
            )
            standing = site.standing
        return plan_root(
            choice, record, self._data_bytes(choice), self.reader.region, standing, rate_mibps=request.options.rate_mibps
        )

    def _data_bytes(self, choice: PointChoice) -> dict[str, int]:
        return self.reader.data_bytes([point.id for point in choice.points])

    def _refusals(self, plan: InstancePlan) -> list[str]:
        trial, points = dict.fromkeys(STEP_TAGS, "dry-run"), list(plan.point_ids)
        refusal = (
            self.reader.refusal_of_root(plan.instance_id, points[0], trial)
            if plan.replaces_root
            else self.reader.refusal_of_image(plan.image, trial)
        )
        return [why for why in (refusal, self.reader.refusal_of_tags(points, TRIAL_HOLD)) if why]


SubnetNames = Callable[[str, Collection[str]], Mapping[str, str]]
"""Returns the tags `Name` of subnets of a region. Raises SnapkeepError where it cannot be read."""


def first_map(
    documents: Documents, reader: InstanceReader, instance_ids: Sequence[str], subnet_names: SubnetNames
) -> tuple[ProposedMap, list[str]]:
    """Return a first map for instances by their newest records, and what was not looked at. Raise DocumentNotFound."""
    records = [_newest_of(documents, instance_id) for instance_id in instance_ids]
    instances = [record.instance for record in records if record.instance]
    inventory = reader.inventory({instance.shape.instance_type for instance in instances})
    names: dict[str, str] = {}
    notes: dict[str, None] = {}
    for record in records:
        if record.instance and record.instance.network.subnet_id not in names:
            try:
                names |= subnet_names(record.region, [record.instance.network.subnet_id])
            except SnapkeepError as error:
                notes[f"{record.region} was not looked at for the names of subnets: {error}"] = None
    return propose_map(instances, inventory, names, reader.region), list(notes)


def _newest_of(documents: Documents, instance_id: str) -> RecoveryRecord:
    try:
        return newest_record(documents, instance_id)
    except DocumentNotFound as error:
        advice = "" if instance_id.startswith("i-") else "; name the instance by its id"
        raise DocumentNotFound(f"{instance_id}: no recovery record of such an instance ({error}){advice}") from error


def begin_instances(
    stages: Sequence[Sequence[InstancePlan]], started_by: str, now: datetime, *, checks: bool = True
) -> RecoveryRun:
    """Return a run of the plans of instances, stage by stage. Raise RecoveryFailed while one has obstacles."""
    plans = [plan for stage in stages for plan in stage]
    obstacles = [obstacle for plan in plans for obstacle in plan.obstacles]
    points = tuple(dict.fromkeys(point for plan in plans for point in plan.point_ids))
    return new_run(plans[0].region, points, instance_steps(stages, wait_for_checks=checks), obstacles, started_by, now)
