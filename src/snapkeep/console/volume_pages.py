"""The pages about what can be recovered: the search, a volume and an instance, with a forecast for a moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from snapkeep.cli.views.recover import full_speed_text, price_texts
from snapkeep.cli.views.recoverable import as_data, change_text, measured_text
from snapkeep.console.page import Context, NotThere, Query, Rows, matches, moment_of, rows_of
from snapkeep.console.reading import Reading
from snapkeep.console.timeline import PointState, state_of, time_line
from snapkeep.domain.model import Snapshot
from snapkeep.domain.protection import VolumeProtection
from snapkeep.domain.recovery.choice import PointChoice, Target, choose_points, volumes_of_instance
from snapkeep.domain.recovery.rates import FASTEST_RATE
from snapkeep.domain.recovery.recovery_plan import RecoveryPlan, RestoreOptions, plan_recovery
from snapkeep.domain.retention.deletion_forecast import DeletionForecast, deletion_forecasts
from snapkeep.usecases.recovery.find_points import RegionPoints, before_change, expected_points, points_in
from snapkeep.usecases.recovery.read_records import records_of


def recover_context(reading: Reading, query: Query) -> Context:
    """Return the volumes, instances and recovery groups that a search finds; all groups without a search."""
    text = query.get("q", "").strip()
    matched = [volume for volume in reading.status.volumes if matches(volume, text)] if text else []
    instances = Counter(instance for volume in matched for instance in volume.volume.instance_ids)
    groups = [group for group in reading.groups.values() if text.lower() in group.name.lower()]
    return {"q": text, "volumes": rows_of(matched, query), "instances": sorted(instances.items()), "groups": groups}


def _points(reading: Reading, query: Query) -> list[RegionPoints]:
    moment, _ = moment_of(query, reading.at)
    target = Target(tuple(filter(None, [query.get("id", "")])))
    expected = _expected(reading, target) if not (query.get("id") or query.get("at")) else {}
    matches = [
        points_in(lineages, target, moment, reading.unusual, expected.get(region, ()))
        for region, lineages in reading.lineages.items()
    ]
    return [*matches, *(RegionPoints(region, {}, problem) for region, problem in reading.unread.items())]


def _expected(reading: Reading, target: Target) -> Mapping[str, Collection[str]]:
    """Return by region the volumes that policies want to be recoverable there; none where the volumes are not known."""
    policies = reading.policies.get(reading.status.region)
    if policies is None or not reading.status.primary_known:
        return {}
    return expected_points((volume.volume for volume in reading.status.volumes), policies, target)


@dataclass(frozen=True, slots=True)
class RegionForecast:
    """The points that a recovery in a region would take, and the consequences, as far as they are known without EC2."""

    region: str
    choice: PointChoice
    plan: RecoveryPlan
    measured: Sequence[str]
    """The times that the last drills of its volumes measured, in words."""
    unusual: Sequence[str]
    """The unusual changes of its volumes, in words, and why others are not known."""

    @property
    def full_speed(self) -> str:
        """When its volumes are at full speed, in words: at the fastest rate, by the size of the volumes."""
        return f"at the default rate not predictable; {full_speed_text(self.plan)} at most"

    @property
    def prices(self) -> list[str]:
        """The price, in words."""
        return list(price_texts(self.plan))


def _forecast(reading: Reading, region: str, volume_ids: Collection[str], moment: datetime) -> RegionForecast:
    choice = choose_points(reading.lineages[region], volume_ids, moment)
    records, remarks = records_of(reading.documents_for(region), choice.points)
    plan = plan_recovery([choice], records, {}, RestoreOptions("", FASTEST_RATE))
    drills = reading.drills.get(region, {})
    measured = [measured_text(drills[volume_id]) for volume_id in volume_ids if volume_id in drills]
    # The notes of the choice are shown beside its points.
    kept = [remark for remark in (*plan.remarks, *remarks) if remark not in choice.notes]
    changes = [reading.unusual[each] for each in volume_ids if each in reading.unusual]
    unusual = [change_text(before_change(reading.lineages[region], change)) for change in changes]
    return RegionForecast(region, choice, replace(plan, remarks=tuple(kept)), measured, [*unusual, *reading.unread_changes])


@dataclass(frozen=True, slots=True)
class RegionVolume:
    """A volume's verdicts in one region, the newest first."""

    region: str
    verdicts: Rows
    states: Mapping[str, PointState]
    deletions: Mapping[str, DeletionForecast]
    """When each snapshot will be deleted, as far as it can be said."""


def volume_context(reading: Reading, query: Query) -> Context:
    """Return a volume: its points, a forecast for the moment, and the verdicts. Raise NotThere."""
    volume_id = query.get("id", "")
    points = reading.snapshots_of(volume_id)
    protection = reading.protection(volume_id)
    if protection is None and not any(points.values()):
        raise NotThere(
            f"{volume_id or 'a volume without an id'} is not a volume, and no snapshot in the regions that were read names it"
        )
    moment, problem = moment_of(query, reading.at)
    plans = dict(reading.plans_of(volume_id))
    regions = [
        RegionVolume(
            region,
            rows_of(plan.outcome[::-1], query, f"page-{region}"),
            {point.id: state_of(point) for point in points[region]},
            deletion_forecasts(plan, reading.at, system=reading.system),
        )
        for region in points
        if (plan := plans.get(region)) is not None
    ]
    return {
        "id": volume_id,
        "protection": protection,
        "name": _name(protection, points),
        "line": time_line(points, moment, reading.at),
        "moment": moment,
        "moment_problem": problem,
        "regions": regions,
        "forecasts": [_forecast(reading, region, [volume_id], moment) for region in reading.lineages],
        "queue": [copy for copy in reading.status.queue if copy.volume_id == volume_id],
    }


def _name(protection: VolumeProtection | None, points: Mapping[str, Sequence[Snapshot]]) -> str:
    tagged = [protection.volume.tags] if protection else [snapshots[0].tags for snapshots in points.values() if snapshots]
    return next((name for tags in tagged if (name := tags.get("Name", ""))), "")


def instance_context(reading: Reading, query: Query) -> Context:
    """Return an instance: the points of its volumes, and a forecast for the moment. Raise NotThere."""
    instance_id = query.get("id", "")
    moment, problem = moment_of(query, reading.at)
    members = [volume for volume in reading.status.volumes if instance_id in volume.volume.instance_ids]
    volume_ids = {volume.volume.id for volume in members}
    volume_ids |= {
        known for lineages in reading.lineages.values() for known in volumes_of_instance(lineages, instance_id, moment)
    }
    points = {
        region: [point for volume_id in volume_ids for point in lineages.by_volume.get(volume_id, ())]
        for region, lineages in reading.lineages.items()
    }
    if not instance_id or not volume_ids:
        raise NotThere(
            f"{instance_id or 'an instance without an id'} has no volume, and no snapshot in the regions that were read names it"
        )
    forecasts = [
        _forecast(reading, region, volumes_of_instance(lineages, instance_id, moment), moment)
        for region, lineages in reading.lineages.items()
    ]
    return {
        "id": instance_id,
        "volumes": members,
        "line": time_line(points, moment, reading.at),
        "forecasts": forecasts,
        "moment": moment,
        "moment_problem": problem,
    }


def points_data(reading: Reading, query: Query) -> Any:
    """Return the recovery points of the volumes or the instance that a query names, as `snapkeep recoverable` prints them."""
    return as_data(_points(reading, query), reading.drills)
