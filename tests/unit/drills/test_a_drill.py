"""A drill from its schedule to its evidence, over the model of EBS in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.drills.ledger import problems_of_chain
from snapkeep.domain.drills.run import CheckOutcome, DrillStep, DrillVerdict
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.system import StackKind
from snapkeep.domain.tag_names import DRILL, DRILL_END, SYSTEM
from snapkeep.functions import drill
from snapkeep.functions.drill_payloads import DrillAnswer, DrillCall, DrillState
from snapkeep.lab.ebs_model import ContentFaults, Speeds
from snapkeep.usecases.drills.ports import Removal
from support.drilling import RULE, DrillLab
from support.flows import DR, HOUR


def test_a_drill_restores_proves_and_removes_a_volume() -> None:
    lab = DrillLab(replace(RULE, rto=timedelta(hours=1)))
    before = lab.others()
    [execution] = lab.drill()
    assert execution.status == "SUCCEEDED"
    [evidence] = lab.evidences()
    assert evidence.verdict is DrillVerdict.PASSED
    assert set(evidence.checks.values()) == {CheckOutcome.PASSED}
    assert len(evidence.checks) == 5
    proof = evidence.run.proof
    assert proof is not None
    assert (proof.verdict, proof.method, proof.compared, proof.differing) == ("PROVED", "full", lab.written_blocks, 0)
    assert len(proof.root) == 64
    assert evidence.run.asked_at <= evidence.run.available_at <= evidence.run.initialised_at <= evidence.run.removed_at  # type: ignore[operator]
    assert evidence.run.point in before
    assert (lab.made(), lab.held(), lab.ledger.open) == ([], [], ())
    assert lab.others() == before
    assert "PASSED" in lab.lab.runner.composition.pages.pages[f"drills/{evidence.run.id}.html"]


def test_everything_that_a_drill_makes_carries_its_name_and_its_end() -> None:
    seen: dict[str, dict[str, str]] = {}
    lab = DrillLab()

    def look(name: str) -> None:
        seen.update({made: lab.lab.tags(made, DR) for made in lab.made()})

    lab.lab.runner.composition.hook = look
    lab.drill()
    [run] = [evidence.run for evidence in lab.evidences()]
    assert set(seen) == {run.restored_id, run.snapshot_id}
    for tags in seen.values():
        assert set(tags) == {DRILL, DRILL_END, SYSTEM, "Name"}
        assert (tags[DRILL], tags[SYSTEM]) == (run.id, "snapkeep")


def test_the_point_is_held_until_the_drill_ends() -> None:
    lab = DrillLab()
    lab.begin.run()
    lab.lab.runner.advance(60)
    [run] = lab.ledger.open
    assert lab.held() == [run.point]
    lab.lab.runner.advance(86_400)
    assert lab.held() == []


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_an_end_that_is_retried_keeps_its_evidence(moment: int) -> None:
    """The evidence is written, then the ledger: each has a moment before the call and one after it."""
    left = [moment]

    def fail(name: str) -> None:
        if begun and name == "documents.put":
            left[0] -= 1
            if left[0] == 0:
                raise AwsUnavailable(name)

    begun = False
    lab = DrillLab(hook=fail)
    lab.begin.run()
    begun = True
    lab.lab.runner.advance(36 * HOUR)
    [execution] = lab.lab.runs("drill")
    assert execution.status == "SUCCEEDED"
    assert left[0] <= 0, "a write failed"
    assert [evidence.verdict for evidence in lab.evidences()] == [DrillVerdict.PASSED]
    assert list(problems_of_chain(lab.ledger, lab.texts)) == []


def test_an_execution_that_another_one_overtook_returns_the_ledgers_verdict() -> None:
    """The execution returned its own verdict: a drill that passed was notified as failed, and counted twice."""
    lab = DrillLab()
    lab.drill()
    [evidence] = lab.evidences()
    overtaken = DrillAnswer(evidence.run.failed("its execution was stopped"), DrillStep.REMOVE, 0, "", None)
    state = DrillState(evidence.run.id, drilled=overtaken, removed=Removal(more=False, left=()))
    answer = drill.advance(drill.build(lab.lab.runner.composition.stack(DR, StackKind.DR)), DrillCall(state))
    assert (answer.verdict, answer.run, answer.problems) == ("PASSED", None, ())
    assert lab.evidences() == [evidence]


def test_a_drills_comparison_is_no_base_of_later_ones() -> None:
    lab = DrillLab()
    lab.drill()
    [proof] = [kept for kept in lab.lab.runner.composition.proofs.kept if kept.progress.pair.source_region == DR]
    assert (proof.covers_everything, proof.decides_base) == (True, False)


def test_a_restored_volume_that_differs_fails_the_drill_and_is_removed() -> None:
    lab = DrillLab()
    lab.begin.run()
    while not (snapshots := [name for name in lab.made() if name.startswith("snap-")]):
        lab.lab.runner.advance(5)
    lab.lab.world.plant(snapshots[0], ContentFaults(wrong=(3,)), region=DR)
    lab.lab.runner.advance(86_400)
    [evidence] = lab.evidences()
    assert evidence.verdict is DrillVerdict.FAILED
    assert evidence.checks["proved"] == CheckOutcome.FAILED
    [execution] = lab.lab.runs("drill")
    assert (execution.status, execution.error) == ("FAILED", "DrillFailed")
    assert ("DrillFailed", evidence.run.volume_id) in lab.lab.notified
    assert (lab.made(), lab.held()) == ([], [])


def test_a_drill_that_misses_its_objective_has_not_passed() -> None:
    lab = DrillLab(replace(RULE, rto=timedelta(seconds=1)))
    lab.drill()
    [evidence] = lab.evidences()
    assert evidence.verdict is DrillVerdict.FAILED
    assert evidence.checks["within_rto"] == CheckOutcome.FAILED
    assert evidence.checks["proved"] == CheckOutcome.PASSED


def test_a_volume_that_never_initialises_ends_the_drill_at_its_end() -> None:
    lab = DrillLab(written_blocks=2048, options={"speeds": Speeds(initialization_mib_per_second=0.001)})
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    assert evidence.checks["available"] == CheckOutcome.PASSED
    assert evidence.checks["initialised"] == CheckOutcome.FAILED
    assert evidence.checks["proved"] == CheckOutcome.NOT_RUN
    assert "not done by its end" in evidence.cause
    assert execution.status == "FAILED"
    assert lab.made() == []


def test_a_volume_that_others_attached_stays_until_it_is_detached() -> None:
    lab = DrillLab()
    ec2 = lab.lab.ec2(DR)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    instance_id = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    lab.lab.runner.advance(60)
    lab.begin.run()
    while not lab.made():
        lab.lab.runner.advance(1)
    lab.lab.runner.advance(10)
    [volume_id] = lab.made()
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    lab.lab.runner.advance(86_400)
    [evidence] = lab.evidences()
    assert evidence.verdict is DrillVerdict.FAILED
    assert volume_id in evidence.cause
    assert lab.made() == [volume_id]
    ec2.detach_volume(VolumeId=volume_id)
    lab.lab.runner.advance(3_600)
    report = lab.sweep()
    assert "drill_left" in {item.kind.value for item in report.items}
    assert lab.made() == []


def test_resources_that_only_look_like_the_drills_stay() -> None:
    """INV-16: a volume and a snapshot of a person, with the same name and description."""
    lab = DrillLab()
    name = [{"Key": "Name", "Value": f"Snapkeep drill of {lab.volume_ids[0]}"}]
    ec2 = lab.lab.ec2(DR)
    specification = {"TagSpecifications": [{"ResourceType": "volume", "Tags": name}]}
    volume_id = ec2.create_volume(AvailabilityZone=f"{DR}a", Size=8, **specification)["VolumeId"]
    lab.lab.runner.advance(60)
    specification = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": name}]}
    snapshot_id = ec2.create_snapshot(VolumeId=volume_id, Description="Snapkeep drill", **specification)["SnapshotId"]
    lab.drill()
    assert {volume_id, snapshot_id} <= set(lab.others())
    assert lab.made() == []
