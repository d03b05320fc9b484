"""The history of `snapkeep console --demo` in the buckets of the embedded AWS: reports, drills, signals and records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from snapkeep import __version__
from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_records import Ec2Records
from snapkeep.adapters.s3_documents import S3Documents
from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillLedger, evidence_key, evidence_of
from snapkeep.domain.drills.run import DrillProof, DrillRun
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.signals import SignalRecord
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, Handling, ReportItem, SweepReport, report_to_json
from snapkeep.domain.system import StackKind, stack_name
from snapkeep.usecases.recovery.write_records import WriteRecords
from snapkeep.usecases.signals import record_name

REGION, DR_REGION, SYSTEM = "us-east-1", "us-east-2", "snapkeep"
MISSED = (2, 2, 3, 2, 2, 1, 1, 2, 4, 5, 3, 2, 2, 2, 1, 2, 3, 3, 2, 2, 4, 6, 5, 4, 3, 3, 4, 4)
"""The number of volumes that missed their RPO in each sweep of the last days."""
SWEEPS, DAYS = len(MISSED), 14
DRILLS = (("orders-db", 3, 6), ("orders-log", 10, 5), ("customers-db", 17, 22), ("orders-index", 24, 7), ("orders-db", 45, 9))
"""The volume of each drill, its age in days, and the minutes until the volume was usable."""


def keep_history(client: Callable[[str, str], Any]) -> None:
    """Store the documents of sweeps and drills of the last weeks."""
    now = datetime.now(UTC)
    bucket = _bucket(client, REGION, StackKind.PRIMARY)
    volumes = _volumes(client)
    for report in _reports(now, volumes):
        key = f"reports/{report.started_at:%Y/%m/%d}/{report.id}.json"
        client("s3", REGION).put_object(Bucket=bucket, Key=key, Body=json.dumps(report_to_json(report)).encode())
    _keep_drills(client, now)


def keep_signals(client: Callable[[str, str], Any], key: str) -> None:
    """Store the signals of the last days: a user scheduled the deletion of a copy's key, and failed to delete snapshots."""
    now, ec2 = datetime.now(UTC), client("ec2", DR_REGION)
    arn = str(client("kms", DR_REGION).describe_key(KeyId=key)["KeyMetadata"]["Arn"])
    copies = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    encrypted = [copy["SnapshotId"] for copy in copies if copy.get("KmsKeyId") == arn]
    account = arn.split(":")[4]
    person, address = f"arn:aws:sts::{account}:assumed-role/Contractor/pat", "203.0.113.77"
    scheduled = SignalRecord(
        DR_REGION,
        call="ScheduleKeyDeletion",
        principal=person,
        address=address,
        first_at=now - timedelta(days=3, hours=2),
        calls=1,
        objects=(arn,),
        object_count=1,
        points=len(encrypted),
    )
    refused = SignalRecord(
        DR_REGION,
        call="DeleteSnapshot",
        principal=person,
        address=address,
        first_at=now - timedelta(days=3, hours=1, minutes=51),
        calls=4,
        error="Client.UnauthorizedOperation",
        objects=tuple(encrypted[:4]),
        object_count=4,
        points=4,
    )
    bucket = _bucket(client, DR_REGION, StackKind.DR)
    for record in (scheduled, refused):
        client("s3", DR_REGION).put_object(Bucket=bucket, Key=record_name(record), Body=to_text(record).encode())


def keep_records(client: Callable[[str, str], Any]) -> None:
    """Store the recovery records of every volume and instance that a policy copies, as Protect does."""
    ec2 = client("ec2", REGION)
    bucket = _bucket(client, DR_REGION, StackKind.DR)
    documents = S3Documents(client=client("s3", DR_REGION), bucket=bucket)
    writer = WriteRecords(reader=Ec2Records(client=ec2, region=REGION), documents_of=lambda _: documents, clock=WallClock())
    chosen = [{"Name": "tag:Backup", "Values": ["gold", "silver"]}]
    volume_ids = [volume["VolumeId"] for volume in ec2.describe_volumes(Filters=chosen)["Volumes"]]
    records = writer.observe(volume_ids)
    for record in records.observation.records.values():
        records.write(record, [DR_REGION], user_data=False)


