"""The recovery record: what it holds, when it is written, and the tags that name it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from snapkeep.adapters.ec2_records import Ec2Records
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.events import SnapshotEndEvent
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.policy.model import RecordContent
from snapkeep.domain.recovery.record import SHORT_HASH, RecoveryRecord, newest_key
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.domain.tag_names import DEVICE, INSTANCE, OWN_TAGS, RECORD, RECOVERY_TAGS, SET
from snapkeep.domain.tags import TAG_LIMIT, carried_tags, tags_for_snapshot
from snapkeep.lab.ebs_model import FaultRule
from support.databases import DEVICES, protect_set, run_database
from support.flows import DAY, DR, PRIMARY, Laboratory, policy_set
from support.lineages import snapshot
from support.sweeping_world import SweepingWorld, kinds


def records(lab: Laboratory, owner: str, region: str = DR) -> list[RecoveryRecord]:
    documents = lab.runner.composition.documents[region]
    keys = [key for key in documents.keys(f"records/{owner}/") if key != newest_key(owner)]
    return [from_text(RecoveryRecord, documents.get(key).text) for key in keys]


def test_a_set_has_one_record_with_its_instance_and_all_its_volumes() -> None:
    lab = Laboratory()
    instance_id, volumes = run_database(lab)
    protect_set(lab, instance_id)
    (record,) = records(lab, instance_id)
    assert {volume.device: volume.volume_id for volume in record.volumes} == volumes
    assert [volume.device for volume in record.volumes if volume.root] == ["/dev/xvda"]
    data = {volume.device: volume for volume in record.volumes}
    assert (data["/dev/sdf"].size_gib, data["/dev/sdf"].throughput_mibps) == (20, 250)
    assert (data["/dev/sdg"].volume_type, data["/dev/sdg"].iops, data["/dev/sdg"].encrypted) == ("io2", 400, True)
    assert record.instance is not None
    assert record.instance.image.architecture == "x86_64"
    assert record.instance.image.root_device == "/dev/xvda"
    assert record.instance.network.subnet_cidr
    assert record.instance.network.groups[0].egress
    assert record.instance.shape.shutdown_behaviour == "stop"
    assert record.instance.identity.tags["Name"] == "db"
    assert record.instance.user_data == ""
    assert record.observed_at is not None


def test_snapshots_and_copies_of_a_set_name_it_and_their_record() -> None:
    lab = Laboratory()
    instance_id, _ = run_database(lab)
    made = protect_set(lab, instance_id)
    (record,) = records(lab, instance_id)
    for region in (PRIMARY, DR):
        tags = [lab.tags(snapshot_id, region) for snapshot_id in lab.ids(region)]
        assert {tag[SET] for tag in tags} == {min(made)}
        assert {tag[INSTANCE] for tag in tags} == {instance_id}
        assert {tag[DEVICE] for tag in tags} == set(DEVICES)
        assert {tag[RECORD] for tag in tags} == {record.sha256[:SHORT_HASH]}


def test_an_unattached_volume_has_a_record_of_its_own_and_no_set() -> None:
    lab = Laboratory()
    volume = lab.make_volume(size_gib=7)
    snapshot_id = lab.protect(volume)
    (record,) = records(lab, volume)
    assert (record.instance, [kept.size_gib for kept in record.volumes]) == (None, [7])
    assert {key: lab.tags(snapshot_id).get(key) for key in RECOVERY_TAGS} == {
        SET: None, INSTANCE: None, DEVICE: None, RECORD: record.sha256[:SHORT_HASH]
    }  # fmt: skip


def test_an_unchanged_instance_costs_no_call_until_a_week_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Laboratory()
    instance_id, volumes = run_database(lab)
    protect_set(lab, instance_id)
    completed = completions(lab, monkeypatch)
    lab.protect(volumes["/dev/sdf"])
    assert completed == []
    lab.runner.advance(6 * DAY)
    lab.protect(volumes["/dev/sdf"])
    assert completed == []
    lab.runner.advance(DAY)
    lab.protect(volumes["/dev/sdf"])
    assert completed == [instance_id]
    assert len(records(lab, instance_id)) == 1


def completions(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that names each instance whose record is read completely from now on."""
    owners: list[str] = []
    whole = Ec2Records.complete

    def counted(self: Any, record: RecoveryRecord, *, user_data: bool) -> RecoveryRecord:
        owners.append(record.owner)
        return whole(self, record, user_data=user_data)

    monkeypatch.setattr(Ec2Records, "complete", counted)
    return owners


