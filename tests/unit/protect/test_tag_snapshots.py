"""Protect's first step when EC2 contradicts the event, and when the tags do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.copies.request import CopyRequest, copy_request
from snapkeep.domain.errors import AwsRefused, AwsUnavailable, SnapshotGone, TagsDoNotFit
from snapkeep.domain.events import SnapshotEndEvent
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, Retention, Selector
from snapkeep.domain.tag_names import CHECK, HOLD, HOLDER, OWN_TAGS, PROOF
from snapkeep.domain.tags import TAG_LIMIT, tags_for_copy, tags_for_snapshot
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.ebs_model.store.records import COMPLETED
from snapkeep.usecases.ports import SnapshotTagger
from snapkeep.usecases.protect import TagOutcome, TagResult
from support.flows import DR, HOUR, PRIMARY, Laboratory
from support.lineages import SYSTEM, snapshot

RULE = CopyRule(DR)


def ended(snapshot_id: str) -> SnapshotEndEvent:
    return SnapshotEndEvent(snapshot_id, succeeded=True, cause="")


class FullTagger(SnapshotTagger):
    """Refuses so many calls, and remembers the keys of each."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.keys: list[set[str]] = []

    def tag(self, snapshot_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        self.keys.append(set(tags))
        if self.refusals:
            raise self.refusals.pop(0)


def tagged_with(tagger: SnapshotTagger) -> TagResult:
    """Return the result of tagging a completed snapshot for the first time."""
    lab = Laboratory()
    volume = lab.make_volume({"Backup": "yes", "Name": "carried"})
    snapshot_id = lab.start_snapshot(volume)
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    lab.runner.advance(60)
    step = lab.runner.composition.tag_snapshots(PRIMARY)
    return replace(step, tagger=tagger).run([ended(snapshot_id)])


def request(volume_tags: Mapping[str, str], rule: CopyRule = RULE, **more: Any) -> CopyRequest:
    """The copy that a rule requests of a snapshot whose volume has these tags."""
    source = replace(snapshot("2026-11-22T03:00", 1), **more)
    volume = Volume(source.origin.volume_id, source.region, 8, "gp3", tags=volume_tags)
    return copy_request(SYSTEM, source, Policy("gold", Selector(), Retention(), (rule,)), rule, volume)


def test_copies_of_fully_tagged_snapshots_leave_room_for_findings_and_a_hold() -> None:
    full = {f"key-{number:02}": "" for number in range(TAG_LIMIT)}
    made = request(full).tags
    assert len(made) == TAG_LIMIT - len((CHECK, PROOF, HOLD, HOLDER))
    assert made.items() >= tags_for_copy(SYSTEM, "gold", request({}).origin).items()


def test_a_copy_carries_other_tags_only_by_its_rule() -> None:
    tags = {"Name": "web", "aws:backup:source": "written by AWS"}
    assert request(tags).tags.keys() - OWN_TAGS == {"Name"}
    assert request(tags, replace(RULE, carry_tags=False)).tags.keys() - OWN_TAGS == set()


def test_encrypted_sources_and_rules_with_keys_make_encrypted_copies() -> None:
    assert request({}).encrypted is False
    assert request({}, encrypted=True, kms_key_id="a key").encrypted is True
    assert request({}, encrypted=True, kms_key_id="a key").source_kms_key == "a key"
    assert request({}, replace(RULE, kms_key="alias/dr")).encrypted is True


def test_a_copy_request_has_the_deadline_and_duration_of_its_rule() -> None:
    rule = replace(RULE, copy_within=timedelta(hours=4), completion_minutes=60)
    made = request({}, rule)
    assert made.deadline == made.origin.start_time + timedelta(hours=4)
    assert made.completion_minutes == 60


@pytest.mark.parametrize(("hours", "seconds"), [(4, 4 * 3600), (1, 3600), (0.5, 3600), (-30, 3600)])
def test_a_run_waits_to_the_deadline_and_at_least_an_hour(hours: float, seconds: int) -> None:
    made = request({})
    assert made.seconds_to_wait(made.deadline - timedelta(hours=hours)) == seconds


def test_a_snapshot_that_ec2_still_shows_as_pending_is_read_again() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    pending = lab.start_snapshot(volume)
    with pytest.raises(AwsUnavailable, match=f"{pending} completed; EC2 does not show it yet"):
        lab.runner.composition.tag_snapshots(PRIMARY).run([ended(pending)])
    assert lab.tags(pending) == {}


def test_a_failed_snapshot_is_a_problem_despite_its_event() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    lab.world.add_fault(FaultRule("snapshot_fails", probability=1.0))
    failed = lab.protect(volume)
    tagged = lab.runner.composition.tag_snapshots(PRIMARY).run([ended(failed)])
    assert tagged.outcome is TagOutcome.NOTHING_LEFT
    assert [(problem.kind, problem.subject) for problem in tagged.problems] == [("SnapshotFailed", failed)]
    assert lab.tags(failed) == {}


@pytest.mark.parametrize("refusal", [TagsDoNotFit("51 tags"), AwsRefused("with an explicit deny")])
def test_only_snapkeeps_tags_are_written_if_all_are_refused(refusal: Exception) -> None:
    """A service control policy that denies one tag key let EC2 refuse the whole call: neither tagged nor copied, ever."""
    tagger = FullTagger(refusal)
    tagged = tagged_with(tagger)
    assert any("Name" in reason for reason in tagged.reasons)
    assert (tagged.outcome, tagged.problems) == (TagOutcome.MANAGED, ())
    everything, own = tagger.keys
    assert everything > own
    assert own <= OWN_TAGS


@pytest.mark.parametrize(
    "refusals", [(SnapshotGone("it is gone"),), (AwsRefused("denied"), AwsRefused("denied"))], ids=["gone", "refused"]
)
def test_an_untaggable_snapshot_is_a_problem_and_neither_copied_nor_planned(refusals: tuple[Exception, ...]) -> None:
    tagged = tagged_with(FullTagger(*refusals))
    assert [problem.kind for problem in tagged.problems] == [type(refusals[0]).__name__]
    assert (tagged.outcome, tagged.copies, tagged.volume_ids) == (TagOutcome.NOTHING_LEFT, (), ())


@pytest.mark.parametrize("own_tags", [45, 46, 48, 50])
def test_a_snapshot_with_little_room_for_tags_is_copied_all_the_same(own_tags: int) -> None:
    """A snapshot with 46 tags or more of its own was never copied."""
    lab = Laboratory()
    tags = [{"Key": f"own-{number:02}", "Value": "yes"} for number in range(own_tags)]
    specifications = [{"ResourceType": "snapshot", "Tags": tags}]
    source = lab.ec2().create_snapshot(VolumeId=lab.make_volume({"Backup": "yes"}), TagSpecifications=specifications)[
        "SnapshotId"
    ]
    lab.settle()
    (copy,) = lab.snapshots(DR)
    assert copy.source_id == source
    assert lab.tags(copy.id, DR).items() >= {"snapkeep:source-snapshot": source, "snapkeep:managed": "snapkeep"}.items()
    full = own_tags > TAG_LIMIT - len(tags_for_snapshot(SYSTEM, "", snapshot("2026-11-22T03:00", 1).origin))
    assert lab.notified == ([("TagsDoNotFit", source)] if full else [])


def test_a_repeated_event_under_another_policy_writes_that_policy_and_plans_once() -> None:
    lab = Laboratory()
    volume = lab.make_volume()
    protected = lab.protect(volume)
    (policy,) = lab.policies.policies
    lab.policies = replace(lab.policies, policies=(replace(policy, name="another"),))
    event = ended(protected)
    tagged = lab.runner.composition.tag_snapshots(PRIMARY).run([event, event])
    assert tagged.volume_ids == (volume,)
    assert lab.tags(protected)["snapkeep:policy"] == "another"


def test_a_failure_with_an_unmanaged_snapshot_of_the_set_is_notified() -> None:
    lab = Laboratory()
    failed, left = lab.make_volume(), lab.make_volume({})
    taken = [lab.start_snapshot(volume) for volume in (failed, left)]
    lab.runner.advance(60)
    events = [ended(snapshot_id) for snapshot_id in taken]
    events[0] = replace(events[0], succeeded=False, cause="the volume went")
    tagged = lab.runner.composition.tag_snapshots(PRIMARY).run(events)
    assert tagged.outcome is TagOutcome.VOLUME_NOT_TAGGED
    assert [(problem.subject, problem.cause) for problem in tagged.problems] == [(taken[0], "the volume went")]
    assert lab.tags(taken[1]) == {}


def test_a_member_of_unknown_status_stops_no_other_of_its_set() -> None:
    """A set failed whole because of one member; EC2 knows the state of each."""
    lab = Laboratory()
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    completed = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(HOUR)
    unknown, pending = lab.start_snapshot(lab.make_volume()), lab.start_snapshot(lab.make_volume())
    record = lab.world.region_account(PRIMARY).snapshots[unknown]
    record.state, record.completed_at = COMPLETED, lab.world.now()
    tagged = lab.runner.composition.tag_snapshots(PRIMARY).run(
        [ended(completed), *(SnapshotEndEvent(member, succeeded=None, cause="status 'x'") for member in (unknown, pending))]
    )
    assert [copy.origin.snapshot_id for copy in tagged.copies] == [completed, unknown]
    assert [(problem.kind, problem.subject) for problem in tagged.problems] == [("InvalidEvent", pending)]


def test_runs_started_by_hand_adopt_no_history() -> None:
    """Protect was started once for each of 20 snapshots from before the deployment; 17 were deleted, each run within limits."""
    lab = Laboratory()
    volume = lab.make_volume({})
    history = [lab.protect(volume) for _ in range(8)]
    lab.ec2().create_tags(Resources=[volume], Tags=[{"Key": "Backup", "Value": "yes"}])
    lab.runner.composition.deployed_at = lab.runner.composition.clock.now()
    for source in history:
        tagged = lab.runner.composition.tag_snapshots(PRIMARY).run([ended(source)])
        assert (tagged.outcome, tagged.copies, tagged.volume_ids) == (TagOutcome.VOLUME_NOT_TAGGED, (), ())
        assert "snapkeep sweep --adopt" in tagged.reasons[-1]
    assert all(lab.tags(source) == {} for source in history)
    newest = lab.protect(volume)
    assert lab.ids() == [*history, newest]
    assert lab.sources_of_copies() == [newest]


def test_snapshots_in_progress_at_deployment_or_once_managed_are_no_history() -> None:
    lab = Laboratory()
    volume = lab.make_volume({})
    adopted = lab.protect(volume)
    in_progress = lab.start_snapshot(volume)
    lab.ec2().create_tags(Resources=[volume], Tags=[{"Key": "Backup", "Value": "yes"}])
    lab.ec2().create_tags(Resources=[adopted], Tags=[{"Key": "snapkeep:source-volume", "Value": volume}])
    lab.runner.advance(1)
    lab.runner.composition.deployed_at = lab.runner.composition.clock.now()
    lab.settle()
    tagged = lab.runner.composition.tag_snapshots(PRIMARY).run([ended(adopted)])
    assert tagged.outcome is TagOutcome.MANAGED
    assert lab.tags(in_progress)["snapkeep:managed"] == "snapkeep"


class LocalZoneReader:
    """Reads snapshots as they are, but in a Local Zone."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def snapshots(self, snapshot_ids: Sequence[str]) -> dict[str, Snapshot]:
        listed = self.real.snapshots(snapshot_ids)
        return {key: replace(one, not_copyable="it is in the Local Zone us-east-1-bos-1a") for key, one in listed.items()}


def test_no_copy_of_an_uncopyable_snapshot_is_requested() -> None:
    """Copies of snapshots in Local Zones and on Outposts were refused, and requested again each day, for ever."""
    lab = Laboratory()
    source = lab.start_snapshot(lab.make_volume())
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    lab.runner.advance(60)
    step: Any = lab.runner.composition.tag_snapshots(PRIMARY)
    tagged = replace(step, reader=LocalZoneReader(step.reader)).run([ended(source)])
    assert (tagged.outcome, tagged.copies, tagged.problems) == (TagOutcome.MANAGED, (), ())
    assert "Local Zone" in tagged.reasons[-1]
