"""Recoveries as lines for people and as JSON: the plan before, the steps while they are taken, the journal after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from snapkeep.cli.output import titled
from snapkeep.cli.views.recoverable import point_as_data
from snapkeep.domain.durations import span_text
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.plural import counted
from snapkeep.domain.prices import VOLUME_STORAGE
from snapkeep.domain.recovery.instance_plan import InstancePlan
from snapkeep.domain.recovery.recovery_plan import (
    UNDOABLE,
    RecoveryPlan,
    RecoveryRun,
    RecoveryStep,
    StepKind,
    StepState,
    VolumeRecovery,
)
from snapkeep.domain.recovery.region_quotas import dollars_per_month
from snapkeep.domain.tag_names import PROOF

USABLE = "as soon as EC2 shows the volumes as available; AWS documents no time"
INITIALISATION_PRICE = "AWS charges a provisioned rate for each GiB of snapshot data, even if the volume is deleted at once"
UNPROVED_COPY = "none; snapkeep verify compares it with its source"


def plan_lines(plan: RecoveryPlan, now: datetime, *, unproved: str = UNPROVED_COPY) -> Iterator[str]:
    """Yield the plan: points, data loss, proof, time, price, what cannot be carried over, obstacles.

    `unproved` is shown as the proof of a copy without one.
    """
    volumes = counted(len(plan.volumes), "volume")
    yield f"plan: {volumes} in {plan.region}, zone {plan.zone}"
    for volume in plan.volumes:
        place = f", attached to {volume.instance_id} as {volume.device}" if volume.instance_id else ""
        yield from volume_lines(volume, now, place, unproved=unproved)
    if plan.volumes:
        yield f"usable: {USABLE}"
        yield f"full speed: {full_speed_text(plan)}"
        yield from (f"price: {price}" for price in price_texts(plan))
    yield from (f"note: {remark}" for remark in plan.remarks)
    yield from (f"obstacle: {obstacle}" for obstacle in plan.obstacles)


def volume_lines(volume: VolumeRecovery, now: datetime, place: str, *, unproved: str = UNPROVED_COPY) -> Iterator[str]:
    """Yield a volume with its point, its data loss and its proof; `place` says where it is attached."""
    point, start = volume.point, volume.point.origin.start_time
    named = titled(volume.tags.get("Name", ""), point.origin.volume_id)
    yield f"  {named}: {volume.size_gib} GiB {volume.volume_type} from {point.id}{place}"
    older = "" if point.origin.start_known else ", or earlier"
    yield f"    data of {start:%Y-%m-%d %H:%M:%S} UTC{older}: data written in the last {span_text(now - start)} is lost"
    yield f"    proof: {point.tags.get(PROOF, unproved if point.is_copy else 'a snapshot of the volume, no copy')}"


def price_texts(plan: RecoveryPlan) -> Iterator[str]:
    """Yield the price of a plan in words, as far as it is known."""
    dollars, gib = dollars_per_month(plan.volumes), sum(volume.size_gib for volume in plan.volumes)
    if dollars is None:
        yield "not known; AWS charges for the size of each volume, and for provisioned IOPS and throughput"
    else:
        storage = f"{gib:,} GiB of gp3 at {VOLUME_STORAGE.dollars:.2f} USD, as in us-east-1"
        yield f"about {dollars:,.2f} USD a month: {storage}; provisioned IOPS and throughput cost more"
    if plan.rate_mibps:
        yield INITIALISATION_PRICE


def full_speed_text(plan: RecoveryPlan | InstancePlan) -> str:
    """Return in words when the volumes of a plan are at full speed."""
    after = plan.full_speed_after
    if after is None and plan.rate_mibps:
        return "not predictable: the rates together exceed the quota"
    if after is None:
        return "not predictable at the default rate (--rate 100 to 300 makes it so)"
    return f"about {span_text(max(after, timedelta(minutes=1)))} after creation, at {plan.rate_mibps} MiB/s"


def step_lines(step: RecoveryStep) -> Iterator[str]:
    """Yield a step as one line; nothing for an undone one that left nothing, such as a wait."""
    if step.state is StepState.UNDONE and step.kind not in UNDOABLE:
        return
    result = f": {step.result}" if step.result else ""
    remark = f" ({step.remark})" if step.remark else ""
    yield f"{step.state}  {step.about}{result}{remark}"


def run_lines(run: RecoveryRun) -> Iterator[str]:
    """Yield a run with its steps."""
    ended = f", ended {run.ended_at:%Y-%m-%d %H:%M} UTC" if run.ended_at else ""
    yield f"{run.id}  {run.state}  {run.region}  begun {run.started_at:%Y-%m-%d %H:%M} UTC by {run.started_by}{ended}"
    yield from (f"  {line}" for step in run.steps for line in step_lines(step))


def undo_lines(run: RecoveryRun) -> Iterator[str]:
    """Yield what an undo deletes, as far as the journal has it."""
    places = {step.made_by: step.parameters for step in run.steps if step.kind is StepKind.ATTACH_VOLUME}
    for step in run.steps:
        if step.kind is StepKind.CREATE_VOLUME and step.result and step.state is StepState.DONE:
            place = places.get(step.id)
            detached = f", after detaching it from {place['instance']} ({place['device']})" if place else ""
            yield f"deletes {step.result}{detached}, with all data written to it"
        if step.kind is StepKind.RUN_INSTANCE and step.result and step.state is StepState.DONE:
            yield f"terminates {step.result} and deletes its volumes, with all data written to them"
        if step.kind is StepKind.WAIT_FOR_ROOT and step.result and step.state is StepState.DONE:
            former = run.step(step.made_by).parameters
            yield f"puts {former['root']} back as the root of {former['instance']}, and deletes {step.result}"


def plan_as_data(plan: RecoveryPlan) -> dict[str, Any]:
    """Return a plan as plain data."""
    after, rate = plan.full_speed_after, plan.rate_mibps
    return {
        "region": plan.region,
        "zone": plan.zone,
        "rate_mibps": rate,
        "volumes": [
            {
                **point_as_data(volume.point),
                "size_gib": volume.size_gib,
                "volume_type": volume.volume_type,
                "instance_id": volume.instance_id,
                "attach_as": volume.device,
            }
            for volume in plan.volumes
        ],
        "dollars_per_month": dollars_per_month(plan.volumes),
        "full_speed_seconds": after.total_seconds() if after is not None else None,
        "remarks": list(plan.remarks),
        "obstacles": list(plan.obstacles),
    }


def run_as_data(run: RecoveryRun) -> dict[str, Any]:
    """Return a run as its journal has it."""
    return to_object(run)