def test_a_changed_instance_gets_another_record_and_the_former_one_stays() -> None:
    lab = Laboratory()
    instance_id, volumes = run_database(lab)
    protect_set(lab, instance_id)
    (before,) = records(lab, instance_id)
    lab.ec2().modify_volume(VolumeId=volumes["/dev/sdf"], Size=40)
    lab.runner.advance(3600)
    second = lab.protect(volumes["/dev/sdf"])
    both = records(lab, instance_id)
    (after,) = [record for record in both if record != before]
    assert len(both) == 2
    assert lab.tags(second)[RECORD] == after.sha256[:SHORT_HASH]


def test_user_data_is_recorded_only_by_policy() -> None:
    policies = policy_set()
    asked = replace(
        policies, policies=tuple(replace(policy, record=RecordContent(user_data=True)) for policy in policies.policies)
    )
    for chosen, expected in ((policies, ""), (asked, "c2VjcmV0")):
        lab = Laboratory(policies=chosen)
        instance_id, _ = run_database(lab, UserData="secret")
        protect_set(lab, instance_id)
        (record,) = records(lab, instance_id)
        assert record.instance is not None
        assert record.instance.user_data == expected


def test_a_record_that_cannot_be_written_stops_no_copy_and_is_reported() -> None:
    lab = Laboratory()
    instance_id, _ = run_database(lab)

    def lost(*_: object) -> str:
        raise AwsRefused("put_object: AccessDenied")

    lab.runner.composition.documents[DR].put = lost  # type: ignore[method-assign,assignment]
    made = protect_set(lab, instance_id)
    assert lab.sources_of_copies() == sorted(made)
    assert {kind for kind, _ in lab.notified} == {"RecordNotWritten"}
    assert all(RECORD not in lab.tags(copy_id, DR) for copy_id in lab.ids(DR))
    assert all(lab.tags(copy_id, DR)[INSTANCE] == instance_id for copy_id in lab.ids(DR))


def test_a_sweep_writes_records_missed_during_an_outage() -> None:
    world = SweepingWorld()
    volume = world.volume()

    def tags() -> dict[str, str]:
        return world.world.resource_tags(PRIMARY, world.world.account_id, snapshot_id)

    world.world.take_region_away(DR)
    snapshot_id = world.snapshot(volume)
    world.later(600)
    assert RECORD not in tags()
    world.world.bring_region_back(DR)
    world.later(600)
    assert kinds(world.sweep(), Handling.REPAIRED)[FindingKind.RECORD_MISSING] == 1
    world.later(600)
    assert RECORD in tags()
    assert FindingKind.RECORD_MISSING not in kinds(world.sweep(), Handling.REPAIRED)


def test_ec2_that_refuses_a_part_of_the_record_stops_no_copy() -> None:
    lab = Laboratory()
    instance_id, _ = run_database(lab)
    lab.world.add_fault(
        FaultRule("api_error", action="DescribeSecurityGroups", code="UnauthorizedOperation", http_status=403, probability=1.0)
    )
    made = protect_set(lab, instance_id)
    assert lab.sources_of_copies() == sorted(made)
    assert {kind for kind, _ in lab.notified} == {"RecordNotWritten"}


def test_tags_of_a_volume_from_a_restored_copy_are_ignored() -> None:
    lab = Laboratory()
    volume = lab.make_volume({"Backup": "yes"})
    false = [{"Key": key, "Value": "false"} for key in RECOVERY_TAGS]
    specifications = [{"ResourceType": "snapshot", "Tags": false}]
    snapshot_id = lab.ec2().create_snapshot(VolumeId=volume, TagSpecifications=specifications)["SnapshotId"]
    lab.settle()
    (record,) = records(lab, volume)
    assert lab.tags(snapshot_id)[RECORD] == record.sha256[:SHORT_HASH]


def test_a_snapshot_that_is_handled_again_keeps_its_first_record() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    snapshot_id = lab.protect(volume)
    before = lab.tags(snapshot_id)
    lab.ec2().modify_volume(VolumeId=volume, Size=40)
    lab.runner.composition.tag_snapshots(PRIMARY).run([SnapshotEndEvent(snapshot_id, succeeded=True, cause="")])
    assert lab.tags(snapshot_id) == before
    assert len(records(lab, volume)) == 1


def test_the_tags_of_recovery_are_between_snapkeeps_and_the_volumes() -> None:
    own = tags_for_snapshot("snapkeep", "gold", snapshot("2026-11-22T03:00", 1).origin)
    recovery = dict.fromkeys(RECOVERY_TAGS, "value")
    present = {f"there-{number:02}": "" for number in range(TAG_LIMIT - len(own) - 2)}
    chosen, left_out = carried_tags(own, present, {"Name": "web"}, (), recovery)
    assert chosen.items() >= own.items()
    assert len(chosen) + len(present) == TAG_LIMIT
    assert chosen.keys() - own.keys() == {SET, INSTANCE}
    assert left_out == [DEVICE, RECORD, "Name"]
    assert set(RECOVERY_TAGS) <= OWN_TAGS
