"""A recovery as data: its steps in order. Each step can be repeated: its token or its tags find what it made before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from snapkeep.domain.durations import span_text
from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.model import Snapshot
from snapkeep.domain.other_tools import NOT_CARRIED
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import PointChoice
from snapkeep.domain.recovery.holders import holders_of
from snapkeep.domain.recovery.rates import RATE, exceeds_quota, rate_remarks
from snapkeep.domain.recovery.record import RecoveryRecord, VolumeSettings
from snapkeep.domain.tag_names import HOLD, HOLDER, OWN_TAGS, RECOVERY, RECOVERY_STEP
from snapkeep.domain.tags import TAG_LIMIT, has_room
from snapkeep.domain.wildcards import matches_any

MIB = 1024 * 1024
STEP_TAGS = (RECOVERY, RECOVERY_STEP)
"""The tags that identify what a step made."""


class StepKind(StrEnum):
    """The kind of a step. Each kind has one action, in the files `*actions.py` of `usecases/recovery`."""

    HOLD = "hold"
    CREATE_VOLUME = "create_volume"
    WAIT_FOR_VOLUME = "wait_for_volume"
    ATTACH_VOLUME = "attach_volume"
    RELEASE = "release"
    REGISTER_IMAGE = "register_image"
    RUN_INSTANCE = "run_instance"
    WAIT_FOR_INSTANCE = "wait_for_instance"
    DEREGISTER_IMAGE = "deregister_image"
    SET_UP_INSTANCE = "set_up_instance"
    CHECK_INSTANCE = "check_instance"
    STOP_INSTANCE = "stop_instance"
    REPLACE_ROOT = "replace_root"
    WAIT_FOR_ROOT = "wait_for_root"
    COPY_POINT = "copy_point"
    WAIT_FOR_COPY = "wait_for_copy"
    SHARE_COPY = "share_copy"


UNDOABLE = frozenset(
    (
        StepKind.HOLD,
        StepKind.CREATE_VOLUME,
        StepKind.ATTACH_VOLUME,
        StepKind.REGISTER_IMAGE,
        StepKind.RUN_INSTANCE,
        StepKind.REPLACE_ROOT,
        StepKind.COPY_POINT,
    )
)
"""The steps that an undo reverts. The others, such as waits, leave nothing behind."""


class StepState(StrEnum):
    """The state of a step."""

    PLANNED = "planned"
    DONE = "done"
    UNDONE = "undone"


class RecoveryState(StrEnum):
    """The state of a recovery."""

    RUNNING = "running"
    COMPLETED = "completed"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """One step. `made_by` names the step whose result this step uses."""

    id: str
    kind: StepKind
    about: str
    """The step in words."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    made_by: str = field(default="", metadata=OPTIONAL)
    state: StepState = StepState.PLANNED
    result: str = field(default="", metadata=OPTIONAL)
    """The id of the resource that the step made."""
    remark: str = field(default="", metadata=OPTIONAL)
    done_at: datetime | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class RecoveryRun:
    """A recovery with its journal, which is stored as JSON in the bucket of a DR region."""

    id: str
    region: str
    started_at: datetime
    started_by: str
    steps: tuple[RecoveryStep, ...]
    points: tuple[str, ...]
    """The snapshots and copies that the recovery restores, and holds until it ends."""
    state: RecoveryState = RecoveryState.RUNNING
    ended_at: datetime | None = field(default=None, metadata=OPTIONAL)

    @property
    def key(self) -> str:
        """The name of the journal in the bucket."""
        return journal_key(self.id)

    @property
    def open(self) -> bool:
        """Whether steps remain to be taken or to be undone."""
        return self.state in (RecoveryState.RUNNING, RecoveryState.UNDOING)

    def step(self, step_id: str) -> RecoveryStep:
        """Return a step."""
        return next(step for step in self.steps if step.id == step_id)

    def token(self, step: RecoveryStep) -> str:
        """Return the client token of a step: at most 64 ASCII characters (EC2 API reference: ensuring idempotency)."""
        return f"{self.id}-{step.id}"

    def tags_of(self, step: RecoveryStep) -> dict[str, str]:
        """Return the tags of the resource that a step makes: those of its volume, and those that identify it."""
        return {**step.parameters.get("tags", {}), RECOVERY: self.id, RECOVERY_STEP: step.id}

    def with_step(self, step: RecoveryStep) -> RecoveryRun:
        """Return the run with the new state of a step."""
        return replace(self, steps=tuple(step if known.id == step.id else known for known in self.steps))


def journal_key(run_id: str) -> str:
    """Return the name of a recovery's journal in the bucket."""
    return f"recoveries/{run_id}.json"


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """The settings of a recovery that differ from the record."""

    zone: str
    rate_mibps: int = 0
    """0: the default rate, which AWS does not promise."""
    attachments: tuple[tuple[str, str], ...] = ()
    """Instance and device of each volume, in the order of the points; empty if volumes stay detached."""