def _bucket(client: Callable[[str, str], Any], region: str, kind: StackKind) -> str:
    [stack] = client("cloudformation", region).describe_stacks(StackName=stack_name(SYSTEM, kind))["Stacks"]
    return next(str(output["OutputValue"]) for output in stack["Outputs"] if output["OutputKey"] == "ReportsBucketName")


def _volumes(client: Callable[[str, str], Any]) -> dict[str, str]:
    """Return the names of the volumes that a policy governs, by id."""
    listed = client("ec2", REGION).describe_volumes(Filters=[{"Name": "tag-key", "Values": ["Backup"]}])["Volumes"]
    return {volume["VolumeId"]: next(tag["Value"] for tag in volume["Tags"] if tag["Key"] == "Name") for volume in listed}


def _reports(now: datetime, volumes: Mapping[str, str]) -> Iterator[SweepReport]:
    for number in range(SWEEPS):
        at = now - timedelta(days=DAYS * (SWEEPS - number) / SWEEPS)
        counts = {
            Figure.VOLUMES_NOT_RECOVERABLE: 3 if number > SWEEPS / 2 else 1,
            Figure.VOLUMES_NOT_AS_ASKED: MISSED[number],
            Figure.VOLUMES_NOT_PROVED: max(14 - number // 2, 6),
        }
        items = tuple(
            ReportItem(FindingKind.RPO_MISSED, volume_id, volume_id, "no snapshot within the RPO", Handling.NEEDS_ATTENTION)
            for volume_id in list(volumes)[: MISSED[number]]
        )
        sweep_id, end = f"sweep-{at:%Y%m%dT%H%M%SZ}", at + timedelta(seconds=20)
        yield SweepReport(sweep_id, SYSTEM, "primary", REGION, at, end, items, counts, names=volumes).with_names_used()


def _keep_drills(client: Callable[[str, str], Any], now: datetime) -> None:
    bucket, s3 = _bucket(client, DR_REGION, StackKind.DR), client("s3", DR_REGION)
    copies = client("ec2", DR_REGION).describe_snapshots(OwnerIds=["self"])["Snapshots"]
    ledger = DrillLedger()
    for name, days, minutes in sorted(DRILLS, key=lambda drill: -drill[1]):
        copy = next(copy for copy in copies if {"Key": "Name", "Value": name} in copy["Tags"])
        evidence = evidence_of(_drill(copy, now - timedelta(days=days), minutes), __version__, ledger.last_hash)
        ledger = ledger.concluded(evidence)
        s3.put_object(Bucket=bucket, Key=evidence_key(evidence.run.id), Body=evidence.text.encode())
    s3.put_object(Bucket=bucket, Key=LEDGER_KEY, Body=to_text(ledger).encode())


def _drill(copy: dict[str, Any], at: datetime, minutes: int) -> DrillRun:
    volume_id = next(tag["Value"] for tag in copy["Tags"] if tag["Key"] == "snapkeep:source-volume")
    blocks = copy["VolumeSize"] * 2048
    return DrillRun(
        id=f"drill-{at:%Y%m%dT%H%M%S}-{volume_id}-a1b2c3",
        drill="gold-weekly",
        policy="gold",
        volume_id=volume_id,
        region=DR_REGION,
        point=copy["SnapshotId"],
        point_start=at - timedelta(hours=3),
        size_gib=copy["VolumeSize"],
        asked_at=at,
        ends_at=at + timedelta(days=1),
        rto=timedelta(minutes=15),
        estimate_usd=1.66,
        restored_id="vol-0d1e2f3a4b5c6d7e8",
        available_at=at + timedelta(minutes=minutes),
        progress_percent=100,
        initialised_at=at + timedelta(minutes=8 * minutes),
        snapshot_id="snap-0d1e2f3a4b5c6d7e8",
        snapshot_at=at + timedelta(minutes=9 * minutes),
        proof=DrillProof(str(ProofVerdict.PROVED), "full", blocks, 0, "9f2c" * 16, blocks // 5000, 2 * blocks, 2 * blocks * 3e-6),
        removed_at=at + timedelta(minutes=14 * minutes),
        removal_ended=True,
    )
