"""Commands before and after snapshots: what they say of consistency, and that an instance is never left as `before` made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from snapkeep.domain.creation import batch
from snapkeep.domain.policy.model import CONSISTENT_VOLUME, PolicySet, Selector, SnapshotRule
from snapkeep.domain.policy.scripts import Script
from snapkeep.domain.tag_names import CONSISTENCY
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.ebs_model.api.commands import COMMAND_SECONDS
from snapkeep.usecases.ports import ProblemKind
from support.flows import DR, HOUR, PRIMARY, Laboratory
from support.making import TICK, MakingWorld, making

FREEZE, THAW = Script("freeze", "20s"), Script("thaw")
EVERY = SnapshotRule(every=timedelta(hours=6))


def scripted(*, before: Script | None = FREEZE, after: Script | None = THAW, **options: Any) -> PolicySet:
    policies = making(EVERY, rpo=timedelta(hours=12), **options)
    (policy,) = policies.policies
    return replace(policies, policies=(replace(policy, before=before, after=after),))


class Sent(NamedTuple):
    """A command that was sent to an instance."""

    instance_id: str
    document: str
    comment: str
    at: float


def scripted_world(
    documents: Sequence[str] = ("freeze", "thaw"), hook: Callable[[str], None] | None = None, **options: Any
) -> MakingWorld:
    world = MakingWorld(scripted(**options))
    if hook:
        world.lab = Laboratory(policies=world.policies, hook=hook)
    for name in documents:
        world.lab.world.client("ssm", PRIMARY).create_document(Name=name, Content="{}")
    return world


def world_of(volumes: int = 2, **options: Any) -> tuple[MakingWorld, str]:
    """Return a world with an instance, and the instance."""
    world = scripted_world(**options)
    instance = world.attach(*[world.lab.make_volume() for _ in range(volumes)])
    return world, instance


def sent(world: MakingWorld) -> list[Sent]:
    commands = world.lab.world.region_account(PRIMARY).run_command["commands"]
    return [Sent(one["InstanceId"], one["DocumentName"], one["Comment"], one["Sent"]) for one in commands]


def make_fail(world: MakingWorld, document: str) -> None:
    world.lab.world.add_fault(FaultRule("command_fails", source_id=document, message="no database"))


def make_slow(world: MakingWorld, document: str, seconds: float) -> None:
    world.lab.world.add_fault(FaultRule("command_slow", source_id=document, delay_seconds=seconds))


def documents(world: MakingWorld) -> list[str]:
    return [command.document for command in sent(world)]


def told(world: MakingWorld) -> list[str]:
    return [subject for kind, subject in world.lab.notified if kind == ProblemKind.SCRIPT_FAILED]


def consistency(world: MakingWorld) -> set[str]:
    return {world.lab.tags(snapshot.id).get(CONSISTENCY, "") for snapshot in world.made()}


@pytest.mark.parametrize("consistent", ["instance", CONSISTENT_VOLUME])
def test_snapshots_between_the_commands_are_application_consistent(consistent: str) -> None:
    world, instance = world_of(consistent=consistent)
    world.tick()
    frozen, thawed = sent(world)
    assert (frozen.document, thawed.document) == ("freeze", "thaw")
    assert {frozen.instance_id, thawed.instance_id} == {instance}
    made = world.made()
    assert len(made) == 2
    assert all(frozen.at + COMMAND_SECONDS <= snapshot.start <= thawed.at for snapshot in made)
    assert consistency(world) == {"application"}
    world.lab.settle()
    assert {world.lab.tags(copy, DR)[CONSISTENCY] for copy in world.lab.ids(DR)} == {"application"}
    world.run(HOUR)
    assert len(sent(world)) == 2
    assert told(world) == []


@pytest.mark.parametrize("failing", [True, False], ids=["fails", "too_slow"])
def test_a_command_that_fails_stops_no_snapshot_and_the_one_after_runs(failing: bool) -> None:
    world, instance = world_of()
    if failing:
        make_fail(world, "freeze")
    else:
        make_slow(world, "freeze", 60)
    began = world.lab.world.now()
    world.tick()
    assert world.lab.world.now() - began < 30
    assert len(world.made()) == 2
    assert consistency(world) == {"crash"}
    assert documents(world) == ["freeze", "thaw"]
    assert told(world) == [instance]


def test_a_failed_command_after_is_notified_once() -> None:
    world, instance = world_of()
    make_fail(world, "thaw")
    world.run(3 * TICK)
    assert consistency(world) == {"application"}
    assert told(world) == [instance]


@pytest.mark.parametrize(
    ("before", "after", "tag", "names"),
    [(FREEZE, None, "application", ["freeze"]), (None, THAW, "", ["thaw"])],
)
def test_each_command_runs_without_the_other(before: Script | None, after: Script | None, tag: str, names: list[str]) -> None:
    world, _ = world_of(before=before, after=after)
    world.run(2 * TICK)
    assert (consistency(world), documents(world)) == ({tag}, names)


def test_the_tag_of_others_is_no_evidence_of_consistency() -> None:
    world, _ = world_of()
    volume = world.lab.make_volume(tags={"Backup": "x", CONSISTENCY: "application"})
    snapshot = world.lab.protect(volume)
    reader = world.lab.runner.composition.reader(PRIMARY)
    assert reader.snapshots([snapshot])[snapshot].consistency == ""
    (copy,) = [copy.id for copy in world.lab.snapshots(DR)]
    assert CONSISTENCY not in world.lab.tags(copy, DR)


def test_a_volume_without_an_instance_runs_none() -> None:
    world = scripted_world()
    world.lab.make_volume()
    world.tick()
    assert (len(world.made()), consistency(world), sent(world)) == (1, {""}, [])


@pytest.mark.parametrize(("documents", "profile"), [((), "agent"), (("freeze", "thaw"), "")], ids=["no_document", "no_agent"])
def test_a_refused_command_is_a_failed_one(documents: Sequence[str], profile: str) -> None:
    world = scripted_world(documents)
    instance = world.attach(*[world.lab.make_volume() for _ in range(2)], profile=profile)
    world.tick()
    assert (len(world.made()), consistency(world), told(world)) == (2, {"crash"}, [instance])
    assert sent(world) == []
    world.run(2 * TICK)
    assert told(world) == [instance] * 2, "of each command once"


def test_a_tick_interrupted_at_any_call_leaves_no_instance_stopped() -> None:
    clean, _ = world_of()
    calls = clean.tick()
    assert calls > 10
    for number in range(1, calls + 1):
        world, _ = world_of()
        world.tick(kill_in=number)
        world.lab.runner.advance(TICK)
        for _ in range(3):
            world.tick()
            world.lab.runner.advance(TICK)
        names = documents(world)
        assert "freeze" not in names or names[-1] == "thaw", f"killed at call {number}: {names}"
        for frozen in (command for command in sent(world) if command.document == "freeze"):
            thawed = [command.at for command in sent(world) if command.document == "thaw" and command.at >= frozen.at]
            assert min(thawed) - frozen.at <= 2 * TICK
        for earlier, later in pairwise(sent(world)):
            # An instance has one command at a time.
            assert later.at >= earlier.at + COMMAND_SECONDS
        comments = [command.comment for command in sent(world)]
        assert len(comments) == len(set(comments)), "no command is sent twice"
        assert len({snapshot.start for snapshot in world.made()}) == 1
        assert consistency(world) <= {"application", "crash"}


def test_another_tick_sends_nothing_for_one_that_works() -> None:
    met: list[int] = []

    def meet(name: str) -> None:
        if name == "commands.find" and not met:
            met.append(len(sent(world)))
            world.lab.runner.make_snapshots(PRIMARY)
            met.append(len(sent(world)))

    world = scripted_world(hook=meet)
    world.attach(world.lab.make_volume())
    world.lab.runner.make_snapshots(PRIMARY)
    assert met == [1, 1]
    assert (documents(world), len(world.made())) == (["freeze", "thaw"], 1)


def test_an_endless_command_after_is_notified_and_stops_no_later_snapshot() -> None:
    world, instance = world_of()
    make_slow(world, "thaw", 30 * HOUR)
    world.run(4 * TICK)
    assert told(world) == [instance]
    world.run(6 * HOUR)
    assert documents(world) == ["freeze", "thaw"] * 2
    assert len(world.made()) == 4


def test_two_policies_of_one_instance_take_turns() -> None:
    world = scripted_world()
    (policy,) = world.policies.policies
    parts = [replace(policy, name=name, selector=Selector(tags={"Backup": (name,)})) for name in ("a", "b")]
    world.lab.policies = world.policies = replace(world.policies, policies=tuple(parts))
    world.attach(*[world.lab.make_volume({"Backup": policy.name}) for policy in parts])
    world.tick()
    assert (documents(world), len(world.made())) == (["freeze", "thaw"], 1)
    world.lab.runner.advance(TICK)
    world.tick()
    world.lab.runner.advance(TICK)
    world.tick()
    assert (documents(world), len(world.made())) == (["freeze", "thaw"] * 2, 2)


def test_commands_of_many_instances_run_side_by_side() -> None:
    world = scripted_world()
    for _ in range(5):
        world.attach(world.lab.make_volume())
    began = world.lab.world.now()
    world.tick()
    assert len(world.made()) == 5
    assert world.lab.world.now() - began < 12


def freezes(world: MakingWorld) -> list[float]:
    """How long each instance was between its commands."""
    thawed = {command.instance_id: command.at for command in sent(world) if command.document == "thaw"}
    return [thawed[command.instance_id] - command.at for command in sent(world) if command.document == "freeze"]


def test_instances_beyond_ten_wait_for_their_turn() -> None:
    world = scripted_world()
    for _ in range(25):
        world.attach(world.lab.make_volume())
    world.tick()
    assert len(world.made()) == 25
    assert max(freezes(world)) < 12


def test_a_tick_without_time_leaves_instances_to_the_next_one() -> None:
    slow = Script("freeze", "120s")
    world = scripted_world(before=slow)
    make_slow(world, "freeze", 80)
    for _ in range(25):
        world.attach(world.lab.make_volume())
    began = world.lab.world.now()
    world.tick()
    assert world.lab.world.now() - began < 270
    first = len(world.made())
    assert 10 <= first < 25
    assert len(freezes(world)) == first
    world.lab.runner.advance(TICK)
    world.tick()
    assert len(world.made()) == 25
    assert consistency(world) == {"application"}
    assert documents(world).count("thaw") == 25, "an instance without a command before has none after it"


def test_no_instance_is_stopped_once_no_more_snapshots_can_be_made() -> None:
    world = scripted_world()
    for _ in range(12):
        world.attach(world.lab.make_volume())
    throttled = {"code": "RequestLimitExceeded", "http_status": 503, "times": 1}
    for action in ("CreateSnapshot", "CreateSnapshots"):
        world.lab.world.add_fault(FaultRule("api_error", action=action, **throttled))  # type: ignore[arg-type]
    world.tick()
    assert (documents(world).count("freeze"), documents(world).count("thaw"), len(world.made())) == (10, 10, 0)
    world.lab.runner.advance(TICK)
    world.tick()
    assert len(world.made()) >= 2, "the two that were not begun"


def test_no_instance_is_stopped_where_another_snapshot_was_throttled() -> None:
    world = scripted_world()
    world.lab.make_volume()
    world.attach(world.lab.make_volume())
    fault = FaultRule("api_error", action="CreateSnapshot", code="RequestLimitExceeded", http_status=503, times=1)
    world.lab.world.add_fault(fault)
    world.tick()
    assert (documents(world), world.made()) == ([], [])
    world.lab.runner.advance(TICK)
    world.tick()
    assert (documents(world), len(world.made())) == (["freeze", "thaw"], 2)


def test_only_the_first_calls_of_a_tick_have_the_time_for_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_PENDING", 10)
    world, _ = world_of(volumes=1)
    world.tick()
    world.lab.runner.advance(7 * HOUR)
    for _ in range(15):
        world.lab.make_volume()
    world.tick()
    assert (documents(world), len(world.made())) == (["freeze", "thaw"], 1 + 15)
    world.lab.runner.advance(TICK)
    world.tick()
    assert (documents(world), len(world.made())) == (["freeze", "thaw"] * 2, 2 + 15)
