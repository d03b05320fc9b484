"""While a hold on making is on, no snapshot is made; other holds stop none."""

from __future__ import annotations

from datetime import timedelta

from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.policy.model import SnapshotRule
from snapkeep.domain.retention.placed_holds import PlacedHold
from support.flows import PRIMARY
from support.making import TICK, MakingWorld, making


def hold(world: MakingWorld, **scope: bool) -> PlacedHold:
    now = world.lab.runner.composition.clock.now()
    return PlacedHold("hold-1", "arn:aws:iam::123456789012:user/anna", now, "incident", **scope)


def world_with_a_volume() -> MakingWorld:
    world = MakingWorld(making(SnapshotRule(every=timedelta(hours=2))))
    world.lab.make_volume()
    return world


def test_none_is_made_until_the_hold_is_released() -> None:
    world = world_with_a_volume()
    store = world.lab.runner.composition.hold_stores[PRIMARY]
    store.place(hold(world, making=True))
    result = world.lab.runner.make_snapshots(PRIMARY)
    assert result is not None
    assert (result.due, result.made) == (1, ())
    assert "the making of snapshots: held since" in result.stopped
    world.run(3 * TICK)
    assert world.made() == []
    store.release("hold-1")
    world.tick()
    assert len(world.made()) == 1


def test_a_hold_on_everything_stops_no_making() -> None:
    world = world_with_a_volume()
    world.lab.runner.composition.hold_stores[PRIMARY].place(hold(world))
    world.tick()
    assert len(world.made()) == 1


def test_a_hold_on_making_holds_no_snapshot() -> None:
    world = world_with_a_volume()
    world.run(TICK)
    (snapshot,) = world.lab.runner.composition.reader(PRIMARY).all_snapshots()
    assert not hold(world, making=True).covers(snapshot)
    assert not hold(world, making=True).covers_everything
    assert hold(world).covers(snapshot)


def test_holds_that_cannot_be_read_stop_the_tick() -> None:
    world = world_with_a_volume()

    def unavailable() -> list[PlacedHold]:
        raise AwsUnavailable("no answer from SSM")

    world.lab.runner.composition.hold_stores[PRIMARY].all = unavailable
    assert world.lab.runner.make_snapshots(PRIMARY) is None
    assert world.made() == []
