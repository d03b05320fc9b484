"""Commands before and after snapshots: what they say of consistency, and that an instance is never left as `before` made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.adapters.ssm_scripts import SsmScripts
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.policy.model import CONSISTENT_VOLUME, PolicySet, SnapshotRule
from snapkeep.domain.policy.scripts import Script
from snapkeep.domain.tag_names import CONSISTENCY
from snapkeep.lab.simulator.memory_ports import SentScript
from snapkeep.usecases.creation.scripts import ScriptEnd
from snapkeep.usecases.ports import ProblemKind
from support.flows import DR, HOUR, PRIMARY
from support.making import TICK, MakingWorld, making

FREEZE, THAW = Script("freeze", "20s"), Script("thaw")
EVERY = SnapshotRule(every=timedelta(hours=6))


def scripted(*, before: Script | None = FREEZE, after: Script | None = THAW, **options: Any) -> PolicySet:
    policies = making(EVERY, rpo=timedelta(hours=12), **options)
    (policy,) = policies.policies
    return replace(policies, policies=(replace(policy, before=before, after=after),))


def world_of(volumes: int = 2, **options: Any) -> tuple[MakingWorld, str]:
    """Return a world with an instance, and the instance."""
    world = MakingWorld(scripted(**options))
    instance = world.attach(*[world.lab.make_volume() for _ in range(volumes)])
    return world, instance


def sent(world: MakingWorld) -> list[SentScript]:
    return list(world.lab.runner.composition.scripts.sent)


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
    assert all(frozen.at + 5 <= snapshot.start <= thawed.at for snapshot in made)
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
        world.lab.runner.composition.scripts.failing["freeze"] = "exit status 1"
    else:
        world.lab.runner.composition.scripts.seconds = 60.0
    began = world.lab.world.now()
    world.tick()
    assert world.lab.world.now() - began < 30
    assert len(world.made()) == 2
    assert consistency(world) == {"crash"}
    assert documents(world) == ["freeze", "thaw"]
    assert told(world) == [instance]


def test_a_failed_command_after_is_notified_once() -> None:
    world, instance = world_of()
    world.lab.runner.composition.scripts.failing["thaw"] = "exit status 1"
    world.run(3 * TICK)
    assert consistency(world) == {"application"}
    assert told(world) == [instance]


@pytest.mark.parametrize(
    ("before", "after", "tag", "names"),
    [(FREEZE, None, "application", ["freeze"]), (None, THAW, "", ["thaw"])],
)
def test_each_command_runs_alone_too(before: Script | None, after: Script | None, tag: str, names: list[str]) -> None:
    world, _ = world_of(before=before, after=after)
    world.run(2 * TICK)
    assert (consistency(world), documents(world)) == ({tag}, names)


def test_the_tag_of_others_says_nothing_of_consistency() -> None:
    world, _ = world_of()
    volume = world.lab.make_volume(tags={"Backup": "x", CONSISTENCY: "application"})
    snapshot = world.lab.protect(volume)
    reader = world.lab.runner.composition.reader(PRIMARY)
    assert reader.snapshots([snapshot])[snapshot].consistency == ""
    (copy,) = [copy.id for copy in world.lab.snapshots(DR)]
    assert CONSISTENCY not in world.lab.tags(copy, DR)


def test_a_volume_without_an_instance_runs_none() -> None:
    world = MakingWorld(scripted())
    world.lab.make_volume()
    world.tick()
    assert (len(world.made()), consistency(world), sent(world)) == (1, {""}, [])


def test_a_refused_command_is_a_failed_one() -> None:
    world, instance = world_of()

    def refuse(*_: Any) -> None:
        raise AwsRefused("AccessDeniedException: no identity-based policy allows the ssm:SendCommand action")

    world.lab.runner.composition.scripts.send = refuse
    world.tick()
    assert (len(world.made()), consistency(world), told(world)) == (2, {"crash"}, [instance])


def test_a_tick_that_is_killed_at_any_call_leaves_no_instance_stopped() -> None:
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
        comments = [command.comment for command in sent(world)]
        assert len(comments) == len(set(comments)), "no command is sent twice"
        assert len({snapshot.start for snapshot in world.made()}) == 1
        assert consistency(world) <= {"application", "crash"}


def test_commands_of_many_instances_run_side_by_side() -> None:
    world = MakingWorld(scripted())
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
    world = MakingWorld(scripted())
    for _ in range(25):
        world.attach(world.lab.make_volume())
    world.tick()
    assert len(world.made()) == 25
    assert max(freezes(world)) < 12


def test_a_tick_without_time_leaves_instances_to_the_next_one() -> None:
    slow = Script("freeze", "120s")
    world = MakingWorld(scripted(before=slow))
    world.lab.runner.composition.scripts.seconds = 90.0
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


STATUSES = {
    "Success": ScriptEnd(succeeded=True, cause="Success"),
    "Failed": ScriptEnd(succeeded=False, cause="Failed"),
    "TimedOut": ScriptEnd(succeeded=False, cause="TimedOut"),
    "Cancelled": ScriptEnd(succeeded=False, cause="Cancelled"),
    "Pending": True,
    "InProgress": True,
    "Delayed": True,
    "Cancelling": True,
}


@pytest.mark.parametrize(("status", "end"), STATUSES.items())
def test_a_command_is_found_by_its_comment(status: str, end: ScriptEnd | bool) -> None:
    requests: list[dict[str, Any]] = []
    listed = [{"Comment": "of others", "Status": "Success"}, {"Comment": "ours", "Status": status}]

    def list_command_invocations(**request: Any) -> dict[str, Any]:
        requests.append(request)
        page = 1 if "NextToken" in request else 0
        return {"CommandInvocations": listed[page : page + 1], **({} if page else {"NextToken": "more"})}

    client: Callable[[], Any] = lambda: SimpleNamespace(list_command_invocations=list_command_invocations)  # noqa: E731
    since = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert SsmScripts(client_of=client).find("i-1", "ours", since) == end
    assert requests[0] == {"InstanceId": "i-1", "Filters": [{"key": "InvokedAfter", "value": "2026-11-30T11:59:00Z"}]}
    assert SsmScripts(client_of=client).find("i-1", "never sent", since) is False


def test_a_command_is_sent_with_its_document_and_comment() -> None:
    requests: list[dict[str, Any]] = []
    client: Any = SimpleNamespace(send_command=lambda **request: requests.append(request))
    SsmScripts(client_of=lambda: client).send("i-1", FREEZE, "ours")
    assert requests == [{"InstanceIds": ["i-1"], "DocumentName": "freeze", "Comment": "ours", "TimeoutSeconds": 30}]
