"""Plan a recovery: read the points, the records and what EC2 would refuse. It changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from snapkeep.domain.errors import DocumentNotFound, RecoveryFailed, SnapkeepError
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.choice import Target, choose_points, lineages_of
from snapkeep.domain.recovery.record import NewestRecord, RecoveryRecord, folder_of, hash_of_text, newest_key
from snapkeep.domain.recovery.recovery_plan import (
    STEP_TAGS,
    RecoveryPlan,
    RecoveryRun,
    RestoreOptions,
    StepKind,
    places_for,
    plan_recovery,
    steps_of,
)
from snapkeep.domain.tag_names import HOLD, HOLDER, INSTANCE, RECORD
from snapkeep.usecases.recovery.find_points import SnapshotLister
from snapkeep.usecases.recovery.record_ports import Documents


class RecoveryLooks(Protocol):
    """Reads what a plan needs of one region, and tries its requests as dry runs."""

    @property
    def region(self) -> str:
        """The region."""
        ...

    def refusal(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why CreateVolume would be refused with these tags; empty if it would not."""
        ...

    def refusal_of_tags(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> str:
        """Return why CreateTags would be refused; empty if it would not."""
        ...

    def zones(self) -> list[str]:
        """Return the Availability Zones that can be used."""
        ...

    def place(self, instance_id: str) -> tuple[str, list[str]]:
        """Return an instance's zone and its occupied devices."""
        ...

    def data_bytes(self, snapshot_ids: Collection[str]) -> dict[str, int]:
        """Return the full data of snapshots where EC2 says it."""
        ...


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """What a person asks for."""

    target: Target
    at: datetime
    zone: str = ""
    """Empty: the instance's zone, or the first one of the region."""
    rate_mibps: int = 0
    attach_to: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRecovery:
    """Makes the plan of a recovery."""

    snapshots: SnapshotLister
    looks: RecoveryLooks
    documents: Documents | None
    """None where the bucket cannot be reached: volumes are planned without their records."""

    def plan(self, request: RecoveryRequest) -> RecoveryPlan:
        """Return the plan, with every obstacle that can be known. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        lineages = lineages_of(self.looks.region, self.snapshots.all_snapshots())
        groups = request.target.groups(lineages, request.at)
        choices = [choose_points(lineages, volume_ids, request.at) for volume_ids in groups.values()]
        points = [point for choice in choices for point in choice.points]
        obstacles = [f"{name}: no recovery point in {self.looks.region} names it" for name, ids in groups.items() if not ids]
        zone, attachments = request.zone, []
        if request.attach_to:
            instance_zone, occupied = self.looks.place(request.attach_to)
            if zone and zone != instance_zone:
                obstacles.append(f"{request.attach_to} is in {instance_zone}: a volume of {zone} cannot be attached to it")
            zone = instance_zone
            try:
                attachments = places_for(points, request.attach_to, request.devices, occupied)
            except ValueError as error:
                obstacles.append(str(error))
        zones = self.looks.zones()
        zone = zone or (zones[0] if zones else "")
        if zone not in zones:
            obstacles.append(f"{zone or 'no zone'} cannot be used; {self.looks.region} has {', '.join(zones)}")
        options = RestoreOptions(zone, request.rate_mibps, tuple(attachments))
        records, remarks = self._records(points)
        plan = plan_recovery(choices, records, self.looks.data_bytes([point.id for point in points]), options)
        obstacles += [] if obstacles or not plan.volumes else self._refusals(plan)
        return replace(plan, region=self.looks.region, obstacles=(*plan.obstacles, *obstacles), remarks=(*plan.remarks, *remarks))

    def _refusals(self, plan: RecoveryPlan) -> list[str]:
        steps = steps_of(plan)
        creations = [step.parameters for step in steps if step.kind is StepKind.CREATE_VOLUME]
        trial = dict.fromkeys(STEP_TAGS, "dry-run")
        refusals = [self.looks.refusal(creation["request"], creation["tags"] | trial) for creation in creations]
        hold = {HOLD: "dry-run", f"{HOLDER}dry-run": ""}
        refusals.append(self.looks.refusal_of_tags([volume.point.id for volume in plan.volumes], hold))
        return sorted(set(filter(None, refusals)))

    def _records(self, points: Sequence[Snapshot]) -> tuple[dict[str, RecoveryRecord], list[str]]:
        """Return the records by point, and remarks about those that are not the point's own or cannot be read."""
        if self.documents is None:
            return {}, ["the recovery records cannot be reached"]
        records, remarks = {}, []
        for point in points:
            try:
                record, remark = self._record(self.documents, point)
            except (SnapkeepError, ValueError) as error:
                remarks.append(f"{point.origin.volume_id}: its recovery record cannot be read: {error}")
                continue
            records[point.id] = record
            if remark:
                remarks.append(f"{point.origin.volume_id}: {remark}; the newest one is taken")
        return records, remarks

    def _record(self, documents: Documents, point: Snapshot) -> tuple[RecoveryRecord, str]:
        """Return the record that a point names, or else the newest one of its owner and why. Raise DocumentNotFound."""
        owner = point.tags.get(INSTANCE, point.origin.volume_id)
        short_hash = point.tags.get(RECORD, "")
        named = documents.keys(f"{folder_of(owner)}{short_hash}") if short_hash else []
        if named:
            key, remark = named[0], ""
        else:
            remark = "the record that its point names is not in the bucket" if short_hash else "its point names no record"
            newest = from_text(NewestRecord, documents.get(newest_key(owner)).text)
            key = f"{folder_of(owner)}{newest.sha256}.json"
        text = documents.get(key).text
        if f"{folder_of(owner)}{hash_of_text(text)}.json" != key:
            raise DocumentNotFound(f"{key} was changed: its name is not the hash of its content")
        return from_text(RecoveryRecord, text), remark


def begin(plan: RecoveryPlan, started_by: str, now: datetime) -> RecoveryRun:
    """Return a run of a plan with a new name. Raise RecoveryFailed while the plan has obstacles."""
    if plan.obstacles:
        raise RecoveryFailed("nothing was begun: " + "; ".join(plan.obstacles))
    run_id = f"recovery-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    points = tuple(volume.point.id for volume in plan.volumes)
    return RecoveryRun(run_id, plan.region, now, started_by, steps_of(plan), points)
