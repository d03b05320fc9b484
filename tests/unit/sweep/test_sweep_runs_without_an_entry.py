"""A run of Protect whose entry, or whose answer, was lost: a sweep finds it, and it ends with the truth. All in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.sweep.findings import FindingKind, RejoinRepair
from snapkeep.domain.sweep.report import Figure, Handling, SweepOutcome
from snapkeep.lab.ebs_model import FaultRule, Quotas, World
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.executions import FAILED, SUCCEEDED, Execution
from snapkeep.lab.simulator.sweeps import OpenRuns
from snapkeep.usecases.sweep.shared import SweepLimits
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld

OTHER_DR = "us-west-2"
MINUTE = 60.0


class Watched(SweepingWorld):
    """A world that remembers how its runs ended."""

    def __init__(self, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self.ended: list[Execution] = []
        self.runner._on_run_ended = self.ended.append

    @property
    def endings(self) -> list[str]:
        return [run.status for run in self.ended if run.machine == "protect"]

    def entry(self, region: str = DR) -> QueueEntry:
        (entry,) = [queued for state in EntryState for queued in self.runner.composition.queues[region].in_state(state)]
        return entry

    def waiting_snapshot(self) -> str:
        """A snapshot whose copy waits, because the quota is taken."""
        snapshot = self.snapshot(self.volume())
        self.later(20 * MINUTE)
        assert self.endings == []
        return snapshot


def busy_world(**given: object) -> Watched:
    """A world in which no copy can start: every request waits."""
    world = World(seed=7, quotas=Quotas(copies_per_destination=0))
    return Watched(world=world, copy_quota=0, **given)


def let_copies_start(world: Watched) -> None:
    world.world.change_quotas(copies_per_destination=20)
    world.runner.composition.layout = replace(world.runner.composition.layout, copy_quota=20)


def test_a_run_whose_entry_was_lost_rejoins_the_queue_and_succeeds() -> None:
    world = busy_world()
    snapshot = world.waiting_snapshot()
    world.runner.composition.queues[DR].lose_everything()
    report = world.sweep(settle=0)
    repaired = [(item.kind, item.subject) for item in report.items if item.handling is Handling.REPAIRED]
    assert repaired == [(FindingKind.RUN_UNANSWERED, snapshot)], "the run alone requests the copy"
    assert len(world.entry().tokens) == len(world.entry().runs) == 1
    let_copies_start(world)
    world.later(HOUR)
    assert world.endings == [SUCCEEDED]
    assert len(world.managed(DR)) == 1


def test_the_second_sweep_changes_nothing_and_reads_no_history() -> None:
    world = busy_world()
    world.waiting_snapshot()
    world.runner.composition.queues[DR].lose_everything()
    world.sweep(settle=HOUR)
    before, world.waiting[PRIMARY].read = world.entry(), []
    second = world.sweep(settle=0)
    assert [item for item in second.items if item.kind is FindingKind.RUN_UNANSWERED] == []
    assert world.entry() == before
    assert world.waiting[PRIMARY].read == []


def test_in_ordinary_times_no_history_is_read_however_many_runs_wait() -> None:
    world = busy_world()
    for volume in [world.volume() for _ in range(5)]:
        world.snapshot(volume)
    world.later(HOUR)
    report = world.sweep(settle=0)
    assert report.counts[Figure.RUNS_IN_PROGRESS] == 5
    assert world.waiting[PRIMARY].read == []


def test_a_run_that_has_just_begun_is_ignored() -> None:
    world = busy_world()
    world.snapshot(world.volume())
    world.later(3 * MINUTE)
    world.runner.composition.queues[DR].lose_everything()
    report = world.sweep(settle=0)
    assert [item.kind for item in report.items if item.handling is Handling.REPAIRED] == [FindingKind.COPY_MISSING]
    assert world.waiting[PRIMARY].read == []
    world.later(10 * MINUTE)
    later = world.sweep(settle=0)
    assert [item.kind for item in later.items if item.handling is Handling.REPAIRED] == [FindingKind.RUN_UNANSWERED]
    assert len(world.entry().tokens) == 1


def test_a_waiting_run_joins_an_entry_that_a_sweep_made() -> None:
    world = busy_world()
    world.waiting_snapshot()
    world.runner.composition.queues[DR].write(replace(world.entry(), tokens=(), runs=()))
    world.sweep(settle=0)
    let_copies_start(world)
    world.later(HOUR)
    assert world.endings == [SUCCEEDED]


def test_a_run_whose_entry_was_lost_is_answered() -> None:
    world = Watched()
    world.world.add_fault(FaultRule("event_lost", event="copySnapshot"))
    world.snapshot(world.volume())
    world.later(HOUR)
    world.runner.composition.queues[DR].lose_everything()
    assert world.endings == []
    report = world.sweep(settle=HOUR)
    assert [item.kind for item in report.items if item.handling is Handling.REPAIRED] == [FindingKind.RUN_UNANSWERED]
    assert world.endings == [SUCCEEDED]
    assert len(world.snapshots(DR)) == 1, "the dispatcher found the copy, and made no other"


def test_a_run_whose_answer_was_lost_gets_its_copy() -> None:
    world = Watched()
    world.world.add_fault(FaultRule("event_lost", event="copySnapshot"))
    world.snapshot(world.volume())
    world.later(HOUR)
    entry = world.entry()
    world.runner.composition.queues[DR].write(replace(entry, state=EntryState.DONE, tokens=(), runs=()))
    world.sweep(settle=MINUTE)
    assert world.endings == [SUCCEEDED]
    assert world.entry().state is EntryState.DONE


def test_a_done_entry_whose_copy_was_deleted_is_made_again() -> None:
    world = Watched()
    world.world.add_fault(FaultRule("event_lost", event="copySnapshot", times=1))
    world.snapshot(world.volume())
    world.later(HOUR)
    entry = world.entry()
    world.runner.composition.queues[DR].write(replace(entry, state=EntryState.DONE, tokens=(), runs=()))
    world.ec2_dr.delete_snapshot(SnapshotId=entry.copy_id)
    world.sweep(settle=HOUR)
    assert world.endings == [SUCCEEDED]
    (copy,) = world.managed(DR)
    assert copy["SnapshotId"] != entry.copy_id


def test_a_run_whose_copys_failure_was_lost_gets_the_cause() -> None:
    world = busy_world()
    world.waiting_snapshot()
    lost = replace(world.entry(), state=EntryState.FAILED, cause="the key is disabled", tokens=(), runs=())
    world.runner.composition.queues[DR].write(lost)
    world.sweep(settle=MINUTE)
    assert world.endings == [FAILED]
    (failed,) = world.ended[0].state["copies"]["results"]
    assert failed["error"] == "CopyFailed"
    assert "the key is disabled" in failed["cause"]


def test_a_lost_entry_of_a_run_with_another_entry_is_found() -> None:
    rules = tuple(CopyRule(region, retention=Retention(keep_last=3)) for region in (DR, OTHER_DR))
    policies = PolicySet((Policy("both", Selector(tags={"Backup": ("*",)}), Retention(keep_last=7), rules),), Limits())
    world = Watched(
        world=World(seed=7, quotas=Quotas(copies_per_destination=0), regions=(PRIMARY, DR, OTHER_DR)),
        policies=policies,
        copy_quota=0,
        destinations=(DR, OTHER_DR),
    )
    world.waiting_snapshot()
    assert world.entry().runs == world.entry(OTHER_DR).runs
    world.runner.composition.queues[OTHER_DR].lose_everything()
    report = world.sweep(settle=0)
    (unanswered,) = [item for item in report.items if item.kind is FindingKind.RUN_UNANSWERED]
    assert OTHER_DR in unanswered.text, "and not of the region whose entry is there"
    assert len(world.waiting[PRIMARY].read) == 1
    assert len(world.entry(OTHER_DR).tokens) == 1
    assert world.entry(OTHER_DR).tokens != world.entry().tokens


def test_about_a_region_out_of_reach_no_run_is_touched() -> None:
    world = busy_world()
    world.waiting_snapshot()
    world.runner.composition.queues[DR].lose_everything()
    world.world.take_region_away(DR)
    report = world.sweep(settle=0)
    assert [item.kind for item in report.items if item.kind is FindingKind.RUN_UNANSWERED] == []
    assert world.waiting[PRIMARY].read == []


def test_runs_rejoin_within_the_limit_of_a_sweep() -> None:
    world = busy_world(limits=SweepLimits(repairs=2))
    for volume in [world.volume() for _ in range(5)]:
        world.snapshot(volume)
    world.later(20 * MINUTE)
    world.runner.composition.queues[DR].lose_everything()
    first = world.sweep(settle=0)
    assert first.counts[Figure.RUNS_NOT_READ] == 3
    named = 0
    for _ in range(6):
        world.later(6 * HOUR)
        world.sweep(settle=0)
        queue = world.runner.composition.queues[DR]
        named = sum(len(entry.runs) for entry in queue.in_state(EntryState.WAITING))
    assert named == 5
    assert all(len(entry.tokens) == 1 for entry in world.runner.composition.queues[DR].in_state(EntryState.WAITING))


def test_runs_that_cannot_be_listed_are_a_finding_and_stop_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = busy_world()
    world.waiting_snapshot()
    world.runner.composition.queues[DR].lose_everything()

    def refuse() -> None:
        raise AwsRefused("list_executions: AccessDeniedException")

    monkeypatch.setattr(world.waiting[PRIMARY], "under_way", refuse)
    report = world.sweep(settle=0)
    problems = {item.kind: item.text for item in report.items if item.handling is Handling.NEEDS_ATTENTION}
    assert "AccessDeniedException" in problems[FindingKind.OUT_OF_REACH]
    assert report.outcome is SweepOutcome.PARTIAL
    assert [item.kind for item in report.items if item.handling is Handling.REPAIRED] == [FindingKind.COPY_MISSING]


def test_two_sweeps_at_once_put_a_run_back_once() -> None:
    world = busy_world()
    world.waiting_snapshot()
    world.runner.composition.queues[DR].lose_everything()
    (run,) = world.runner.open_runs.values()
    (wait,) = OpenRuns(world.runner, PRIMARY).waits(run.id)
    sweeps = [world.make_sweep(PRIMARY) for _ in range(2)]
    handled = [sweep._repair(RejoinRepair(wait), utc(world.world.now())) for sweep in sweeps]  # type: ignore[call-arg]
    assert handled == [Handling.REPAIRED, Handling.NOTED]
    assert world.entry().tokens == (wait.token,)
