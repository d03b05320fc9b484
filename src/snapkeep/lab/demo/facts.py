"""The facts at the end: every snapshot of the story in both regions, with its fate and the reasons, and every notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.model import Snapshot, Verdict
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.retention.verdicts import decide
from snapkeep.lab.demo.drill import DemoDrill
from snapkeep.lab.demo.executions import PROTECT, RECEIVE, FollowedExecution
from snapkeep.lab.demo.recovery import DemoRecovery
from snapkeep.lab.demo.story import CAST, DR_REGION, DR_RETENTION, PRIMARY_REGION, RETENTION, DemoHistory, DemoVolume, Shot


class Fate(StrEnum):
    """The fate of a snapshot or a copy."""

    KEPT = "kept"
    DELETED = "deleted"
    UNTOUCHED = "untouched"
    FAILED = "failed"
    ABSENT = "none"


@dataclass(frozen=True, slots=True)
class Ending:
    """The state of one snapshot or copy at the end."""

    fate: Fate
    snapshot_id: str = ""
    reasons: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    """The snapshot in AWS's form; None if it is deleted."""


@dataclass(frozen=True, slots=True)
class ShotFacts:
    """One snapshot of the story, in the primary and in the DR region."""

    label: str
    source: Ending
    copy: Ending


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """One volume's snapshots, oldest first."""

    member: DemoVolume
    volume_id: str
    shots: tuple[ShotFacts, ...]

    def kept(self, *, copies: bool = False) -> list[str]:
        """Return the labels of the kept snapshots in the primary region, or of the kept copies in the DR region."""
        return [shot.label for shot in self.shots if (shot.copy if copies else shot.source).fate is Fate.KEPT]


@dataclass(frozen=True, slots=True)
class DemoFacts:
    """All facts for the checks."""

    system: str
    volumes: tuple[VolumeFacts, ...]
    runs: tuple[FollowedExecution, ...]
    messages: tuple[Mapping[str, Any], ...]
    """The messages published to SNS, with `subject`, `body`, `region`."""
    queue: tuple[Mapping[str, str], ...]
    """The entries of the copy queue: `pk`, `state`, `cause`."""
    stranger_was_refused: str
    """AWS's error for a user without permissions; empty if the call succeeded."""
    foreign_copies: tuple[str, ...] = field(default_factory=tuple)
    """Snapshots in the DR region that belong to no snapshot of the story."""
    drill: DemoDrill | None = None
    recovery: DemoRecovery | None = None
    wrong_copies: tuple[Snapshot, ...] = ()
    """Copies whose check found them different from their sources."""

    def volume(self, member: DemoVolume) -> VolumeFacts:
        """Return the facts of one volume of the story."""
        return next(volume for volume in self.volumes if volume.member is member)

    def runs_of(self, machine: str) -> list[FollowedExecution]:
        """Return the executions of one state machine."""
        return [run for run in self.runs if run.machine == machine]


def gather(
    client: Callable[[str, str], Any],
    system: str,
    story: DemoHistory,
    runs: Sequence[FollowedExecution],
    messages: Sequence[Mapping[str, Any]],
    queue_table: str,
) -> DemoFacts:
    """Read both regions and return all facts."""
    primary = Ec2Reader(client=client("ec2", PRIMARY_REGION), region=PRIMARY_REGION)
    dr = Ec2Reader(client=client("ec2", DR_REGION), region=DR_REGION)
    copies = list(dr.all_snapshots())
    deleted_sources, deleted_copies = _deletions(runs, PROTECT), _deletions(runs, RECEIVE)
    sources_of = {run.copy_id: run.snapshot_ids[0] for run in runs if run.machine == RECEIVE}
    volumes = []
    for member in CAST:
        volume_id = story.volume_ids[member.name]
        present = primary.snapshots_of_volumes([volume_id])
        own_copies = [copy for copy in copies if copy.origin.volume_id == volume_id]
        verdicts = _verdicts(present, RETENTION, system) | _verdicts(own_copies, DR_RETENTION, system)
        shots = tuple(
            ShotFacts(
                shot.label,
                _source_ending(shot, present, verdicts, deleted_sources),
                _copy_ending(shot, own_copies, verdicts, deleted_copies, sources_of),
            )
            for shot in story.shots_of(member)
        )
        volumes.append(VolumeFacts(member, volume_id, shots))
    known = {shot.snapshot_id for shot in story.shots}
    return DemoFacts(
        system=system,
        volumes=tuple(volumes),
        runs=tuple(runs),
        messages=tuple(messages),
        queue=_queue_entries(client("dynamodb", DR_REGION), queue_table),
        stranger_was_refused=ask_as_a_stranger(client),
        foreign_copies=tuple(copy.id for copy in copies if copy.origin.snapshot_id not in known),
        wrong_copies=tuple(copy for copy in copies if copy.found_wrong),
    )


