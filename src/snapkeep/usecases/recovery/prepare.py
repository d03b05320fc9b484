"""Plan a recovery: read the points and the records, and make dry runs. It changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

from snapkeep.domain.errors import AwsRefused, SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import Lineages, PointChoice, Target, choose_points, lineages_of
from snapkeep.domain.recovery.holders import TRIAL_HOLD
from snapkeep.domain.recovery.places import ATTACHABLE, InstancePlace, device_slot, places_for
from snapkeep.domain.recovery.recovery_plan import (
    STEP_TAGS,
    RecoveryPlan,
    RecoveryRun,
    RestoreOptions,
    StepKind,
    plan_recovery,
    steps_of,
)
from snapkeep.domain.recovery.region_quotas import RegionQuotas, storage_of
from snapkeep.domain.tag_names import DEVICE, RECOVERY
from snapkeep.usecases.recovery.begin import new_run
from snapkeep.usecases.recovery.find_points import SnapshotLister
from snapkeep.usecases.recovery.read_records import records_of
from snapkeep.usecases.recovery.record_ports import Documents
from snapkeep.usecases.recovery.states import VolumeState


class RegionReader(Protocol):
    """Reads what the plan of any recovery needs of one region."""

    @property
    def region(self) -> str:
        """The region."""

    def refusal_of_tags(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> str:
        """Return why CreateTags, or DeleteTags afterwards, would be refused; empty if they would not."""

    def storage(self, volume_types: Collection[str]) -> RegionQuotas:
        """Return the quotas of storage of these volume types, as far as they are known, and how much of them is in use."""

    def recovered_from(self, snapshot_ids: Collection[str]) -> list[VolumeState]:
        """Return the volumes that recoveries made of snapshots, and that exist."""

    def data_bytes(self, snapshot_ids: Collection[str]) -> dict[str, int]:
        """Return the full data of snapshots where EC2 says it."""


class RecoveryReader(RegionReader, Protocol):
    """Reads what a plan of volumes needs besides, and tries its requests as dry runs."""

    def refusal(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why CreateVolume would be refused with these tags; empty if it would not."""

    def zones(self) -> list[str]:
        """Return the Availability Zones that can be used."""

    def place(self, instance_id: str) -> InstancePlace:
        """Return the zone, state and devices of an instance. Raise AwsRefused if there is no such instance."""

    def refusal_to_attach(self, place: InstancePlace) -> str:
        """Return why AttachVolume to an instance would be refused; empty if it would not, or cannot be tried."""


