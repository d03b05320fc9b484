"""The plans of a volume and of its copies; and the second look gets all that it needs to refuse a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from snapkeep.domain.copies.entry import EntryState, entry_key
from snapkeep.domain.model import DeletionPlan, Lineage, Snapshot, Verdict
from snapkeep.domain.policy.model import Limits, Retention
from snapkeep.domain.retention import plan as lineage_plan
from snapkeep.lab.ebs_model import PUBLIC_LINUX
from snapkeep.usecases.ports import CopyResult, CopyResultStatus
from support.flows import DR, PRIMARY, Laboratory, policy_set

MANY = policy_set(keep=9, keep_copies=9)
ONE = policy_set(keep=1, keep_copies=1)


def protected(count: int) -> tuple[Laboratory, str, list[str]]:
    """A system that has kept so many snapshots of a volume, each with its copy, and is to keep one from now on."""
    lab = Laboratory(policies=MANY)
    volume = lab.make_volume()
    made = [lab.protect(volume) for _ in range(count)]
    lab.policies = ONE
    return lab, volume, made


def plan(lab: Laboratory, volumes: Sequence[str], confirmed: Sequence[str] = ()) -> DeletionPlan:
    """Return a run's plan. `confirmed` are the sources whose copies the run saw complete."""
    planner = lab.runner.composition.planner(PRIMARY)
    copies = {copy.source_id: copy.id for copy in lab.snapshots(DR)}
    results = [CopyResult(CopyResultStatus.COPIED, source, DR, copy_id=copies[source]) for source in confirmed]
    return planner.plan_sources(volumes, results)


def plan_of_copies(lab: Laboratory, volume: str) -> DeletionPlan:
    return lab.runner.composition.planner(DR).plan_copies([volume])


def deleted(made: DeletionPlan) -> list[str]:
    return [verdict.snapshot.id for verdict in made.deletions]


def reasons(made: DeletionPlan) -> dict[str, str]:
    return {verdict.snapshot.id: verdict.reasons[0].text for verdict in made.verdicts}


def put_back(lab: Laboratory, snapshot_id: str, state: EntryState) -> None:
    """Let the queue say another thing of a copy."""
    queue = lab.runner.composition.queues[DR]
    queue.write(replace(queue.get(entry_key(PRIMARY, snapshot_id, DR)), state=state))


def hold_by_image(lab: Laboratory, snapshot_id: str) -> str:
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
    made = lab.ec2().register_image(Name="uses it", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)
    return str(made["ImageId"])


@pytest.mark.parametrize("state", [EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING, EntryState.RUNNING])
def test_a_source_stays_while_its_copy_waits_despite_a_newer_copy(state: EntryState) -> None:
    lab, volume, (first, second) = protected(2)
    assert deleted(plan(lab, [volume], [second])) == [first]
    put_back(lab, first, state)
    made = plan(lab, [volume], [second])
    assert deleted(made) == []
    assert reasons(made)[first] == f"held: its copy to {DR} is waiting or running"


@pytest.mark.parametrize("told", ["another copy", "no entry"])
def test_an_answer_that_the_queue_does_not_confirm_is_ignored(told: str) -> None:
    """A principal that reads a task token can answer the run that waits for it."""
    lab, volume, (first, second) = protected(2)
    made_up = CopyResult(CopyResultStatus.COPIED, second, DR, copy_id="snap-0")
    if told == "no entry":
        lab.runner.composition.queues[DR].lose_everything()
    for copy in lab.snapshots(DR):
        lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    made = lab.runner.composition.planner(PRIMARY).plan_sources([volume], [made_up])
    assert deleted(made) == []
    assert reasons(made)[first].startswith(f"held: no completed copy in {DR}")


@pytest.mark.parametrize(("minutes", "believed"), [(50, True), (61, False), (14 * 24 * 60, False)])
def test_an_answer_about_a_copy_checked_long_ago_is_ignored(minutes: int, believed: bool) -> None:
    """The copy was deleted after its check: an answer, or a redriven run, may come long after it."""
    lab, volume, (first, second) = protected(2)
    lab.runner.advance(minutes * 60 - (lab.world.now() - done_at(lab, second)))
    (copy_id,) = [copy.id for copy in lab.snapshots(DR) if copy.source_id == second]
    for copy in lab.snapshots(DR):
        lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    answered = CopyResult(CopyResultStatus.COPIED, second, DR, copy_id=copy_id, confirmed_at=lab.runner.composition.clock.now())
    made = lab.runner.composition.planner(PRIMARY).plan_sources([volume], [answered])
    assert deleted(made) == ([first] if believed else [])