@dataclass(frozen=True, slots=True)
class VolumeRecovery:
    """One volume to make, with its point, its settings and what follows from them."""

    point: Snapshot
    settings: VolumeSettings | None
    data_bytes: int
    """The full size of the snapshot's data; 0 if EC2 does not return it."""
    instance_id: str = ""
    device: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the volume: its source's tags, as far as there is room beside those of the recovery."""
        return carried_tags(self._source_tags)[0]

    @property
    def tags_left_out(self) -> list[str]:
        """The keys of its source's tags for which there is no room."""
        return carried_tags(self._source_tags)[1]

    @property
    def _source_tags(self) -> Mapping[str, str]:
        return self.settings.tags if self.settings else self.point.tags

    @property
    def size_gib(self) -> int:
        """The size: that of the recorded volume, which may have grown since the snapshot, but at least the snapshot's."""
        return max(self.point.size_gib, self.settings.size_gib if self.settings else 0)

    @property
    def volume_type(self) -> str:
        """The recorded type; gp3 without a record."""
        return self.settings.volume_type if self.settings else "gp3"

    @property
    def performance(self) -> dict[str, int]:
        """The parameters of provisioned performance, if the type has them."""
        iops, throughput = (self.settings.iops, self.settings.throughput_mibps) if self.settings else (0, 0)
        made = {"Iops": iops} if iops and self.volume_type in ("gp3", "io1", "io2") else {}
        return made | ({"Throughput": throughput} if throughput and self.volume_type == "gp3" else {})

    def full_speed_after(self, rate_mibps: int) -> timedelta | None:
        """Return the time to full speed by an initialisation rate; None if it cannot be predicted."""
        data_bytes = self.data_bytes or self.point.size_gib * 1024 * MIB
        return timedelta(seconds=data_bytes / (rate_mibps * MIB)) if rate_mibps else None


