"""Content over the wire: a copy is compared with its source, block by block, in each region."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from snapkeep.lab.embedded_aws import EmbeddedAws

PRIMARY, DR = "us-east-1", "us-east-2"


def checksums(blocks: Any, snapshot_id: str) -> dict[int, str]:
    answers = {}
    for block in blocks.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]:
        answer = blocks.get_snapshot_block(SnapshotId=snapshot_id, **block)
        data = answer["BlockData"].read()
        assert len(data) == answer["DataLength"] == 524_288
        assert answer["Checksum"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
        answers[block["BlockIndex"]] = answer["Checksum"]
    return answers


def test_a_copy_equals_its_source_block_by_block_over_the_wire(embedded_alone: EmbeddedAws, account_id: str) -> None:
    primary, dr = (embedded_alone.client("ec2", region, account_id) for region in (PRIMARY, DR))
    volume_id = primary.create_volume(AvailabilityZone=PRIMARY + "a", Size=1)["VolumeId"]
    embedded_alone.admin("POST", "clock", {"seconds": 60})
    write = {"account": account_id, "region": PRIMARY, "volume_id": volume_id, "first_block": 5, "count": 3}
    embedded_alone.admin("POST", "blocks", write)
    snapshot_id = primary.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    embedded_alone.admin("POST", "clock", {"seconds": 60})
    copy_id = dr.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id)["SnapshotId"]
    embedded_alone.admin("POST", "clock", {"seconds": 60})
    source = checksums(embedded_alone.client("ebs", PRIMARY, account_id), snapshot_id)
    assert sorted(source) == [5, 6, 7]
    assert len(set(source.values())) == 3
    assert checksums(embedded_alone.client("ebs", DR, account_id), copy_id) == source
