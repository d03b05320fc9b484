"""Snapshots are made once each, whatever interrupts a tick, and Protect handles them as all others."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.domain.creation import batch
from snapkeep.domain.policy.model import CONSISTENT_VOLUME, SnapshotRule
from snapkeep.domain.tag_names import MADE, MANAGED, SET
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.creation.make import BETWEEN_CALLS, INTENTIONS, MakeResult
from support.flows import DAY, DR, HOUR, PRIMARY, Laboratory, policy_set
from support.making import TICK, MakingWorld, making

EVERY = SnapshotRule(every=timedelta(hours=2))
BY_RPO = SnapshotRule(when="rpo")


def test_policies_that_make_none_cost_no_call() -> None:
    calls: list[str] = []
    lab = Laboratory(policies=policy_set(), hook=calls.append)
    lab.make_volume()
    assert lab.runner.make_snapshots(PRIMARY) == MakeResult()
    assert calls == []


def test_a_snapshot_of_the_system_is_tagged_copied_and_retained() -> None:
    world = MakingWorld(making(EVERY, keep=2))
    volume = world.lab.make_volume()
    world.lab.make_volume({"Name": "not included"})
    world.run(9 * HOUR)
    kept = world.made(volume)
    assert len(world.made()) == len(kept) == 2
    assert {MADE, MANAGED} <= world.lab.tags(kept[0].id).keys()
    assert len(world.lab.sources_of_copies()) == 2


def test_where_others_make_them_none_is_made() -> None:
    world = MakingWorld(making(BY_RPO))
    volume = world.lab.make_volume()
    world.others_make(volume, 2.0)
    world.lab.runner.advance(120)
    world.run(2 * DAY, watch_rpo=True)
    assert (world.made(), world.missed) == ([], [])


def test_the_rpo_is_met_without_other_tools() -> None:
    world = MakingWorld(making(BY_RPO))
    volume = world.lab.make_volume(size_gib=100)
    world.run(3 * DAY, watch_rpo=True)
    assert world.missed == []
    # Twelve would do if copies took no time.
    assert 12 < len(world.made(volume)) <= 16


def test_two_calls_without_an_answer_before_each_snapshot_cost_no_rpo() -> None:
    world = MakingWorld(making(BY_RPO))
    world.lab.make_volume()
    made, ended = -1, world.began + 2 * DAY
    while world.lab.world.now() < ended:
        if len(world.made()) != made:
            made = len(world.made())
            world.lab.world.add_fault(FaultRule("api_timeout", action="CreateSnapshot", times=2, effect="before"))
        world.tick()
        for _ in range(5):
            world.lab.runner.advance(TICK / 5)
            world.look()
    assert made > 6
    assert world.missed == []


def test_when_others_stop_the_system_begins() -> None:
    world = MakingWorld(making(BY_RPO))
    volume = world.lab.make_volume()
    for number in range(6):
        world.lab.runner.kernel.after(60.0 + number * 2 * HOUR, lambda: world.lab.start_snapshot(volume))
    world.lab.runner.advance(120)
    world.run(2 * DAY, watch_rpo=True)
    assert world.missed == []
    assert world.made(volume)[0].start - world.began > 10 * HOUR


@pytest.mark.parametrize("rule", [EVERY, SnapshotRule(cron="0 */2 * * ? *"), BY_RPO])
def test_an_interrupted_tick_makes_no_second_snapshot(rule: SnapshotRule) -> None:
    world = MakingWorld(making(rule))
    world.lab.make_volume()
    calls = world.tick()
    assert len(world.made()) == 1
    for kill_in in range(1, calls + 1):
        killed = MakingWorld(making(rule))
        killed.lab.make_volume()
        killed.run(50 * 60, kills=[kill_in])
        assert len(killed.made()) == 1, f"killed at call {kill_in} of {calls}"


def intended(world: MakingWorld) -> str:
    return world.lab.runner.composition.documents[PRIMARY].documents[INTENTIONS].text


def test_a_lost_answer_makes_no_second_snapshot() -> None:
    world = MakingWorld(making(EVERY))
    volume = world.lab.make_volume()
    world.lab.world.add_fault(FaultRule("api_timeout", action="CreateSnapshot", times=1, effect="after"))
    world.tick()
    # EC2 may list the snapshot late: until then the intention keeps the next tick from a second one.
    assert intended(world).count(volume) == 1
    world.run(HOUR)
    assert len(world.made()) == 1


def test_one_call_without_an_answer_costs_other_volumes_nothing() -> None:
    world = MakingWorld(making(EVERY))
    for _ in range(3):
        world.lab.make_volume()
    world.lab.world.add_fault(FaultRule("api_timeout", action="CreateSnapshot", times=1, effect="before"))
    world.tick()
    assert len(world.made()) == 2


def test_after_two_calls_without_an_answer_no_further_one_is_made() -> None:
    world = MakingWorld(making(EVERY))
    for _ in range(4):
        world.lab.make_volume()
    world.lab.world.add_fault(FaultRule("api_timeout", action="CreateSnapshot", times=2, effect="before"))
    result = world.lab.runner.make_snapshots(PRIMARY)
    assert result is not None
    assert (result.made, "timeout" in result.stopped) == ((), True)
    world.lab.runner.advance(TICK)
    world.tick()
    assert len(world.made()) == 2, "those that were not called"


def test_calls_are_as_far_apart_as_ec2_refills_their_bucket() -> None:
    pauses: list[float] = []
    world = MakingWorld(making(EVERY))
    for _ in range(8):
        world.lab.make_volume()
    clock = world.lab.runner.composition.clock
    world.lab.runner.composition.clock = SimpleNamespace(now=clock.now, pause=pauses.append)
    world.tick()
    assert pauses == [BETWEEN_CALLS] * 7


def test_the_next_tick_repeats_a_throttled_call() -> None:
    world = MakingWorld(making(EVERY))
    for _ in range(2):
        world.lab.make_volume()
    fault = FaultRule("api_error", action="CreateSnapshot", times=1, code="RequestLimitExceeded", http_status=503)
    world.lab.world.add_fault(fault)
    world.tick()
    assert world.made() == []
    world.lab.runner.advance(TICK)
    world.tick()
    assert len(world.made()) == 2


def test_a_refused_call_is_notified_and_repeated_after_an_hour() -> None:
    world = MakingWorld(making(EVERY))
    volume = world.lab.make_volume()
    fault = FaultRule("api_error", action="CreateSnapshot", times=2, code="UnauthorizedOperation", http_status=403)
    world.lab.world.add_fault(fault)
    world.run(2.5 * HOUR)
    assert world.lab.notified == [("AwsRefused", volume)] * 2
    assert len(world.made()) == 1


def test_refused_volumes_take_no_place_from_others() -> None:
    world = MakingWorld(making(EVERY))
    for _ in range(98):
        world.lab.make_volume()
    world.lab.world.add_fault(
        FaultRule("api_error", action="CreateSnapshot", times=90, code="UnauthorizedOperation", http_status=403)
    )
    world.tick()
    assert len(world.made()) == 8


@pytest.mark.parametrize("code", ["ConcurrentSnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded"])
def test_a_busy_volume_does_not_delay_others(code: str) -> None:
    world = MakingWorld(making(EVERY))
    for _ in range(2):
        world.lab.make_volume()
    world.lab.world.add_fault(FaultRule("api_error", action="CreateSnapshot", times=1, code=code, http_status=400))
    world.tick()
    assert len(world.made()) == 1
    world.lab.runner.advance(TICK)
    world.tick()
    assert len(world.made()) == 2
    assert world.lab.notified == []


def test_a_refused_set_is_made_one_by_one() -> None:
    world = MakingWorld(making(EVERY))
    volumes = [world.lab.make_volume() for _ in range(2)]
    instance = world.attach(*volumes)
    fault = FaultRule("api_error", action="CreateSnapshots", times=1, code="InvalidParameterValue", http_status=400)
    world.lab.world.add_fault(fault)
    world.tick()
    assert sorted(item.volume_id for item in world.made()) == sorted(volumes)
    assert world.lab.notified == [("AwsRefused", instance)]


def at_first_write(change: Callable[[MakingWorld], Any]) -> MakingWorld:
    """Return a world that changes between a tick's listing and its first call."""
    changes = [change]

    def hook(name: str) -> None:
        if name == "documents.put" and changes:
            changes.pop()(world)

    world = MakingWorld(making(EVERY))
    world.lab = Laboratory(policies=making(EVERY), hook=hook)
    return world