def ask_as_a_stranger(client: Callable[[str, str], Any]) -> str:
    """Make a user without permissions, list snapshots as this user, and return AWS's refusal; empty if there is none."""
    import boto3  # noqa: PLC0415 - only this function needs other credentials
    from botocore.exceptions import ClientError  # noqa: PLC0415

    iam, name = client("iam", PRIMARY_REGION), "stranger"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = boto3.client(
        "ec2",
        region_name=PRIMARY_REGION,
        endpoint_url=client("ec2", PRIMARY_REGION).meta.endpoint_url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    try:
        stranger.describe_snapshots(OwnerIds=["self"])
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)
    return ""


def _verdicts(snapshots: Sequence[Snapshot], keep_last: int, system: str) -> dict[str, Verdict]:
    """Return the current verdicts of retention: the reasons why each existing snapshot is kept."""
    verdicts = decide(snapshots, Retention(keep_last=keep_last), datetime.now(UTC), system=system) if snapshots else []
    return {verdict.snapshot.id: verdict for verdict in verdicts}


def _source_ending(
    shot: Shot, present: Sequence[Snapshot], verdicts: Mapping[str, Verdict], deleted: Mapping[str, tuple[str, ...]]
) -> Ending:
    snapshot = next((snapshot for snapshot in present if snapshot.id == shot.snapshot_id), None)
    if snapshot is None:
        return Ending(Fate.DELETED, shot.snapshot_id, deleted.get(shot.snapshot_id, ()))
    return _present_ending(snapshot, verdicts)


def _copy_ending(
    shot: Shot,
    copies: Sequence[Snapshot],
    verdicts: Mapping[str, Verdict],
    deleted: Mapping[str, tuple[str, ...]],
    sources_of: Mapping[str, str],
) -> Ending:
    good = (copy for copy in copies if copy.origin.snapshot_id == shot.snapshot_id and not copy.found_wrong)
    copy = next(good, None)
    if copy is not None:
        return _present_ending(copy, verdicts)
    copy_ids = [copy_id for copy_id, source_id in sources_of.items() if source_id == shot.snapshot_id]
    if not copy_ids:
        return Ending(Fate.ABSENT)
    times = (f"made {len(copy_ids)} times",) if len(copy_ids) > 1 else ()
    return Ending(Fate.DELETED, copy_ids[-1], times + deleted.get(copy_ids[-1], ()))


def _present_ending(snapshot: Snapshot, verdicts: Mapping[str, Verdict]) -> Ending:
    reasons = tuple(reason.text for reason in verdicts[snapshot.id].reasons)
    if not snapshot.completed:
        return Ending(Fate.FAILED, snapshot.id, reasons, snapshot)
    managed = any(key.startswith("snapkeep:") for key in snapshot.tags)
    return Ending(Fate.KEPT if managed else Fate.UNTOUCHED, snapshot.id, reasons, snapshot)


def _deletions(runs: Sequence[FollowedExecution], machine: str) -> dict[str, tuple[str, ...]]:
    return {
        deletion["snapshot_id"]: tuple(deletion["reasons"])
        for run in runs
        if run.machine == machine
        for deletion in run.deletions()
    }


def _queue_entries(dynamodb: Any, table: str) -> tuple[Mapping[str, str], ...]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    items = [{name: next(iter(value.values())) for name, value in item.items()} for page in pages for item in page["Items"]]
    return tuple({name: str(item.get(name, "")) for name in ("pk", "state", "cause")} for item in items if "state" in item)
