"""A copy that differs from its source: found, marked, not counted, kept, and made again. In virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.copies.entry import entry_key
from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.events import parse_copy_event
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, VerifyRule
from snapkeep.domain.recovery.methods import FULL
from snapkeep.domain.recovery.proof import Proof
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from snapkeep.functions.verify import compare
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, PRIMARY, Laboratory


def laboratory(keep_copies: int = 2, **verify: object) -> Laboratory:
    rule = CopyRule(DR, retention=Retention(keep_last=keep_copies), verify=VerifyRule(**verify))  # type: ignore[arg-type]
    policy = Policy("default", Selector(tags={"Backup": ("*",)}), Retention(keep_last=5), (rule,))
    return Laboratory(policies=PolicySet((policy,)), layout=SystemLayout(verify=True))


def volume(lab: Laboratory, blocks: int = 20) -> str:
    volume_id = lab.make_volume()
    lab.world.write(volume_id, 0, blocks, region=PRIMARY)
    return volume_id


def verdicts(lab: Laboratory) -> list[str]:
    return [str(proof.verdict) for proof in lab.runner.composition.proofs.kept]


def test_every_arriving_copy_is_compared_and_tagged_with_its_proof() -> None:
    lab = laboratory()
    lab.protect(volume(lab))
    [copy_id] = lab.ids(DR)
    assert verdicts(lab) == ["PROVED"]
    assert lab.tags(copy_id, DR)[PROOF].startswith("PROVED sample:300 ")
    assert CHECK not in lab.tags(copy_id, DR)
    [run] = lab.runs("verify")
    assert (run.status, run.entered) == (
        "SUCCEEDED",
        [
            "Begin",
            "Verify",
            "EvaluateContinue",
            "TagSnapshotCopy",
            "Outcome",
            "Done",
        ],
    )


def test_a_differing_copy_is_marked_and_made_again() -> None:
    lab = laboratory()
    lab.world.add_fault(FaultRule("copy_wrong_blocks", times=1, blocks=1))
    volume_id = volume(lab)
    source = lab.protect(volume_id)
    wrong, good = lab.ids(DR)
    assert verdicts(lab) == ["DIFFERS", "PROVED"]
    assert lab.tags(wrong, DR)[CHECK] == WRONG
    assert lab.tags(wrong, DR)[PROOF].startswith("DIFFERS ")
    assert lab.tags(good, DR)[PROOF].startswith("PROVED ")
    assert lab.sources_of_copies() == [source, source]
    assert lab.notified == [("CopyDiffers", wrong)]
    assert [notice.detail for notice in lab.runner.composition.notices.added] == [f"volume {volume_id}"]
    assert [(run.status, run.error) for run in lab.runs("verify")] == [("FAILED", "CopyDiffers"), ("SUCCEEDED", "")]


def test_a_copy_that_differs_counts_neither_for_retention_nor_as_a_copy() -> None:
    lab = laboratory(keep_copies=1)
    volume_id = volume(lab)
    lab.protect(volume_id)
    [first] = lab.ids(DR)
    lab.world.add_fault(FaultRule("copy_wrong_blocks", times=1, blocks=1))
    lab.protect(volume_id)
    wrong = [snapshot.id for snapshot in lab.snapshots(DR) if lab.tags(snapshot.id, DR).get(CHECK) == WRONG]
    counted = [snapshot.id for snapshot in lab.snapshots(DR) if lab.tags(snapshot.id, DR).get(CHECK) != WRONG]
    assert len(wrong) == 1
    assert len(counted) == 2
    assert first in counted
    lab.runner.advance(90 * 86_400)
    lab.protect(volume_id)
    assert wrong[0] in lab.ids(DR)
    assert first not in lab.ids(DR)


def test_the_proved_copy_outlives_newer_ones_until_one_is_proved() -> None:
    lab = laboratory(keep_copies=1)
    volume_id = volume(lab)
    started = lab.runner.composition.verifications
    lab.runner.composition.on_verification = started.append
    lab.protect(volume_id)
    [proved] = lab.ids(DR)
    lab.runner.start("verify", DR, started[-1].input)
    lab.settle()
    lab.protect(volume_id)
    lab.protect(volume_id)
    assert proved in lab.ids(DR)
    [newest] = set(lab.ids(DR)) - {proved}
    lab.runner.start("verify", DR, started[-1].input)
    lab.settle()
    lab.protect(volume_id)
    assert newest in lab.ids(DR)
    assert proved not in lab.ids(DR)


def test_copies_that_all_differ_are_not_made_endlessly() -> None:
    lab = laboratory()
    lab.world.add_fault(FaultRule("copy_wrong_blocks", times=0, blocks=1))
    lab.protect(volume(lab))
    assert verdicts(lab) == ["DIFFERS"] * 3
    assert len(lab.ids(DR)) == 3


def test_a_copy_that_was_deleted_in_between_makes_no_notice() -> None:
    lab = laboratory()
    volume_id = volume(lab)
    source = lab.start_snapshot(volume_id)
    lab.runner.composition.on_verification = lab.runner.composition.verifications.append
    lab.settle()
    [pending] = lab.runner.composition.verifications
    lab.ec2(PRIMARY).delete_snapshot(SnapshotId=source)
    lab.runner.start("verify", DR, pending.input)
    lab.settle()
    [run] = lab.runs("verify")
    assert (verdicts(lab), run.status, lab.notified) == (["UNREADABLE"], "SUCCEEDED", [])


@pytest.mark.parametrize("rule", [{"structure": "never"}, {"structure": "never", "full_every": timedelta(days=30)}])
def test_a_policy_can_leave_out_every_comparison(rule: dict[str, object]) -> None:
    lab = laboratory(**rule)
    lab.protect(volume(lab))
    assert lab.runs("verify") == []


def test_there_is_one_full_comparison_in_each_period() -> None:
    lab = laboratory(full_every=timedelta(days=10), sample=3)
    volume_id = volume(lab)
    for _ in range(25):
        lab.protect(volume_id)
        lab.runner.advance(86_400)
    kinds = [str(proof.progress.method) for proof in lab.runner.composition.proofs.kept]
    assert kinds[0] == "full"
    assert 3 <= kinds.count("full") <= 4
    assert set(kinds) == {"full", "sample:3"}


def test_subsets_cover_every_block_in_as_many_days_as_they_have_parts() -> None:
    lab = laboratory(subset="1/5")
    volume_id = volume(lab)
    for _ in range(5):
        lab.protect(volume_id)
        lab.runner.advance(86_400)
    parts = [proof.progress.method.part for proof in lab.runner.composition.proofs.kept]
    assert sorted(parts) == [1, 2, 3, 4, 5]


def test_a_weaker_proof_does_not_replace_a_stronger_one() -> None:
    lab = laboratory(full_every=timedelta(days=30))
    lab.protect(volume(lab))
    [copy_id] = lab.ids(DR)
    tag = lab.tags(copy_id, DR)[PROOF]
    assert tag.startswith("PROVED full ")
    lab.runner.start("verify", DR, {"copy": copy_id, "method": {"kind": "structure", "sample": 0, "part": 0, "parts": 0}})
    lab.settle()
    assert verdicts(lab) == ["PROVED", "PROVED"]
    assert lab.tags(copy_id, DR)[PROOF] == tag


def test_a_snapshot_that_is_no_copy_is_not_compared() -> None:
    lab = laboratory()
    lab.protect(volume(lab))
    snapshot_id = lab.protect(lab.make_volume({}, region=DR), region=DR)
    asked = {"copy": snapshot_id, "method": {"kind": "full", "sample": 0, "part": 0, "parts": 0}}
    lab.runner.start("verify", DR, asked)
    lab.settle()
    assert lab.runs("verify")[-1].error == "InvalidEvent"


def test_the_progress_of_a_hand_started_execution_is_ignored() -> None:
    lab = laboratory()
    lab.world.add_fault(FaultRule("copy_wrong_blocks", times=1, blocks=1))
    lab.runner.composition.on_verification = lab.runner.composition.verifications.append
    lab.protect(volume(lab))
    [request] = lab.runner.composition.verifications
    begun = to_object(lab.runner.composition.verify(DR).begin(request.copy_id, request.method))
    forged = {**begun, "listed": True, "source_blocks": 20, "copy_blocks": 20}
    answer = {"more": True, "verdict": "", "end": "", "progress": forged, "proof": None, "problems": []}
    lab.runner.start("verify", DR, {**request.input, "verified": answer})
    lab.settle()
    assert verdicts(lab)[0] == "DIFFERS"
    assert lab.tags(request.copy_id, DR)[CHECK] == WRONG


def test_a_copy_that_was_deleted_before_its_comparison_began_makes_no_notice() -> None:
    lab = laboratory()
    lab.runner.composition.on_verification = lab.runner.composition.verifications.append
    lab.protect(volume(lab))
    [pending] = lab.runner.composition.verifications
    lab.ec2(DR).delete_snapshot(SnapshotId=pending.copy_id)
    lab.runner.start("verify", DR, pending.input)
    lab.settle()
    [run] = lab.runs("verify")
    assert (verdicts(lab), run.status, lab.notified) == ([], "SUCCEEDED", [])


def test_a_copy_with_room_for_one_tag_is_marked_all_the_same() -> None:
    lab = laboratory()
    lab.runner.composition.on_verification = lab.runner.composition.verifications.append
    lab.world.add_fault(FaultRule("copy_wrong_blocks", times=1, blocks=1))
    lab.protect(volume(lab))
    [pending] = lab.runner.composition.verifications
    room = 50 - 1 - len(lab.tags(pending.copy_id, DR))
    tags = [{"Key": f"own-{number}", "Value": ""} for number in range(room)]
    lab.ec2(DR).create_tags(Resources=[pending.copy_id], Tags=tags)
    lab.runner.start("verify", DR, pending.input)
    lab.settle()
    marked = lab.tags(pending.copy_id, DR)
    assert (marked[CHECK], PROOF in marked, len(lab.ids(DR))) == (WRONG, False, 2)


def test_a_progress_of_another_version_begins_again() -> None:
    lab = laboratory()
    lab.protect(volume(lab))
    [copy_id] = lab.ids(DR)
    asked = {"copy": copy_id, "method": to_object(FULL), "verified": {"more": True, "progress": {"of": "another version"}}}
    result = compare(lab.runner.composition.verify(DR), {"asked": asked})
    assert isinstance(result, Proof)
    assert (result.proved, result.progress.compared) == (True, 20)
    with pytest.raises(InvalidEvent):
        compare(lab.runner.composition.verify(DR), {"asked": {"copy": copy_id}})


class LateTags:
    """A reader to which EC2 does not show the marks of copies yet."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def copies_of_snapshots(self, snapshot_ids: list[str]) -> list[Any]:
        return [unmarked(copy) for copy in self._reader.copies_of_snapshots(snapshot_ids)]

    def copies_of_volumes(self, volume_ids: list[str]) -> list[Any]:
        return [unmarked(copy) for copy in self._reader.copies_of_volumes(volume_ids)]

    def snapshots(self, snapshot_ids: list[str]) -> dict[str, Any]:
        return {name: unmarked(copy) for name, copy in self._reader.snapshots(snapshot_ids).items()}