def full_speed_of(volumes: Collection[VolumeRecovery], rate_mibps: int, together: int = 0) -> timedelta | None:
    """Return the time until the last of some volumes is at full speed; None if it cannot be predicted.

    `together` is the number of volumes that share the quota of rates, if there are others.
    """
    if exceeds_quota(together or len(volumes), rate_mibps):
        return None
    times = [volume.full_speed_after(rate_mibps) for volume in volumes]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def carried_tags(source: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the tags to carry over, without Snapkeep's and those of other tools, and the keys of those that do not fit."""
    carried = sorted(tag for tag in source.items() if tag[0] not in OWN_TAGS and not matches_any(tag[0], NOT_CARRIED))
    room = TAG_LIMIT - len(STEP_TAGS)
    return dict(carried[:room]), [key for key, _ in carried[room:]]


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """The steps of a recovery, before consent."""

    region: str
    zone: str
    rate_mibps: int
    volumes: tuple[VolumeRecovery, ...]
    remarks: tuple[str, ...]
    """Remarks about settings that cannot be carried over, or are not known."""
    obstacles: tuple[str, ...] = ()
    """The reasons why it would fail: nothing begins while there is one."""

    @property
    def full_speed_after(self) -> timedelta | None:
        """The time until the last volume is at full speed; None if it cannot be predicted."""
        return full_speed_of(self.volumes, self.rate_mibps)


def plan_recovery(
    choices: Iterable[PointChoice],
    records: Mapping[str, RecoveryRecord],
    data_bytes: Mapping[str, int],
    options: RestoreOptions,
) -> RecoveryPlan:
    """Return the plan that restores all points of some choices. `records` and `data_bytes` are by snapshot id.

    A volume without a point is an obstacle: a recovery must restore everything that was named.
    """
    choices = list(choices)
    points = [point for choice in choices for point in choice.points]
    # Volumes without a named place stay detached; places without a volume are an obstacle below.
    places = [*options.attachments, *[("", "")] * len(points)]
    volumes = [
        VolumeRecovery(
            point,
            record.volume(point.origin.volume_id) if (record := records.get(point.id)) else None,
            data_bytes.get(point.id, 0),
            *place,
        )
        for point, place in zip(points, places, strict=False)
    ]
    obstacles = [
        f"{volume_id}: {why}" + (f"; --without {volume_id} recovers the others" if choice.points else "")
        for choice in choices
        for volume_id, why in choice.missing.items()
    ]
    if not points and not obstacles:
        obstacles.append("there is nothing to recover")
    if len(options.attachments) > len(points):
        obstacles.append(f"{len(options.attachments)} places to attach to, and {len(points)} volumes")
    said = [
        (volume, remark)
        for volume in volumes
        for remark in (*volume_remarks(volume, records.get(volume.point.id)), *_attachment_remarks(volume))
    ]
    remarks = shared_remarks(said)
    remarks += [
        f"{', '.join(point.origin.volume_id for point in choice.points)}: {span_text(choice.spread)} apart, "
        "not crash-consistent as one"
        for choice in choices
        if choice.spread
    ]
    remarks += [note for choice in choices for note in choice.notes]
    remarks += rate_remarks(len(points), options.rate_mibps)
    return RecoveryPlan(
        points[0].region if points else "", options.zone, options.rate_mibps, tuple(volumes), tuple(remarks), tuple(obstacles)
    )


def shared_remarks(remarks: Iterable[tuple[VolumeRecovery, str]]) -> list[str]:
    """Return remarks with the ids of their volumes: volumes with the same remark share one."""
    named: dict[str, list[str]] = defaultdict(list)
    for volume, remark in remarks:
        named[remark].append(volume.point.origin.volume_id)
    return [f"{', '.join(volume_ids)}: {remark}" for remark, volume_ids in named.items()]


def volume_remarks(volume: VolumeRecovery, record: RecoveryRecord | None, key: str = "") -> Iterable[str]:
    """Yield remarks about settings of a volume that cannot be carried over.

    `key` is its KMS key, if it is not that of its point.
    """
    settings = volume.settings
    if holders := holders_of(volume.point.tags):
        yield f"{', '.join(sorted(holders))} holds its point too"
    if not has_room(volume.point.tags, {HOLD, HOLDER}):
        yield "the tags of its point leave no room to hold it: retention may delete the point during the recovery"
    if volume.tags_left_out:
        yield f"tags that do not fit within {TAG_LIMIT}: {', '.join(volume.tags_left_out)}"
    if record is None or settings is None:
        yield "no recovery record: it becomes a gp3 volume with the tags of its snapshot"
        return
    if record.observed_at and record.observed_at > volume.point.origin.start_time:
        yield f"the settings were first observed at {record.observed_at:%Y-%m-%d %H:%M} UTC, after the data"
    if settings.volume_type == "standard":
        yield "previous-generation type standard, as recorded"
    if settings.encrypted and not volume.point.encrypted and not key:
        yield "it was encrypted, the point is not"
    if settings.encrypted and settings.kms_key and settings.kms_key != volume.point.kms_key_id and not key:
        yield f"encrypted with the key of the point, {volume.point.kms_key_id}; its key in {record.region} stays there"


def _attachment_remarks(volume: VolumeRecovery) -> Iterable[str]:
    if volume.settings and volume.settings.delete_on_termination:
        yield "it was to be deleted with its instance (DeleteOnTermination); an attached volume is not"


def steps_of(plan: RecoveryPlan) -> tuple[RecoveryStep, ...]:
    """Return the steps of a plan: hold all points, make all volumes before waiting for any, and release the points at the end."""
    points = [volume.point.id for volume in plan.volumes]
    creations, waits, attachments = [], [], []
    for number, volume in enumerate(plan.volumes, 1):
        create, wait = f"create-{number}", f"wait-{number}"
        point = volume.point
        about = f"make a volume of {point.id} ({point.origin.volume_id}) in {plan.zone}"
        creations.append(RecoveryStep(create, StepKind.CREATE_VOLUME, about, _creation(volume, plan)))
        waits.append(
            RecoveryStep(wait, StepKind.WAIT_FOR_VOLUME, f"wait until the volume of {point.id} is available", made_by=create)
        )
        if volume.instance_id:
            place = {"instance": volume.instance_id, "device": volume.device}
            about = f"attach it to {volume.instance_id} as {volume.device}"
            attachments.append(RecoveryStep(f"attach-{number}", StepKind.ATTACH_VOLUME, about, place, made_by=create))
    return holding(points, [*creations, *waits, *attachments])


def holding(points: Collection[str], steps: Iterable[RecoveryStep]) -> tuple[RecoveryStep, ...]:
    """Return steps between a first one that holds the points and a last one that releases them."""
    parameters = {"snapshots": list(points)}
    hold = RecoveryStep("hold", StepKind.HOLD, f"hold {', '.join(points)}", parameters)
    return (hold, *steps, RecoveryStep("release", StepKind.RELEASE, "release the points", parameters))


def _creation(volume: VolumeRecovery, plan: RecoveryPlan) -> dict[str, Any]:
    """Return the parameters of CreateVolume, and the volume's tags. Encryption and key are the snapshot's by default."""
    settings = volume.settings
    request: dict[str, Any] = {
        "SnapshotId": volume.point.id,
        "AvailabilityZone": plan.zone,
        "VolumeType": volume.volume_type,
        "Size": volume.size_gib,
        **volume.performance,
    }
    if settings and settings.multi_attach:
        request["MultiAttachEnabled"] = True
    if plan.rate_mibps:
        request[RATE] = plan.rate_mibps
    return {"request": request, "tags": volume.tags}
