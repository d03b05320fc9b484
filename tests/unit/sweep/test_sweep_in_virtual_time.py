"""Sweeps alone bring a broken world to order; each report says how it stands. Everything in virtual time."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, Handling, SweepOutcome, text_of
from snapkeep.lab.ebs_model import FaultRule, Faults, Quotas, World
from snapkeep.lab.simulator.executions import Execution
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.retention.plan_regions import make_plans
from snapkeep.usecases.sweep.events import snapshot_event
from snapkeep.usecases.sweep.ports import DeadLetter
from snapkeep.usecases.sweep.shared import SweepOptions
from support.flows import policy_set
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, gold, kinds


def state_of(world: SweepingWorld) -> tuple[object, ...]:
    """All that a sweep could change."""
    queue = world.runner.composition.queues[DR]
    entries = {state: [(entry.key, entry.version) for entry in queue.in_state(state)] for state in EntryState}
    tags = {
        snapshot["SnapshotId"]: tuple(sorted((t["Key"], t["Value"]) for t in snapshot.get("Tags", [])))
        for region in (PRIMARY, DR)
        for snapshot in world.snapshots(region)
    }
    return entries, tags, dict(world.runner.totals.runs)


def test_a_healthy_region_is_reported_ok_and_nothing_is_changed() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    before = state_of(world)
    reports = [world.sweep(region) for region in (DR, PRIMARY)]
    assert [report.outcome for report in reports] == [SweepOutcome.OK, SweepOutcome.OK]
    assert kinds(reports[1]) == {}
    assert reports[1].counts[Figure.VOLUMES_PROTECTED] == 1
    for report in reports:
        assert re.findall(r"\b1 +(?:volumes|snapshots|copies|runs|minutes)\b", text_of(report)) == []
    assert "1  volume protected" in text_of(reports[1])
    assert "policy gold: 1 volume, worst RPO age" in text_of(reports[1])
    assert state_of(world) == before


def test_a_volume_whose_first_copy_is_pending_is_not_counted_as_protected() -> None:
    world = SweepingWorld()
    world.world.add_fault(FaultRule("slow_copy", factor=100.0))
    world.snapshot(world.volume())
    world.later(600)
    counts = world.sweep().counts
    figures = (Figure.VOLUMES, Figure.VOLUMES_PROTECTED, Figure.VOLUMES_FIRST_COPY_PENDING, Figure.VOLUMES_NOT_KNOWN)
    assert [counts[figure] for figure in figures] == [1, 0, 1, 0]
    world.world.take_region_away(DR)
    counts = world.sweep().counts
    assert [counts[figure] for figure in figures] == [1, 0, 0, 1]


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_every_report_names_an_unusable_document_until_it_is_corrected(region: str) -> None:
    world = SweepingWorld()
    good = world.policies
    world.policies = replace(good, problem="version 2 of the policy document cannot be used")
    report = world.sweep(region)
    assert kinds(report, Handling.NEEDS_ATTENTION) == {FindingKind.DOCUMENT_BROKEN: 1}
    assert report.outcome is not SweepOutcome.OK
    assert "version 2 of the policy document cannot be used" in text_of(report)
    world.policies = good
    assert kinds(world.sweep(region)) == {}


def test_a_sweep_protects_a_snapshot_without_an_event() -> None:
    world = SweepingWorld()
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    assert world.managed(PRIMARY) == []
    first = world.sweep()
    assert kinds(first, Handling.REPAIRED) == {FindingKind.UNHANDLED: 1}
    assert [managed["SnapshotId"] for managed in world.managed(PRIMARY)] == [snapshot]
    assert len(world.managed(DR)) == 1
    before = state_of(world)
    second = world.sweep()
    assert second.outcome is SweepOutcome.OK
    assert kinds(second) == {}
    assert state_of(world) == before


def test_a_sweep_protects_a_deleted_volumes_last_snapshot() -> None:
    world = SweepingWorld(policies=policy_set())
    volume = world.volume(Backup="yes")
    first = world.snapshot(volume)
    world.later(HOUR)
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    last = world.snapshot(volume)
    world.ec2.delete_volume(VolumeId=volume)
    world.later(HOUR)
    report = world.sweep()
    assert kinds(report, Handling.REPAIRED) == {FindingKind.UNHANDLED: 1}
    assert {snapshot["SnapshotId"] for snapshot in world.managed(PRIMARY)} == {first, last}
    assert len(world.managed(DR)) == 2


def test_two_sweeps_at_the_same_moment_start_one_run() -> None:
    world = SweepingWorld()
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    world.snapshot(world.volume())
    world.later(HOUR)
    sweeps = [world.make_sweep(PRIMARY).run(f"s{number}", SweepOptions()) for number in range(2)]
    assert [kinds(swept.report, Handling.REPAIRED)[FindingKind.UNHANDLED] for swept in sweeps] == [1, 0]
    assert len(world.runs[PRIMARY].names) == 1


def test_a_sweep_receives_the_end_of_a_copy_that_no_run_saw() -> None:
    world = SweepingWorld()
    world.world.add_fault(FaultRule("event_lost", event="copySnapshot"))
    world.snapshot(world.volume())
    world.later(HOUR)
    queue = world.runner.composition.queues[DR]
    assert queue.count(EntryState.RUNNING) == 1
    assert len(world.runner.open_runs) == 1
    report = world.sweep(DR)
    assert kinds(report, Handling.REPAIRED) == {FindingKind.COPY_UNSEEN: 1}
    assert queue.count(EntryState.DONE) == 1
    assert world.runner.open_runs == {}
    assert world.runner.totals.runs == {"protect SUCCEEDED": 1}
    assert kinds(world.sweep(DR)) == {}


def test_a_failed_copy_whose_event_was_lost_is_removed_and_tried_again() -> None:
    world = SweepingWorld()
    world.world.set_faults(Faults(script=(FaultRule("copy_fails", times=1), FaultRule("event_lost", event="copySnapshot"))))
    world.snapshot(world.volume())
    world.later(HOUR)
    assert [copy["State"] for copy in world.snapshots(DR)] == ["error"]
    report = world.sweep(DR)
    assert kinds(report, Handling.REPAIRED) == {FindingKind.COPY_UNSEEN: 1, FindingKind.FAILED_COPY: 1}
    world.world.set_faults(Faults())
    world.later(HOUR)
    assert [copy["State"] for copy in world.snapshots(DR)] == ["completed"]


def test_a_lost_queue_is_rebuilt_from_existing_copies() -> None:
    world = SweepingWorld()
    world.world.take_region_away(DR)
    volumes = [world.volume() for _ in range(3)]
    for volume in volumes:
        world.snapshot(volume)
    world.later(600)
    world.world.bring_region_back(DR)
    world.runner.composition.queues[DR].lose_everything()
    report = world.sweep()
    assert sum(kinds(report, Handling.REPAIRED).values()) >= 3
    assert len(world.managed(DR)) == 3


def test_a_failed_sweep_with_a_published_report_sends_no_notice() -> None:
    world = SweepingWorld()
    world.policies = replace(world.policies, problem="version 2 of the policy document cannot be used")
    sweeper = Sweeper(world.runner)
    sweeper.start()
    world.later(HOUR)
    assert {report.outcome for report in sweeper.reports} == {SweepOutcome.PARTIAL}
    assert world.runner.totals.runs == {"sweep FAILED": 2}
    assert world.runner.composition.notices.added == []


def test_a_sweep_whose_deletions_stop_still_reports_its_findings() -> None:
    world = SweepingWorld()
    world.policies = replace(world.policies, problem="version 2 of the policy document cannot be used")
    sweeper = Sweeper(world.runner)

    def refuse(execution: Execution, payload: Mapping[str, Any]) -> NoReturn:
        raise AwsRefused("DeleteOldSnapshots is out of order")

    world.runner.functions["DeleteOldSnapshots"] = refuse
    sweeper.start()
    world.later(HOUR)
    for report in sweeper.reports:
        assert kinds(report) == {FindingKind.DOCUMENT_BROKEN: 1, FindingKind.PAST_RETENTION: 1}
        assert "AwsRefused: DeleteOldSnapshots is out of order" in text_of(report)
        assert (report.broken, Figure.SNAPSHOTS_DELETED in report.counts) == ("", False)
    assert len(sweeper.reports) == 2
    assert world.runner.composition.notices.added == []


def test_a_copy_tagged_for_another_system_is_replaced() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    world.ec2_dr.delete_tags(Resources=[copy["SnapshotId"]], Tags=[{"Key": "snapkeep:managed"}])
    assert kinds(world.sweep(), Handling.NOTED)[FindingKind.COPY_MISSING] == 1
    assert len(world.snapshots(DR)) == 1
    world.ec2_dr.create_tags(Resources=[copy["SnapshotId"]], Tags=[{"Key": "snapkeep:managed", "Value": "other"}])
    assert kinds(world.sweep(), Handling.REPAIRED) == {FindingKind.COPY_MISSING: 1}
    assert len(world.managed(DR)) == 1
    assert len(world.snapshots(DR)) == 2
    assert kinds(world.sweep()) == {}


def test_a_deleted_copy_is_made_again() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    world.ec2_dr.delete_snapshot(SnapshotId=copy["SnapshotId"])
    report = world.sweep()
    assert kinds(report, Handling.REPAIRED) == {FindingKind.COPY_MISSING: 1}
    (again,) = world.managed(DR)
    assert again["SnapshotId"] != copy["SnapshotId"]


def test_the_checked_one_of_two_copies_stays() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    (first,) = world.managed(DR)
    source = next(tag["Value"] for tag in first["Tags"] if tag["Key"] == "snapkeep:source-snapshot")
    world.ec2_dr.copy_snapshot(
        SourceRegion=PRIMARY,
        SourceSnapshotId=source,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": first["Tags"]}],
        Description=first["Description"],
    )
    world.later(HOUR)
    planned = make_plans(
        [world.composition().reader(region) for region in (PRIMARY, DR)],
        world.facts(),
        dict.fromkeys((PRIMARY, DR), world.policies),
        world.composition().clock.now(),
        system="snapkeep",
    )
    report = world.sweep(DR)
    assert kinds(report, Handling.REPAIRED) == {FindingKind.COPY_TWICE: 1}
    assert [copy["SnapshotId"] for copy in world.managed(DR)] == [first["SnapshotId"]]
    (second,) = planned[1].deletions
    assert second.snapshot.id != first["SnapshotId"], "the plan names the copy that the sweep deletes"


def test_lost_tags_are_written_again_in_both_regions() -> None:
    world = SweepingWorld()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    world.ec2.delete_tags(Resources=[snapshot], Tags=[{"Key": "snapkeep:managed"}, {"Key": "AutomatedSnapName"}])
    world.ec2_dr.delete_tags(Resources=[copy["SnapshotId"]], Tags=[{"Key": "snapkeep:managed"}])
    assert kinds(world.sweep(DR), Handling.REPAIRED) == {FindingKind.TAGS_LOST: 1}
    assert kinds(world.sweep(), Handling.REPAIRED) == {FindingKind.TAGS_LOST: 1}
    assert len(world.managed(PRIMARY)) == len(world.managed(DR)) == 1
    assert len(world.snapshots(DR)) == 1


def test_a_dead_letter_is_replayed_and_an_unreadable_one_stays() -> None:
    world = SweepingWorld()
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    listed = world.make_sweep(PRIMARY).reader.snapshots([snapshot])[snapshot]
    event = snapshot_event(listed, world.runner.composition.clock.now()) | {"source": "aws.ec2", "id": "e-1"}
    tick = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
    letters = [
        DeadLetter(json.dumps(event), "r1", "NO_PERMISSIONS"),
        DeadLetter("not JSON", "r2"),
        DeadLetter(json.dumps(tick), "r3"),
    ]
    world.letters[PRIMARY].held = letters
    report = world.sweep()
    assert kinds(report, Handling.REPAIRED)[FindingKind.UNDELIVERED] == 1
    assert kinds(report, Handling.NEEDS_ATTENTION)[FindingKind.UNREADABLE] == 1
    assert world.letters[PRIMARY].held == [letters[1]]
    assert [managed["SnapshotId"] for managed in world.managed(PRIMARY)] == [snapshot]


def test_sweeps_alone_repair_a_world_with_every_finding() -> None:
    """Two years of history, lost events, failed copies and a region out of reach, and the reports say so at each stage."""
    model = World(seed=3, quotas=Quotas(throttling=False))
    world = SweepingWorld(model, gold(keep=7, keep_copies=3, limits=Limits(max_deletions=10_000, max_share_percent=100)))
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    volumes = [world.volume(1) for _ in range(4)]
    for _ in range(104):
        for volume in volumes:
            world.snapshot(volume)
        world.later(7 * DAY)
    world.runs[PRIMARY].deployed = world.runner.composition.clock.now()
    assert world.managed(PRIMARY) == []

    shown = world.sweep()
    assert kinds(shown, Handling.NOTED) == {FindingKind.ADOPTABLE: 416}
    assert kinds(shown, Handling.NEEDS_ATTENTION) == {FindingKind.RPO_MISSED: 4}
    assert shown.outcome is SweepOutcome.PARTIAL
    assert world.status().totals["no_snapshot"] == 4
    assert len(world.snapshots(PRIMARY)) == 416

    world.world.set_faults(Faults(event_lost=0.7, copy_fails=0.3))
    for volume in volumes:
        world.snapshot(volume)
    world.later(600)
    world.world.take_region_away(DR)
    away = world.sweep(adopt=True)
    assert away.outcome is SweepOutcome.PARTIAL
    assert FindingKind.OUT_OF_REACH in {item.kind for item in away.failures}
    assert kinds(away, Handling.REPAIRED)[FindingKind.ADOPTABLE] >= 400
    assert len(world.snapshots(PRIMARY)) == 420
    assert world.status().problems
    world.world.bring_region_back(DR)

    reports = []
    for _ in range(12):
        reports += [world.sweep(DR), world.sweep(settle=2 * HOUR)]
    world.world.set_faults(Faults())
    for _ in range(3):
        world.sweep(DR)
        world.sweep(retry_failed=True, settle=2 * HOUR)
    for volume in volumes:
        world.snapshot(volume)
    world.later(3 * HOUR)
    last = [world.sweep(DR), world.sweep(), world.sweep(DR), world.sweep()]
    assert [report.outcome for report in last[2:]] == [SweepOutcome.OK, SweepOutcome.OK], [
        item for item in last[-1].items if item.handling.failure
    ]
    per_volume = Counter(snapshot["VolumeId"] for snapshot in world.snapshots(PRIMARY))
    assert per_volume == dict.fromkeys(volumes, 7)
    newest = {
        snapshot["VolumeId"]: snapshot["SnapshotId"]
        for snapshot in sorted(world.managed(PRIMARY), key=lambda snapshot: snapshot["StartTime"])
    }
    copied = {tag["Value"] for copy in world.managed(DR) for tag in copy["Tags"] if tag["Key"] == "snapkeep:source-snapshot"}
    assert set(newest.values()) <= copied
    assert all(copy["State"] == "completed" for copy in world.snapshots(DR))
    assert len(world.snapshots(DR)) <= 3 * len(volumes)
    assert last[-1].counts[Figure.VOLUMES_PROTECTED] == 4
    assert world.status().healthy
    assert any(report.outcome is not SweepOutcome.OK for report in reports)
    before = state_of(world)
    world.sweep(DR)
    world.sweep()
    assert state_of(world) == before