def unmarked(copy: Any) -> Any:
    return replace(copy, tags={key: value for key, value in copy.tags.items() if key not in (CHECK, PROOF)})


@pytest.mark.parametrize("step", ["Dispatch", "ReceiveCopy"])
def test_a_mark_that_ec2_shows_late_makes_no_copy_good(step: str) -> None:
    lab = laboratory()
    lab.world.add_fault(FaultRule("copy_wrong_blocks", times=1, blocks=1))
    composition = lab.runner.composition
    composition.on_verification = composition.verifications.append
    source = lab.protect(volume(lab))
    [pending] = composition.verifications
    proof = composition.verify(DR).run(composition.verify(DR).begin(pending.copy_id, pending.method))
    assert composition.record_proof(DR).run(proof)
    if step == "Dispatch":
        dispatch = composition.dispatch(DR)
        replace(dispatch, reader=LateTags(dispatch.reader)).run("a dispatcher")
    else:
        receive = composition.receive(DR)
        event = next(event for event in lab.events if event["detail"]["event"] == "copySnapshot")
        replace(receive, reader=LateTags(receive.reader)).run(parse_copy_event(event))
    lab.runner.wake(DR, 1)
    lab.settle()
    wrong, good = lab.ids(DR)
    entry = composition.queues[DR].get(entry_key(PRIMARY, source, DR))
    assert (wrong, entry.state, entry.copy_id, entry.wrong) == (pending.copy_id, "DONE", good, (wrong,))
