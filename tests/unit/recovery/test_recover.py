"""A recovery: its plan, its steps, and what is left when it is interrupted anywhere, resumed or undone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.errors import AwsRefused, RecoveryFailed
from snapkeep.domain.recovery.choice import PointChoice, Target
from snapkeep.domain.recovery.record import content_hash, newest_key
from snapkeep.domain.recovery.recovery_plan import (
    RecoveryRun,
    RecoveryState,
    RestoreOptions,
    StepState,
    plan_recovery,
)
from snapkeep.domain.tag_names import HOLD, OWN_TAGS, RECOVERY
from snapkeep.domain.tags import TAG_LIMIT
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.recovery.prepare import RecoveryRequest, begin
from snapkeep.usecases.recovery.recover import Recover
from support.databases import DEVICES
from support.flows import DAY, DR, PRIMARY
from support.recovering import KillAt, Killed, RecoveryLab


@pytest.fixture(scope="module")
def ready() -> RecoveryLab:
    """One world for the tests that leave nothing behind."""
    lab = RecoveryLab()
    lab.lab.world.take_region_away(PRIMARY)
    return lab


def test_three_attached_volumes_while_the_primary_region_is_unreachable() -> None:
    lab = RecoveryLab()
    lab.lab.world.take_region_away(PRIMARY)
    run = lab.begin()
    ended = lab.carry_out(run.id, Recover.run)
    assert ended.state is RecoveryState.COMPLETED
    made = lab.made(run)
    assert [volume["Attachments"][0]["InstanceId"] for volume in made] == [lab.target_id] * 3
    by_size = {volume["Size"]: volume for volume in made}
    assert {size: volume["VolumeType"] for size, volume in by_size.items()} == {8: "gp3", 20: "gp3", 4: "io2"}
    assert (by_size[20]["Throughput"], by_size[4]["Iops"], by_size[4]["Encrypted"]) == (250, 400, True)
    assert by_size[20]["Attachments"][0]["Device"] == "/dev/sdf"
    for volume in made:
        tags = {tag["Key"]: tag["Value"] for tag in volume["Tags"]}
        assert tags["Name"] == "db"
        assert not tags.keys() & OWN_TAGS
    assert lab.held() == []


def test_the_plan_has_points_loss_time_and_lost_settings(ready: RecoveryLab) -> None:
    plan = ready.plan(rate_mibps=200)
    assert [volume.point.tags["snapkeep:device"] for volume in plan.volumes] == sorted(DEVICES)
    assert plan.obstacles == ()
    assert plan.full_speed_after is not None
    assert plan.full_speed_after < timedelta(hours=1)
    assert ready.plan().full_speed_after is None
    assert any("its key in us-east-1 stays there" in remark for remark in plan.remarks)


def test_a_plan_changes_nothing_and_needs_no_permission_to_write(ready: RecoveryLab) -> None:
    ready.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="CreateVolume", code="UnauthorizedOperation", http_status=403, times=3)
    )
    before = ready.lab.world.digest() if hasattr(ready.lab.world, "digest") else ready.lab.ids(DR)
    plan = ready.plan()
    assert [obstacle for obstacle in plan.obstacles if "create_volume: UnauthorizedOperation" in obstacle]
    assert len(plan.volumes) == 3
    assert (ready.lab.world.digest() if hasattr(ready.lab.world, "digest") else ready.lab.ids(DR)) == before
    with pytest.raises(RecoveryFailed, match="nothing was begun"):
        begin(plan, "operator", ready.clock.now())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"zone": "us-east-2z", "attach": False}, "cannot be used"),
        ({"zone": "us-east-2b"}, "cannot be attached"),
        ({"devices": ("/dev/xvda",)}, "has something at /dev/xvda already"),
    ],
)
def test_a_request_that_cannot_work_is_an_obstacle(ready: RecoveryLab, more: dict[str, object], words: str) -> None:
    plan = ready.plan(**more)
    assert words in "; ".join(plan.obstacles)


def test_a_volume_that_nothing_names_is_an_obstacle(ready: RecoveryLab) -> None:
    plan = ready.plan("vol-0123456789abcdef0", attach=False)
    assert plan.obstacles


def test_a_changed_record_is_not_used(ready: RecoveryLab) -> None:
    kept = dict(ready.documents.documents)
    for key, document in kept.items():
        ready.documents.documents[key] = document._replace(text=document.text.replace('"size_gib": 20', '"size_gib": 21'))
    plan = ready.plan()
    ready.documents.documents.clear()
    ready.documents.documents.update(kept)
    assert [remark for remark in plan.remarks if "was changed" in remark]
    assert 21 not in [volume.size_gib for volume in plan.volumes]


def moments(lab: RecoveryLab, action: object) -> int:
    """Return the number of moments at which the process can end."""
    run = lab.begin()
    count = KillAt(0)
    if action is not Recover.run:
        lab.carry_out(run.id, Recover.run)
    lab.carry_out(run.id, action, hook=count)  # type: ignore[arg-type]
    lab.carry_out(run.id, Recover.undo)
    return count.seen


def test_a_recovery_ended_anywhere_and_resumed_makes_each_volume_once(ready: RecoveryLab) -> None:
    for moment in range(1, moments(ready, Recover.run) + 1):
        run = ready.begin()
        with pytest.raises(Killed):
            ready.carry_out(run.id, Recover.run, hook=KillAt(moment))
        ended = ready.carry_out(run.id, Recover.run, caller="somebody-else")
        assert ended.state is RecoveryState.COMPLETED
        assert len(ready.made(run)) == 3, moment
        assert len({step.result for step in ended.steps if step.id.startswith("create")}) == 3
        ready.carry_out(run.id, Recover.undo)
        assert (ready.made(run), ready.held()) == ([], [])


def test_a_volume_is_found_by_its_tags_when_its_token_is_forgotten(ready: RecoveryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ready.begin()
    calls: list[str] = []

    def kill_after_the_first_volume(name: str) -> None:
        calls.append(name)
        if calls.count("ec2.create_volume") == 2:
            raise Killed(name)

    with pytest.raises(Killed):
        ready.carry_out(run.id, Recover.run, hook=kill_after_the_first_volume)
    monkeypatch.setattr(RecoveryRun, "token", lambda _, step: f"another-{step.id}")
    ready.carry_out(run.id, Recover.run)
    assert len(ready.made(run)) == 3
    ready.carry_out(run.id, Recover.undo)


def test_an_undo_after_any_moment_leaves_nothing_of_the_run(ready: RecoveryLab) -> None:
    for moment in range(1, moments(ready, Recover.run) + 1):
        run = ready.begin()
        with pytest.raises(Killed):
            ready.carry_out(run.id, Recover.run, hook=KillAt(moment))
        assert ready.carry_out(run.id, Recover.undo).state is RecoveryState.UNDONE
        assert (ready.made(run), ready.held()) == ([], []), moment


def test_an_undo_ended_anywhere_is_continued(ready: RecoveryLab) -> None:
    for moment in range(1, moments(ready, Recover.undo) + 1):
        run = ready.begin()
        ready.carry_out(run.id, Recover.run)
        with pytest.raises(Killed):
            ready.carry_out(run.id, Recover.undo, hook=KillAt(moment))
        assert ready.carry_out(run.id, Recover.undo, caller="somebody-else").state is RecoveryState.UNDONE
        assert (ready.made(run), ready.held()) == ([], []), moment


@pytest.mark.parametrize("attach", [False, True], ids=["attached", "attached elsewhere"])
def test_an_undo_leaves_and_reports_what_others_attached(*, attach: bool) -> None:
    lab = RecoveryLab()
    run = lab.begin(lab.plan(attach=attach))
    lab.carry_out(run.id, Recover.run)
    first = lab.made(run)[0]["VolumeId"]
    if attach:
        lab.lab.ec2(DR).detach_volume(VolumeId=first)
        lab.lab.runner.advance(60)
    lab.lab.ec2(DR).attach_volume(VolumeId=first, InstanceId=lab.target_id, Device="/dev/sdp")
    lab.lab.runner.advance(60)
    with pytest.raises(RecoveryFailed, match="detach it first"):
        lab.carry_out(run.id, Recover.undo)
    assert first in [volume["VolumeId"] for volume in lab.made(run)]


def test_an_undone_recovery_is_not_resumed(ready: RecoveryLab) -> None:
    run = ready.begin()
    ready.carry_out(run.id, Recover.undo)
    with pytest.raises(RecoveryFailed, match="undone"):
        ready.carry_out(run.id, Recover.run)


def test_two_sessions_cannot_work_on_one_recovery(ready: RecoveryLab) -> None:
    run = ready.begin()
    first, second = ready.recover(), ready.recover()
    both = first.journal.read(run.id), second.journal.read(run.id)
    first.run(both[0])
    with pytest.raises(RecoveryFailed, match="another session"):
        second.run(both[1])
    assert len(ready.made(run)) == 3
    ready.carry_out(run.id, Recover.undo)


def test_beyond_the_rate_quota_volumes_have_the_default_rate(ready: RecoveryLab) -> None:
    ready.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="CreateVolume", code="ResourceLimitExceeded", http_status=400, skip=3, times=1)
    )
    run = ready.begin(ready.plan(rate_mibps=300))
    ended = ready.carry_out(run.id, Recover.run)
    assert len([step for step in ended.steps if "without an initialisation rate" in step.remark]) == 1
    assert len(ready.made(run)) == 3
    ready.carry_out(run.id, Recover.undo)


def test_retention_keeps_points_that_a_recovery_holds() -> None:
    """INV-18. The copies of a set are older than what retention keeps while their recovery is not finished."""
    lab = RecoveryLab()
    run = lab.begin()
    with pytest.raises(Killed):
        lab.carry_out(run.id, Recover.run, hook=KillAt(8))
    assert sorted(run.points) == lab.held()
    for _ in range(4):
        lab.lab.runner.advance(DAY)
        for volume_id in lab.volumes.values():
            lab.lab.protect(volume_id)
    assert set(run.points) <= set(lab.lab.ids(DR))
    assert lab.lab.notified == [], "a held point is kept by its plan, which is not refused"
    assert len(lab.lab.ids(DR)) == 3 * (2 + 1), "the others go as before"
    lab.carry_out(run.id, Recover.run)
    for volume_id in lab.volumes.values():
        lab.lab.protect(volume_id)
    assert not set(run.points) & set(lab.lab.ids(DR))


def test_nothing_of_a_recovery_is_deleted_by_the_system() -> None:
    """INV-20."""
    lab = RecoveryLab()
    run = lab.begin()
    lab.carry_out(run.id, Recover.run)
    for _ in range(5):
        lab.lab.runner.advance(DAY)
        for volume_id in lab.volumes.values():
            lab.lab.protect(volume_id)
    assert len(lab.made(run)) == 3
    assert all({tag["Key"]: tag["Value"] for tag in volume["Tags"]}[RECOVERY] == run.id for volume in lab.made(run))


def test_a_deleted_point_ends_the_recovery_with_its_name() -> None:
    lab = RecoveryLab()
    run = lab.begin()
    lab.lab.ec2(DR).delete_snapshot(SnapshotId=run.points[0])
    with pytest.raises(Exception, match=run.points[0]):
        lab.carry_out(run.id, Recover.run)
    assert lab.made(run) == []


def test_a_step_has_its_state_and_time_in_the_journal(ready: RecoveryLab) -> None:
    run = ready.begin()
    ready.carry_out(run.id, Recover.run)
    kept = ready.recover().journal.read(run.id)
    assert {step.state for step in kept.steps} == {StepState.DONE}
    assert all(step.done_at for step in kept.steps)
    assert run.id in ready.recover().journal.ids()
    ready.carry_out(run.id, Recover.undo)
    assert replace(kept, steps=()).open is False
    assert HOLD not in ready.lab.tags(run.points[0], DR)


def test_ec2_that_refuses_to_tag_a_point_begins_nothing(ready: RecoveryLab) -> None:
    run = ready.begin()
    ready.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="CreateTags", code="UnauthorizedOperation", http_status=403, times=1)
    )
    with pytest.raises(AwsRefused):
        ready.carry_out(run.id, Recover.run)
    assert ready.made(run) == []
    ready.carry_out(run.id, Recover.undo)


@pytest.mark.parametrize(("action", "operation"), [("CreateTags", "create_tags"), ("DeleteTags", "delete_tags")])
def test_a_hold_that_could_not_be_written_or_removed_is_an_obstacle(ready: RecoveryLab, action: str, operation: str) -> None:
    refusal = FaultRule("api_error", region=DR, action=action, code="UnauthorizedOperation", http_status=403, times=1)
    ready.lab.world.add_fault(refusal)
    assert [obstacle.partition(":")[0] for obstacle in ready.plan().obstacles] == [operation]


def test_a_volume_with_the_most_tags_is_recovered() -> None:
    lab = RecoveryLab()
    volume_id = lab.lab.make_volume({"Backup": "yes", **{f"team-{number:02}": "x" for number in range(TAG_LIMIT - 1)}})
    lab.lab.protect(volume_id)
    plan = lab.plan(volume_id, attach=False)
    assert (plan.obstacles, len(plan.volumes)) == ((), 1)
    assert [remark for remark in plan.remarks if "team-48" in remark]
    run = lab.begin(plan)
    lab.carry_out(run.id, Recover.run)
    assert len(lab.made(run)[0]["Tags"]) == TAG_LIMIT


def test_a_refusal_to_tag_the_volume_is_an_obstacle(ready: RecoveryLab) -> None:
    requests = []
    ec2 = ready.ec2()
    ec2.refusal = lambda request, tags: requests.append((request, tags)) or ""  # type: ignore[method-assign,func-returns-value]
    ready.prepare(ec2=ec2).plan(RecoveryRequest(Target((ready.instance_id,)), ready.clock.now()))
    assert [tags["Name"] for _, tags in requests] == ["db"] * 3
    assert all(RECOVERY in tags for _, tags in requests)


def test_a_record_of_a_later_version_is_used(ready: RecoveryLab) -> None:
    """Another version may write fields that this one does not know: the name is the hash of all of them."""
    documents = ready.documents
    kept = dict(documents.documents)
    for key in [key for key in kept if not key.endswith("newest.json") and key.startswith(f"records/{ready.instance_id}")]:
        data = {**json.loads(kept[key].text), "placement_group": "new"}
        data.pop("observed_at")
        sha256 = content_hash(data)
        later = f"records/{ready.instance_id}/{sha256}.json"
        documents.remove(key)
        documents.put(later, json.dumps(data))
        newest = json.loads(kept[newest_key(ready.instance_id)].text) | {"sha256": sha256}
        documents.documents[newest_key(ready.instance_id)] = kept[key]._replace(text=json.dumps(newest))
    plan = ready.plan()
    for key in documents.documents.keys() - kept.keys():
        documents.remove(key)
    for key in kept.keys() - documents.documents.keys():
        documents.put(key, "")
    documents.documents.update(kept)
    assert not [remark for remark in plan.remarks if "changed" in remark]
    assert [remark for remark in plan.remarks if "is not in the bucket" in remark]
    assert sorted(volume.volume_type for volume in plan.volumes) == ["gp3", "gp3", "io2"]


def test_a_plan_names_another_recovery_that_holds_its_points() -> None:
    lab = RecoveryLab()
    run = lab.begin(lab.plan(attach=False))
    with pytest.raises(Killed):
        lab.carry_out(run.id, Recover.run, hook=KillAt(6))
    assert [remark for remark in lab.plan(attach=False).remarks if run.id in remark]


def test_a_plan_warns_if_rates_together_exceed_the_quota(ready: RecoveryLab) -> None:
    plan = ready.plan(rate_mibps=300)
    assert not [remark for remark in plan.remarks if "L-A37D9CF3" in remark]
    many = plan_recovery(
        [PointChoice(DR, ready.clock.now(), tuple([plan.volumes[0].point] * 17), {})], {}, {}, RestoreOptions("us-east-2a", 300)
    )
    assert [remark for remark in many.remarks if "L-A37D9CF3" in remark]
    assert many.full_speed_after is None