def test_a_volume_that_is_deleted_in_between_is_no_failure() -> None:
    world = at_first_write(lambda it: it.lab.ec2().delete_volume(VolumeId=gone))
    gone, other = world.lab.make_volume(), world.lab.make_volume()
    world.tick()
    assert ([item.volume_id for item in world.made()], world.lab.notified) == ([other], [])


def test_volumes_of_a_terminated_instance_are_made_at_the_next_tick() -> None:
    world = at_first_write(lambda it: it.lab.ec2().terminate_instances(InstanceIds=[instance]))
    volumes = [world.lab.make_volume() for _ in range(2)]
    instance = world.attach(*volumes)
    world.tick()
    for _ in range(3):
        world.lab.runner.advance(TICK)
        world.tick()
    assert sorted(item.volume_id for item in world.made()) == sorted(volumes)


def test_a_volume_that_is_detached_in_between_does_not_affect_others() -> None:
    world = at_first_write(lambda it: it.lab.ec2().detach_volume(VolumeId=scratch))
    volumes, scratch = [world.lab.make_volume() for _ in range(2)], world.lab.make_volume({"Name": "scratch"})
    world.attach(*volumes, scratch)
    world.tick()
    assert sorted(item.volume_id for item in world.made()) == sorted(volumes)


def test_a_tick_that_another_one_overtook_ends_in_peace() -> None:
    puts: list[str] = []

    def overtake(name: str) -> None:
        puts.append(name)
        if puts.count("documents.put") == 2:
            documents = lab.runner.composition.documents[PRIMARY]
            kept = documents.get(INTENTIONS)
            documents.documents[INTENTIONS] = kept._replace(version="another tick's")

    lab = Laboratory(policies=making(EVERY), hook=overtake)
    lab.make_volume()
    lab.world.add_fault(FaultRule("api_error", action="CreateSnapshot", code="UnauthorizedOperation", http_status=403))
    assert lab.runner.make_snapshots(PRIMARY).made == ()
    assert len(lab.notified) == 1