def test_an_answer_without_the_time_of_its_check_is_ignored() -> None:
    """The entry of an earlier version does not say when the copy was checked."""
    lab, volume, (_, second) = protected(2)
    queue = lab.runner.composition.queues[DR]
    queue.write(replace(queue.get(entry_key(PRIMARY, second, DR)), done_at=None))
    answered = CopyResult(CopyResultStatus.COPIED, second, DR, copy_id=queue.get(entry_key(PRIMARY, second, DR)).copy_id)
    for copy in lab.snapshots(DR):
        lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    assert deleted(lab.runner.composition.planner(PRIMARY).plan_sources([volume], [answered])) == []


def done_at(lab: Laboratory, source: str) -> float:
    moment = lab.runner.composition.queues[DR].get(entry_key(PRIMARY, source, DR)).done_at
    assert moment is not None
    return moment.timestamp()


def test_a_copy_confirms_nothing_about_another_volume_of_the_set() -> None:
    lab, volume, (first, _) = protected(2)
    lab.policies = MANY
    other = lab.protect(lab.make_volume())
    lab.policies = ONE
    volumes = [volume, lab.runner.composition.reader(PRIMARY).snapshots([other])[other].origin.volume_id]
    assert deleted(plan(lab, volumes, [other])) == [first]


def test_images_and_locks_keep_their_snapshots_with_the_reason() -> None:
    lab, volume, (used, locked, _) = protected(3)
    image = hold_by_image(lab, used)
    lab.ec2().lock_snapshot(SnapshotId=locked, LockMode="governance", LockDuration=1)
    made = plan(lab, [volume])
    assert deleted(made) == []
    assert reasons(made)[used] == f"in use by {image}"
    assert reasons(made)[locked].startswith("locked until ")


def test_a_policy_that_is_not_there_keeps_every_snapshot_and_every_copy() -> None:
    lab, volume, _ = protected(3)
    (policy,) = ONE.policies
    lab.policies = replace(ONE, policies=(replace(policy, name="another"),))
    for made in (plan(lab, [volume]), plan_of_copies(lab, volume)):
        assert deleted(made) == []
        assert set(reasons(made).values()) == {"no policy governs it: everything is kept"}


def test_copies_in_a_region_without_rules_are_kept() -> None:
    lab, volume, _ = protected(3)
    lab.policies = policy_set(keep=1, keep_copies=1, regions=("us-west-2",))
    assert deleted(plan_of_copies(lab, volume)) == []


def test_a_plan_beyond_the_limits_is_refused_in_both_regions() -> None:
    lab, volume, _ = protected(4)
    lab.policies = policy_set(keep=1, keep_copies=1, limits=Limits(max_deletions=2))
    refusal = f"INV-08: it would delete 3 snapshots of {volume}; the limit is 2 in one plan"
    for made in (plan(lab, [volume]), plan_of_copies(lab, volume)):
        assert (deleted(made), made.refusals) == ([], ((Lineage(PRIMARY, volume), refusal),))


def test_a_run_of_a_set_carries_out_its_unrefused_plans_and_fails() -> None:
    lab = Laboratory(policies=policy_set(keep=9, keep_copies=9))
    many, few = lab.make_volume(), lab.make_volume()
    instance = lab.ec2().run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    for volume, device in ((many, "/dev/sdf"), (few, "/dev/sdg")):
        lab.ec2().attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    first = [lab.protect(volume) for volume in (many, many, few)]
    lab.policies = policy_set(keep=1, keep_copies=9, limits=Limits(max_deletions=1, max_share_percent=100))
    lab.ec2().create_snapshots(InstanceSpecification={"InstanceId": instance, "ExcludeBootVolume": True})
    lab.settle()
    assert [snapshot_id for snapshot_id in first if snapshot_id not in lab.ids()] == [first[2]]
    assert lab.notified == [("PlanRefused", many)]
    assert lab.runs("protect")[-1].status == "FAILED"


@pytest.mark.parametrize("broken", ["INV-04: the copy", "INV-04: no copy", "INV-06"])
def test_the_second_check_refuses_a_decision_without_holds(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, volume, (first, *_) = protected(3)
    if broken == "INV-04: the copy":
        put_back(lab, first, EntryState.RUNNING)
    elif broken == "INV-04: no copy":
        for copy in lab.snapshots(DR):
            lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    else:
        hold_by_image(lab, first)
    decide = lineage_plan.decide

    def without_holds(snapshots: Sequence[Snapshot], rules: Retention, now: datetime, *, system: str, **_: Any) -> list[Verdict]:
        return decide(snapshots, rules, now, system=system)

    assert first not in deleted(plan(lab, [volume]))
    monkeypatch.setattr(lineage_plan, "decide", without_holds)
    expected = {
        "INV-04: the copy": f"INV-04: the copy of {first} to {DR} is waiting or running",
        "INV-04: no copy": f"INV-04: {first} has no completed copy in {DR}",
        "INV-06": f"INV-06: {first} is used by an AMI, locked, or left to another tool",
    }
    made = plan(lab, [volume])
    assert deleted(made) == []
    assert expected[broken] in made.refusals[0].text
