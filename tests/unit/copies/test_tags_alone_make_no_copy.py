"""A volume made from a copy, with the copy's tags, and its snapshots: data of their own, whatever their tags say."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.tag_names import HOLD, MANAGED, ORIGINAL_REGION, RECOVERY, RECOVERY_STEP, SOURCE_SNAPSHOT
from snapkeep.domain.tags import carried_tags
from support.flows import DR, PRIMARY, Laboratory, policy_set


def restored_snapshot(lab: Laboratory) -> tuple[str, str]:
    """Restore the newest copy with its tags, and snapshot what was restored with them too. Return the copy and the snapshot."""
    copy = lab.snapshots(DR)[-1]
    tags = tag_list(lab.tags(copy.id, DR))
    ec2 = lab.ec2(DR)
    volume = ec2.create_volume(
        AvailabilityZone=f"{DR}a", SnapshotId=copy.id, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    lab.runner.advance(60)
    made = ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    lab.settle()
    return copy.id, str(made["SnapshotId"])


def test_dr_retention_ignores_snapshots_of_a_restored_volume() -> None:
    lab = Laboratory(policies=policy_set(keep_copies=1))
    volume = lab.make_volume()
    lab.protect(volume)
    copy, restored = restored_snapshot(lab)
    listed = Ec2Reader(client=lab.ec2(DR), region=DR).copies_of_volumes([volume])
    assert [snapshot.id for snapshot in listed] == [copy]
    newest = lab.protect(volume)
    assert lab.sources_of_copies() == [newest]
    assert restored in lab.ids(DR)


def test_the_snapshot_of_a_restored_volume_is_its_own_origin() -> None:
    lab = Laboratory()
    lab.protect(lab.make_volume())
    _, restored = restored_snapshot(lab)
    found = Ec2Reader(client=lab.ec2(DR), region=DR).snapshots([restored])[restored]
    assert not found.is_copy
    assert (found.origin.region, found.origin.snapshot_id) == (DR, restored)


def test_a_copys_description_identifies_it_without_other_fields() -> None:
    lab = Laboratory()
    source = lab.protect(lab.make_volume())
    (copy,) = lab.snapshots(DR)
    bare = BareOfTransferTypes(lab.ec2(DR))
    found = Ec2Reader(client=bare, region=DR).snapshots([copy.id])[copy.id]  # type: ignore[arg-type]
    assert found.is_copy
    assert (found.origin.region, found.origin.snapshot_id) == (PRIMARY, source)


class BareOfTransferTypes:
    """An EC2 client that gives copies arbitrary volume ids of another form, and no TransferType."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe_snapshots(self, **query: Any) -> Any:
        answer = self._client.describe_snapshots(**query)
        for item in answer["Snapshots"]:
            item.pop("TransferType")
            item["VolumeId"] = "vol-0123456789abcdef0"
        return answer


def test_snapkeeps_tags_are_not_carried_from_a_volume_to_its_snapshot() -> None:
    volume_tags = {SOURCE_SNAPSHOT: "snap-1", ORIGINAL_REGION: PRIMARY, "a": "b"}
    chosen, left_out = carried_tags({MANAGED: "snapkeep"}, {}, volume_tags)
    assert (chosen, left_out) == ({MANAGED: "snapkeep", "a": "b"}, [])


@pytest.mark.parametrize("tag", [HOLD, RECOVERY, RECOVERY_STEP, "snapkeep:of-a-later-version"])
def test_no_tag_that_begins_with_our_name_is_carried(tag: str) -> None:
    """A volume with `snapkeep:hold` made snapshots and copies that no plan may delete."""
    chosen, left_out = carried_tags({}, {}, {tag: "recovery-1", "Name": "web"})
    assert (chosen, left_out) == ({"Name": "web"}, [])
