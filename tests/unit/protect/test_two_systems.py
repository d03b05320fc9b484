"""Two systems in one account: neither takes over what the other manages, and a conflict is notified."""

from __future__ import annotations

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.tag_names import MANAGED, POLICY, SOURCE_VOLUME
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.flows import DR, PRIMARY, Laboratory, policy_set

OTHER = "snapkeep-other"


def snapshot_with(lab: Laboratory, volume: str, tags: dict[str, str]) -> str:
    specifications = [{"ResourceType": "snapshot", "Tags": tag_list(tags)}]
    made = lab.ec2().create_snapshot(VolumeId=volume, TagSpecifications=specifications)["SnapshotId"]
    lab.settle()
    return str(made)


def test_another_systems_snapshot_is_left_and_the_conflict_notified() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    theirs = {MANAGED: OTHER, POLICY: "silver", SOURCE_VOLUME: volume}
    snapshot = snapshot_with(lab, volume, theirs)
    assert lab.tags(snapshot) == theirs
    assert lab.ids(DR) == []
    assert lab.notified == [("InvalidConfiguration", snapshot)]
    assert [run.status for run in lab.runs("protect")] == ["FAILED"]


def test_a_copy_of_another_system_frees_no_source_in_runs_or_plans() -> None:
    lab = Laboratory(policy_set(keep=1))
    volume = lab.make_volume()
    first = lab.protect(volume)
    (copy,) = lab.ids(DR)
    lab.ec2(DR).create_tags(Resources=[copy], Tags=tag_list({MANAGED: OTHER}))
    lab.world.add_fault(FaultRule("copy_fails"))
    second = lab.protect(volume)
    assert lab.ids() == [first, second]
    readers = [lab.runner.composition.reader(region) for region in (PRIMARY, DR)]
    facts = gather_all_facts(readers[0], readers[1:])
    plans = make_plans(
        readers, facts, dict.fromkeys((PRIMARY, DR), lab.policies), lab.runner.composition.clock.now(), system="snapkeep"
    )
    assert plans[0].deletions == []
    assert {missing.snapshot_id for missing in plans[0].missing} == {first, second}


def test_a_volume_without_a_policy_is_not_notified() -> None:
    lab = Laboratory()
    volume = lab.make_volume({})
    snapshot_with(lab, volume, {MANAGED: OTHER, SOURCE_VOLUME: volume})
    assert lab.notified == []
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]


def test_carried_tags_of_another_system_do_not_decide_a_volumes_system() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    snapshot = snapshot_with(lab, volume, {MANAGED: OTHER, SOURCE_VOLUME: "vol-0123"})
    assert lab.tags(snapshot, PRIMARY)[MANAGED] == "snapkeep"
    assert lab.sources_of_copies() == [snapshot]