VolumesIn = Callable[[str, Collection[str]], Collection[str]]
"""Returns those of the volumes that exist in a region. Raises AwsRefused, AwsThrottled or AwsUnavailable."""


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """The request of a person."""

    target: Target
    at: datetime
    zone: str = ""
    """Empty: the instance's zone, or the first one of the region."""
    rate_mibps: int = 0
    attach_to: str = ""
    devices: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Volumes and devices that are not recovered; an instance without them counts as whole."""
    newest: bool = False
    """Whether the newest point of each volume is used, even if a whole set is older."""
    with_deleted: bool = False
    """Whether volumes that no longer exist are recovered too, if a policy or tags select them."""
    from_vault: bool = False
    """Whether the recovery is from a vault, which has no recovery records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRecovery:
    """Makes the plan of a recovery."""

    snapshots: SnapshotLister
    reader: RecoveryReader
    documents: Documents | None
    """None if the bucket is unreachable: volumes are planned without their records."""
    volumes_in: VolumesIn

    def plan(self, request: RecoveryRequest) -> RecoveryPlan:
        """Return the plan, with every obstacle that can be known. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        lineages = lineages_of(self.reader.region, self.snapshots.all_snapshots())
        findings = _Findings()
        choices = self._choices(request, lineages, findings)
        points = [point for choice in choices for point in choice.points]
        place = self._place(request, findings)
        attachments: list[tuple[str, str]] = []
        if place:
            try:
                attachments = places_for(points, request.attach_to, request.devices, place.devices)
            except ValueError as error:
                findings.obstacles.append(str(error))
        zone = self._zone(place.zone if place else request.zone, findings)
        options = RestoreOptions(zone, request.rate_mibps, tuple(attachments))
        records, remarks = ({}, []) if request.from_vault else records_of(self.documents, points)
        plan = plan_recovery(choices, records, self.reader.data_bytes([point.id for point in points]), options)
        if plan.volumes and not findings.obstacles and not plan.obstacles:
            findings.obstacles += self._refusals(plan)
            quotas, planned = self.reader.storage({volume.volume_type for volume in plan.volumes}), storage_of(plan.volumes)
            findings.obstacles += quotas.obstacles(planned)
            restored = [point.id for point in points]
            findings.remarks += [*quotas.remarks(planned), *repetitions(self.reader.recovered_from(restored), restored)]
        return replace(
            plan,
            region=self.reader.region,
            obstacles=(*plan.obstacles, *findings.obstacles),
            remarks=(*plan.remarks, *findings.remarks, *remarks),
        )

    def _choices(self, request: RecoveryRequest, lineages: Lineages, findings: _Findings) -> list[PointChoice]:
        groups = request.target.groups(lineages, request.at)
        unnamed = [name for name, volume_ids in groups.items() if not volume_ids]
        findings.obstacles += [f"{name}: {lineages.why_unnamed(name, request.at)}" for name in unnamed]
        if later := request.target.later_than(lineages, request.at):
            findings.remarks.append(f"not recovered, as all their snapshots are later: {', '.join(later)}")
        elif not groups:
            findings.obstacles.append(f"{request.target}: no snapshot in {self.reader.region} is of such a volume")
        if not request.target.names and not request.with_deleted:
            groups = self._without_deleted(groups, lineages, findings)
        without = {name: device_slot(name) for name in request.without}
        names = {volume_id: {volume_id, *_slots_of(volume_id, lineages)} for ids in groups.values() for volume_id in ids}
        choices = []
        for volume_ids in groups.values():
            kept = [volume_id for volume_id in volume_ids if not names[volume_id] & set(without.values())]
            choice = choose_points(lineages, kept, request.at, sets_first=not request.newest)
            if not request.target.names and not choice.points and len(kept) == 1:  # a volume alone blocks no other of its policy
                findings.remarks += [f"{volume_id} is not recovered: {why}" for volume_id, why in choice.missing.items()]
            elif kept:
                choices.append(choice)
        unknown = [name for name, slot in without.items() if not any(slot in known for known in names.values())]
        findings.obstacles += [f"--without {name}: no volume or device of these is named so" for name in unknown]
        return choices

    def _without_deleted(self, groups: Mapping[str, list[str]], lineages: Lineages, findings: _Findings) -> dict[str, list[str]]:
        """Return the groups without volumes that do not exist any more: a policy or a tag does not name them by themselves."""
        by_region: dict[str, set[str]] = defaultdict(set)
        for volume_id in chain.from_iterable(groups.values()):
            by_region[lineages.by_volume[volume_id][0].origin.region].add(volume_id)
        deleted: set[str] = set()
        for region, volume_ids in by_region.items():
            try:
                deleted |= volume_ids.difference(self.volumes_in(region, volume_ids))
            except SnapkeepError as error:
                findings.remarks.append(f"volumes that were deleted may be among them, as {region} was not read: {error}")
        if deleted:
            findings.remarks.append(
                f"not recovered, as they were deleted (--with-deleted takes them): {', '.join(sorted(deleted))}"
            )
        kept = {owner: [volume_id for volume_id in ids if volume_id not in deleted] for owner, ids in groups.items()}
        return {owner: ids for owner, ids in kept.items() if ids}

    def _place(self, request: RecoveryRequest, findings: _Findings) -> InstancePlace | None:
        if not request.attach_to:
            return None
        try:
            place = self.reader.place(request.attach_to)
        except AwsRefused as error:
            findings.obstacles.append(str(error))
            return None
        if request.zone and request.zone != place.zone:
            findings.obstacles.append(
                f"{place.instance_id} is in {place.zone}: a volume of {request.zone} cannot be attached to it"
            )
        if place.state not in ATTACHABLE:
            states = " or ".join(ATTACHABLE)
            findings.obstacles.append(f"{place.instance_id} is {place.state}: EC2 attaches volumes to {states} instances")
        elif refusal := self.reader.refusal_to_attach(place):
            findings.remarks.append(
                f"a trial with a volume that {place.instance_id} has was refused; a permission that depends on the volume's tags "
                f"may allow it all the same: {refusal}"
            )
        return place

    def _zone(self, named: str, findings: _Findings) -> str:
        try:
            zones = self.reader.zones()
        except AwsRefused as error:
            findings.remarks.append(f"whether the zone can be used is not known: {error}")
            if not named:
                findings.obstacles.append("name a zone: those of the region may not be listed")
            return named
        zone = named or (zones[0] if zones else "")
        if zone not in zones:
            findings.obstacles.append(f"{zone or 'no zone'} cannot be used; {self.reader.region} has {', '.join(zones)}")
        return zone

    def _refusals(self, plan: RecoveryPlan) -> list[str]:
        steps = steps_of(plan)
        creations = [step.parameters for step in steps if step.kind is StepKind.CREATE_VOLUME]
        trial = dict.fromkeys(STEP_TAGS, "dry-run")
        refusals = [self.reader.refusal(creation["request"], creation["tags"] | trial) for creation in creations]
        refusals.append(self.reader.refusal_of_tags([volume.point.id for volume in plan.volumes], TRIAL_HOLD))
        return sorted(set(filter(None, refusals)))


def repetitions(made: Iterable[VolumeState], points: Collection[str]) -> list[str]:
    """Return which recoveries made volumes of these points that still exist: a new one may be a repetition."""
    by_run: dict[str, list[VolumeState]] = defaultdict(list)
    for volume in made:
        if volume.snapshot_id in points:
            by_run[volume.tags[RECOVERY]].append(volume)
    return [_repetition_text(run, volumes) for run, volumes in by_run.items()]


def _repetition_text(run: str, volumes: Sequence[VolumeState]) -> str:
    ids = ", ".join(sorted(volume.id for volume in volumes))
    instances = ", ".join(sorted({instance for volume in volumes for instance in volume.attachments}))
    attached = f" (attached to {instances})" if instances else ""
    return f"{run} made {ids} of these points{attached}, and a new recovery makes others"


@dataclass(slots=True)
class _Findings:
    """The notes beside a plan."""

    remarks: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)


def _slots_of(volume_id: str, lineages: Lineages) -> set[str]:
    newest = lineages.by_volume.get(volume_id, ())[:1]
    return {device_slot(point.tags[DEVICE]) for point in newest if DEVICE in point.tags}


def begin(plan: RecoveryPlan, started_by: str, now: datetime) -> RecoveryRun:
    """Return a run of a plan with a new name. Raise RecoveryFailed while the plan has obstacles."""
    points = tuple(volume.point.id for volume in plan.volumes)
    return new_run(plan.region, points, steps_of(plan), plan.obstacles, started_by, now)