def test_only_one_of_two_concurrent_ticks_continues() -> None:
    met: list[MakeResult | None] = []

    def meet(name: str) -> None:
        if name == "documents.put" and not met:
            met.append(None)
            met.append(lab.runner.make_snapshots(PRIMARY))

    lab = Laboratory(policies=making(EVERY), hook=meet)
    lab.make_volume()
    met.append(lab.runner.make_snapshots(PRIMARY))
    assert [(len(result.made), result.stopped) for result in met if result] == [(1, ""), (0, "another tick is at work")]
    assert len(lab.snapshots()) == 1


@pytest.mark.parametrize(("consistent", "sets"), [("instance", 1), (CONSISTENT_VOLUME, 0)])
def test_an_instance_s_volumes_are_one_set_without_those_of_no_policy(consistent: str, sets: int) -> None:
    world = MakingWorld(making(EVERY, consistent=consistent))
    chosen = [world.lab.make_volume() for _ in range(2)]
    world.attach(*chosen, world.lab.make_volume({"Name": "scratch"}))
    world.tick()
    assert sorted(item.volume_id for item in world.made()) == sorted(chosen)
    world.lab.settle()
    named = {world.lab.tags(item.id).get(SET, "") for item in world.made()} - {""}
    assert len(named) == sets
    assert len(world.lab.sources_of_copies()) == 2


def test_the_quota_of_pending_snapshots_is_never_run_into() -> None:
    world = MakingWorld(making(EVERY))
    world.lab.world.change_quotas(pending_snapshots=90)
    world.lab.world.add_fault(FaultRule("slow_snapshot", times=90, delay_seconds=400))
    for _ in range(120):
        world.lab.make_volume()
    world.tick()
    assert len(world.made()) == 90
    world.run(30 * 60)
    assert len(world.made()) == 120
    assert world.lab.notified == []


def test_as_snapshots_end_within_a_tick_others_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_PENDING", 10)
    world = MakingWorld(making(EVERY))
    world.lab.world.change_quotas(pending_snapshots=10)
    for _ in range(40):
        world.lab.make_volume()
    began = world.lab.world.now()
    result = world.lab.runner.make_snapshots(PRIMARY)
    assert result is not None
    assert (result.due, len(result.made), result.stopped) == (40, 30, "")
    assert world.lab.world.now() - began < 200, "90 calls more take 50 seconds, and the function's time-out is 280"
    world.lab.runner.advance(TICK)
    world.tick()
    assert len(world.made()) == 40
    assert world.watch.violations == []


def test_near_the_quota_of_snapshots_it_stops_and_notifies() -> None:
    world = MakingWorld(making(EVERY))
    world.lab.make_volume()
    other = world.lab.make_volume({"Name": "not included"})
    world.lab.world.change_quotas(snapshots_per_region=20)
    for _ in range(19):
        world.lab.start_snapshot(other)
        world.lab.runner.advance(60)
    world.tick()
    assert world.made() == []
    assert world.lab.notified == [("SnapshotQuotaReached", PRIMARY)]
    world.run(2.5 * HOUR)
    assert len(world.lab.notified) == 3  # once an hour


def test_intentions_are_forgotten_once_they_are_old() -> None:
    world = MakingWorld(making(EVERY))
    volumes = [world.lab.make_volume() for _ in range(2)]
    world.run(4 * HOUR)
    text = intended(world)
    assert sorted(text.count(volume) for volume in volumes) == [1, 1]


def test_snapshots_wait_while_the_dr_region_is_unreachable_only_for_their_copies() -> None:
    world = MakingWorld(making(BY_RPO))
    volume = world.lab.make_volume()
    world.run(8 * HOUR)
    world.lab.world.take_region_away(DR)
    before = len(world.made(volume))
    world.run(12 * HOUR)
    assert len(world.made(volume)) >= before + 2
