"""The last scene: the primary region is unreachable, and the three volumes of a set are recovered in the DR region."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.s3_documents import S3Documents
from snapkeep.domain.recovery.choice import Target
from snapkeep.lab.demo.story import DR_REGION, LEDGER, ORDERS_SET, PRIMARY_REGION, DemoHistory
from snapkeep.lab.embedded_aws import ACCOUNT_ID, EmbeddedAws
from snapkeep.usecases.recovery.all_actions import all_actions
from snapkeep.usecases.recovery.prepare import PrepareRecovery, RecoveryRequest, begin
from snapkeep.usecases.recovery.recover import Journal, Recover

BLOCKS = 20


@dataclass(frozen=True, slots=True)
class DemoRecovery:
    """The result of the set's recovery."""

    seconds: float
    attached: int
    """The number of attached volumes in the DR region."""
    equal: int
    """The number of volumes whose content equals their source's."""


def write_content(aws: EmbeddedAws, story: DemoHistory) -> None:
    """Write distinct blocks to the volumes of the set and to `ledger`, and plant a wrong block in the next copy of `ledger`."""
    for first, member in enumerate((*ORDERS_SET, LEDGER)):
        volume = {"account": ACCOUNT_ID, "region": PRIMARY_REGION, "volume_id": story.volume_ids[member.name]}
        aws.admin("POST", "blocks", {**volume, "first_block": first, "count": BLOCKS})
    ledger = {"region": DR_REGION, "volume_id": story.volume_ids[LEDGER.name]}
    aws.admin("POST", "faults", {"kind": "copy_wrong_blocks", "blocks": 1, "times": 1, **ledger})


def recover_set(aws: EmbeddedAws, client: Callable[[str, str], Any], story: DemoHistory, bucket: str) -> DemoRecovery:
    """Make the primary region unreachable, recover the set, make the region reachable again, and compare.

    Raise the recovery's errors.
    """
    ec2, volume_ids = client("ec2", DR_REGION), [story.volume_ids[member.name] for member in ORDERS_SET]
    zone = {"Placement": {"AvailabilityZone": f"{DR_REGION}a"}}
    image = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "m7g.large"}
    instance_id = ec2.run_instances(MinCount=1, MaxCount=1, **image, **zone)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    began = time.monotonic()
    aws.admin("POST", "regions/away", {"region": PRIMARY_REGION})
    try:
        documents, actions_on = (
            S3Documents(client=client("s3", DR_REGION), bucket=bucket),
            Ec2Instances(client=ec2, region=DR_REGION),
        )
        prepare = PrepareRecovery(
            snapshots=Ec2Reader(client=ec2, region=DR_REGION),
            reader=actions_on,
            documents=documents,
            volumes_in=lambda _, ids: ids,
        )
        now = datetime.now(UTC)
        plan = prepare.plan(RecoveryRequest(Target(_instance_of(ec2, volume_ids)), now, attach_to=instance_id))
        run, clock = begin(plan, "the demonstration", now), WallClock()
        recover = Recover(journal=Journal(documents=documents), actions=all_actions(actions_on, clock), clock=clock)
        recover.journal.begin(run)
        recover.run(run)
    finally:
        aws.admin("POST", "regions/back", {"region": PRIMARY_REGION})
    seconds = time.monotonic() - began
    made = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}])["Volumes"]
    recovered = {volume["SnapshotId"]: volume["VolumeId"] for volume in made if volume.get("SnapshotId") in run.points}
    return DemoRecovery(seconds, len(recovered), sum(_is_equal(client, *pair) for pair in recovered.items()))


def _instance_of(ec2: Any, volume_ids: list[str]) -> tuple[str, ...]:
    """Return the id of the instance in the tags of the set's copies."""
    filters = [{"Name": "tag:snapkeep:source-volume", "Values": volume_ids}]
    copies = ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return tuple({tag["Value"] for copy in copies for tag in copy["Tags"] if tag["Key"] == "snapkeep:instance"})


def _is_equal(client: Callable[[str, str], Any], copy_id: str, volume_id: str) -> bool:
    """Whether a snapshot of the recovered volume has the blocks of a copy's source."""
    ec2 = client("ec2", DR_REGION)
    (copy,) = ec2.describe_snapshots(SnapshotIds=[copy_id])["Snapshots"]
    source_id = next(tag["Value"] for tag in copy["Tags"] if tag["Key"] == "snapkeep:source-snapshot")
    after = ec2.create_snapshot(VolumeId=volume_id, Description="to be compared")["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[after], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    expected = _content(client("ebs", PRIMARY_REGION), source_id)
    return len(expected) >= BLOCKS and expected == _content(client("ebs", DR_REGION), after)


def _content(ebs: Any, snapshot_id: str) -> Mapping[int, str]:
    blocks = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    return {
        block["BlockIndex"]: ebs.get_snapshot_block(
            SnapshotId=snapshot_id, BlockIndex=block["BlockIndex"], BlockToken=block["BlockToken"]
        )["Checksum"]
        for block in blocks
    }
