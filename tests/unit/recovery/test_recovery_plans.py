"""Plans of recoveries: the instance that volumes are attached to, volumes that are left out, permissions that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.choice import Target
from snapkeep.domain.recovery.places import places_for
from snapkeep.domain.recovery.recovery_plan import RecoveryPlan
from snapkeep.domain.recovery.region_quotas import STORAGE_QUOTAS
from snapkeep.domain.tag_names import DEVICE, INSTANCE, POLICY
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.recovery.prepare import RecoveryRequest
from support.flows import DR, PRIMARY
from support.recovering import Quotas, RecoveryLab


class Listing:
    """A region with these snapshots."""

    def __init__(self, snapshots: list[Snapshot]) -> None:
        self.snapshots = snapshots

    def all_snapshots(self) -> list[Snapshot]:
        return self.snapshots


@pytest.fixture(scope="module")
def ready() -> RecoveryLab:
    """One world for the tests that leave nothing behind."""
    return RecoveryLab()


def test_only_a_stopped_or_running_instance_takes_volumes() -> None:
    lab = RecoveryLab()
    lab.lab.ec2(DR).terminate_instances(InstanceIds=[lab.target_id])
    lab.lab.runner.advance(120)
    assert [obstacle for obstacle in lab.plan().obstacles if "is terminated" in obstacle]


@pytest.mark.parametrize("device", ["/dev/sda1", "/dev/sda", "xvda"])
def test_one_device_has_several_names(ready: RecoveryLab, device: str) -> None:
    """The root volume of the instance is at /dev/xvda."""
    assert "something at /dev/xvda already" in "; ".join(ready.plan(devices=(device,)).obstacles)


def test_volumes_beyond_the_free_devices_are_an_obstacle(ready: RecoveryLab) -> None:
    point = ready.plan().volumes[0].point
    with pytest.raises(ValueError, match="no free device from /dev/sdf to /dev/sdp"):
        places_for([point] * 12, "i-1", (), ["xvdf"])
    assert len(places_for([point] * 10, "i-1", (), ["xvdf"])) == 10


def test_an_instance_is_whole_unless_a_volume_is_left_out() -> None:
    lab = RecoveryLab()
    first = lab.plan().volumes[0].point
    for snapshot_id in lab.lab.ids(DR):
        if lab.lab.tags(snapshot_id, DR)["snapkeep:source-volume"] == first.origin.volume_id:
            lab.lab.ec2(DR).create_tags(Resources=[snapshot_id], Tags=[{"Key": "snapkeep:check", "Value": "wrong"}])
    whole = lab.plan()
    assert [obstacle for obstacle in whole.obstacles if f"--without {first.origin.volume_id}" in obstacle]
    for name in (first.origin.volume_id, first.tags["snapkeep:device"]):
        rest = lab.plan(without=(name,))
        assert (rest.obstacles, len(rest.volumes)) == ((), 2), name
    assert [obstacle for obstacle in lab.plan(without=("/dev/sdx",)).obstacles if "named so" in obstacle]


def test_a_device_is_left_out_by_any_of_its_names(ready: RecoveryLab) -> None:
    point = ready.plan().volumes[0].point
    snapshots = [
        replace(point, id=f"snap-{number}", tags={**point.tags, INSTANCE: f"i-{number}", POLICY: "gold", DEVICE: device})
        for number, device in enumerate(["/dev/sdf", "/dev/sdf", "/dev/sdg"])
    ]
    listed = [
        replace(one, origin=replace(one.origin, volume_id=f"vol-{number}", snapshot_id=f"snap-s{number}"))
        for number, one in enumerate(snapshots)
    ]
    prepare = replace(ready.prepare(), snapshots=Listing(listed), volumes_in=lambda _, volume_ids: volume_ids)
    plan = prepare.plan(RecoveryRequest(Target(policy="gold"), ready.clock.now(), without=("xvdf",)))
    assert [volume.point.origin.volume_id for volume in plan.volumes] == ["vol-2"]


def policy_plan(lab: RecoveryLab, **more: object) -> RecoveryPlan:
    request = RecoveryRequest(Target(policy="default"), lab.clock.now(), **more)  # type: ignore[arg-type]
    return lab.prepare().plan(request)


def test_a_volume_without_a_point_blocks_no_other_of_its_policy() -> None:
    lab = RecoveryLab()
    alone = lab.lab.make_volume({"Backup": "yes"})
    lab.lab.protect(alone)
    (copy,) = [one for one in lab.lab.ids(DR) if lab.lab.tags(one, DR)["snapkeep:source-volume"] == alone]
    lab.lab.ec2(DR).create_tags(Resources=[copy], Tags=[{"Key": "snapkeep:check", "Value": "wrong"}])
    plan = policy_plan(lab)
    assert (plan.obstacles, len(plan.volumes)) == ((), 3)
    assert [remark for remark in plan.remarks if remark.startswith(f"{alone} is not recovered")]


def test_a_policy_recovers_deleted_volumes_only_on_request() -> None:
    lab = RecoveryLab()
    alone = lab.lab.make_volume({"Backup": "yes"})
    lab.lab.protect(alone)
    lab.lab.ec2(PRIMARY).delete_volume(VolumeId=alone)
    lab.lab.runner.advance(60)
    plan = policy_plan(lab)
    assert len(plan.volumes) == 3
    assert [remark for remark in plan.remarks if alone in remark and "--with-deleted" in remark]
    assert len(policy_plan(lab, with_deleted=True).volumes) == 4
    lab.lab.world.take_region_away(PRIMARY)
    unread = policy_plan(lab)
    assert (unread.obstacles, len(unread.volumes)) == ((), 4)
    assert [remark for remark in unread.remarks if "may be among them" in remark]


def test_a_plan_without_permission_to_list_zones_needs_a_zone(ready: RecoveryLab) -> None:
    ready.lab.world.add_fault(
        FaultRule(
            "api_error", region=DR, action="DescribeAvailabilityZones", code="UnauthorizedOperation", http_status=403, times=2
        )
    )
    assert [obstacle for obstacle in ready.plan(attach=False).obstacles if "name a zone" in obstacle]
    assert ready.plan(attach=False, zone="us-east-2a").obstacles == ()


def test_a_refused_trial_to_attach_is_a_note(ready: RecoveryLab) -> None:
    """A permission may depend on tags that only the recovered volume has."""
    ready.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="AttachVolume", code="UnauthorizedOperation", http_status=403, times=1)
    )
    plan = ready.plan()
    assert plan.obstacles == ()
    assert [remark for remark in plan.remarks if "a trial" in remark and "UnauthorizedOperation" in remark]


def plan_with(lab: RecoveryLab, quotas: Mapping[str, float]) -> RecoveryPlan:
    client: Any = lab.lab.world.client("ec2", DR)
    ec2 = Ec2Recovery(client=client, region=DR, quotas=lambda: Quotas(quotas))
    return lab.prepare(ec2=ec2).plan(RecoveryRequest(Target((lab.instance_id,)), lab.clock.now()))


def test_volumes_beyond_the_quota_of_storage_are_an_obstacle(ready: RecoveryLab) -> None:
    """Two volumes of gp3 have 28 GiB, beside the 8 GiB of the instance that is there."""
    quotas = dict.fromkeys(STORAGE_QUOTAS.values(), 50.0)
    assert plan_with(ready, quotas).obstacles == ()
    (obstacle,) = plan_with(ready, quotas | {STORAGE_QUOTAS["gp3"]: 0.03}).obstacles
    assert "28 GiB of gp3 beside 8 in use" in obstacle
    assert STORAGE_QUOTAS["gp3"] in obstacle


def test_quotas_that_are_not_listed_are_not_known(ready: RecoveryLab) -> None:
    plan = plan_with(ready, {STORAGE_QUOTAS["gp3"]: 50.0})
    assert plan.obstacles == ()
    assert [remark for remark in plan.remarks if "not known for GiB of io2" in remark]
