"""The recovery of an instance, ended anywhere, is continued or undone; a root volume is replaced in place and put back."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.errors import AwsRefused, RecoveryFailed
from snapkeep.domain.recovery.recovery_plan import RecoveryState, StepKind
from snapkeep.domain.tag_names import HOLD
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.recovery.recover import Recover
from support.flows import DR, PRIMARY
from support.recovering import KillAt, Killed
from support.recovering_instances import InstanceLab


@pytest.fixture
def lab() -> InstanceLab:
    return InstanceLab()


# Interrupted anywhere


@pytest.fixture(scope="module")
def ready() -> tuple[InstanceLab, str]:
    """One world for the tests that leave nothing behind."""
    lab = InstanceLab()
    source_id = lab.protected(DisableApiTermination=True)
    lab.lab.world.take_region_away(PRIMARY)
    return lab, source_id


def moments(ready: tuple[InstanceLab, str], action: Any) -> int:
    """Return the number of moments at which the process can end."""
    lab, source_id = ready
    count, run = KillAt(0), lab.begin(lab.plan(source_id))
    if action is not Recover.run:
        lab.carry_out(run, Recover.run)
    lab.carry_out(run, action, hook=count)
    lab.carry_out(run, Recover.undo)
    return count.seen


@pytest.mark.slow
def test_a_recovery_ended_anywhere_and_resumed_makes_everything_once(ready: tuple[InstanceLab, str]) -> None:
    lab, source_id = ready
    for moment in range(1, moments(ready, Recover.run) + 1):
        run = lab.begin(lab.plan(source_id))
        registered = count_of(lab, "images")
        with pytest.raises(Killed):
            lab.carry_out(run, Recover.run, hook=KillAt(moment))
        assert count_of(lab, "images") - registered <= 1, moment
        ended = lab.carry_out(run, Recover.run)
        assert ended.state is RecoveryState.COMPLETED
        instances, volumes, images = lab.left_of(run)
        assert (len(instances), len(volumes), images) == (1, 3, []), moment
        lab.carry_out(run, Recover.undo)
        assert lab.left_of(run) == ([], [], []), moment


def count_of(lab: InstanceLab, store: str) -> int:
    return len(getattr(lab.lab.world.region_account(DR), store))


@pytest.mark.slow
def test_an_undo_after_any_moment_leaves_nothing_of_the_run(ready: tuple[InstanceLab, str]) -> None:
    lab, source_id = ready
    for moment in range(1, moments(ready, Recover.run) + 1):
        run = lab.begin(lab.plan(source_id))
        with pytest.raises(Killed):
            lab.carry_out(run, Recover.run, hook=KillAt(moment))
        assert lab.carry_out(run, Recover.undo).state is RecoveryState.UNDONE
        assert lab.left_of(run) == ([], [], []), moment
        assert all(HOLD not in lab.lab.tags(point, DR) for point in run.points)


def test_an_undo_ended_anywhere_is_continued(ready: tuple[InstanceLab, str]) -> None:
    lab, source_id = ready
    for moment in range(1, moments(ready, Recover.undo) + 1):
        run = lab.begin(lab.plan(source_id))
        lab.carry_out(run, Recover.run)
        with pytest.raises(Killed):
            lab.carry_out(run, Recover.undo, hook=KillAt(moment))
        assert lab.carry_out(run, Recover.undo).state is RecoveryState.UNDONE
        assert lab.left_of(run) == ([], [], []), moment


def test_an_undo_leaves_an_instance_with_another_s_volume(ready: tuple[InstanceLab, str]) -> None:
    lab, source_id = ready
    run, made = lab.recover(lab.plan(source_id))
    foreign = lab.lab.make_volume({}, region=DR)
    lab.lab.ec2(DR).attach_volume(VolumeId=foreign, InstanceId=made["InstanceId"], Device="/dev/sdp")
    lab.lab.runner.advance(60)
    with pytest.raises(RecoveryFailed, match=f"{foreign} is attached to {made['InstanceId']}, and not by this recovery"):
        lab.carry_out(run, Recover.undo)
    assert lab.described(made["InstanceId"])["State"]["Name"] == "running"
    lab.lab.ec2(DR).detach_volume(VolumeId=foreign)
    lab.lab.runner.advance(60)
    lab.carry_out(run, Recover.undo)
    assert lab.left_of(run) == ([], [], [])


def test_an_undo_names_a_volume_that_was_attached_elsewhere(ready: tuple[InstanceLab, str]) -> None:
    lab, source_id = ready
    run, made = lab.recover(lab.plan(source_id))
    data = lab.volumes(made)["/dev/sdf"]["VolumeId"]
    ec2 = lab.lab.ec2(DR)
    other = ec2.run_instances(ImageId="ami-12345678", InstanceType="m5.large", SubnetId=lab.subnets[DR], MinCount=1, MaxCount=1)[
        "Instances"
    ][0]["InstanceId"]
    lab.lab.runner.advance(60)
    ec2.detach_volume(VolumeId=data)
    lab.lab.runner.advance(60)
    ec2.attach_volume(VolumeId=data, InstanceId=other, Device="/dev/sdf")
    lab.lab.runner.advance(60)
    with pytest.raises(RecoveryFailed, match=f"{data} is attached to {other}"):
        lab.carry_out(run, Recover.undo)
    ec2.terminate_instances(InstanceIds=[other])
    lab.carry_out(run, Recover.undo)
    assert lab.left_of(run) == ([], [], [])


# The root volume in place


def test_a_root_volume_is_replaced_in_place_and_put_back(lab: InstanceLab) -> None:
    source_id = lab.protected()
    former = lab.volumes(lab.described(source_id, PRIMARY), PRIMARY)
    offered = lab.plan(source_id, PRIMARY)
    assert offered.standing == "running"
    plan = lab.plan(source_id, PRIMARY, replace_root=True)
    assert plan.obstacles == ()
    for moment in range(1, 100):
        run = lab.begin(plan)
        try:
            lab.carry_out(run, Recover.run, hook=KillAt(moment))
        except Killed:
            lab.carry_out(run, Recover.run)
        else:
            break
        instance = lab.described(source_id, PRIMARY)
        now = lab.volumes(instance, PRIMARY)
        assert now["/dev/xvda"]["SnapshotId"] == plan.point_ids[0]
        assert now["/dev/sdf"]["VolumeId"] == former["/dev/sdf"]["VolumeId"]
        with pytest.raises(Killed):
            lab.carry_out(run, Recover.undo, hook=KillAt(moment % 7 + 1))
        lab.carry_out(run, Recover.undo)
        assert lab.volumes(lab.described(source_id, PRIMARY), PRIMARY)["/dev/xvda"]["VolumeId"] == former["/dev/xvda"]["VolumeId"]
        assert len(lab.lab.ec2().describe_volumes()["Volumes"]) == 3
    assert moment > 8


def test_only_a_running_instances_root_is_replaced_by_its_own_snapshot(lab: InstanceLab) -> None:
    source_id = lab.protected()
    there = lab.plan(source_id, DR, replace_root=True)
    assert [obstacle for obstacle in there.obstacles if "is a copy" in obstacle]
    lab.lab.ec2().stop_instances(InstanceIds=[source_id])
    lab.lab.runner.advance(300)
    stopped = lab.plan(source_id, PRIMARY, replace_root=True)
    assert [obstacle for obstacle in stopped.obstacles if "is stopped" in obstacle]


def test_steps_hold_first_and_check_billing_before_a_launch(lab: InstanceLab) -> None:
    run = lab.begin(lab.plan(lab.protected()))
    assert [step.kind for step in run.steps] == [
        StepKind.HOLD,
        StepKind.REGISTER_IMAGE,
        StepKind.RUN_INSTANCE,
        StepKind.WAIT_FOR_INSTANCE,
        StepKind.DEREGISTER_IMAGE,
        StepKind.SET_UP_INSTANCE,
        StepKind.CHECK_INSTANCE,
        StepKind.RELEASE,
    ]


def test_ec2_that_refuses_the_launch_itself_is_quoted(lab: InstanceLab) -> None:
    run = lab.begin(lab.plan(lab.protected()))
    lab.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="RunInstances", code="VcpuLimitExceeded", http_status=400, skip=1, times=1)
    )
    with pytest.raises(AwsRefused, match="VcpuLimitExceeded"):
        lab.carry_out(run, Recover.run)
    lab.carry_out(run, Recover.run)
    assert [len(things) for things in lab.left_of(run)] == [1, 3, 0]
