"""What makes a volume's snapshots, as `status` shows it, and when the next one is due, as `plan` does."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from snapkeep.cli.views.plan import LineLayout, plan_as_data, write_plan
from snapkeep.cli.views.status_forms import status_as_data
from snapkeep.cli.views.status_lines import StatusLayout
from snapkeep.domain.policy.model import SnapshotRule
from snapkeep.domain.retention.region_plan import RegionPlan
from snapkeep.domain.tags import format_time
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.store.tags import flat
from snapkeep.usecases.retention.plan_regions import make_plans
from support.printed_status import printed
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold

TICK = 300.0
RULES = (SnapshotRule(when="rpo"), SnapshotRule(every=timedelta(hours=4)), SnapshotRule(cron="0 */3 * * ? *"))


def making(rule: SnapshotRule) -> SweepingWorld:
    policies = gold()
    (policy,) = policies.policies
    return SweepingWorld(policies=replace(policies, policies=(replace(policy, rpo=timedelta(hours=8), snapshots=rule),)))


def plan_of(world: SweepingWorld) -> RegionPlan:
    parts, now = world.runner.composition, world.runner.composition.clock.now()
    guards = [parts.reader(PRIMARY), parts.reader(DR)]
    return make_plans(guards, world.facts(), dict.fromkeys((PRIMARY, DR), world.policies), now, system="snapkeep")[0]


def announced(world: SweepingWorld) -> tuple[datetime, str]:
    """Return the moment that a plan names for the next snapshot of its volume, and its line."""
    plan, out = plan_of(world), io.StringIO()
    write_plan(out, plan, LineLayout())
    (line,) = [line.strip() for line in out.getvalue().splitlines() if "next snapshot" in line]
    (moment,) = plan.next_snapshots.values()
    (volume,) = plan_as_data(plan)["volumes"]
    assert volume["next_snapshot"] == format_time(moment)
    return moment, line


def tick_until(world: SweepingWorld, moment: datetime) -> None:
    world.runner.make_snapshots(PRIMARY)
    while utc(world.world.now()) < moment:
        world.later(TICK)
        world.runner.make_snapshots(PRIMARY)


@pytest.mark.parametrize("rule", RULES, ids=["rpo", "every", "cron"])
def test_the_next_snapshot_is_made_at_the_planned_time(rule: SnapshotRule) -> None:
    world = making(rule)
    world.volume()
    first, line = announced(world)
    assert line == f"next snapshot: due at {first:%Y-%m-%d %H:%M} UTC"
    tick_until(world, first)
    for number in range(1, 4):
        assert len(world.world.region_account(PRIMARY).snapshots) == number
        moment, line = announced(world)
        assert line == f"next snapshot: due at {moment:%Y-%m-%d %H:%M} UTC"
        tick_until(world, moment - timedelta(seconds=2 * TICK))
        assert len(world.world.region_account(PRIMARY).snapshots) == number
        moment, _ = announced(world)  # the copies that ended meanwhile show how long one takes
        tick_until(world, moment)


def test_an_overdue_snapshot_shows_since_when_it_is_due() -> None:
    world = making(SnapshotRule(every=timedelta(hours=4)))
    world.snapshot(world.volume())
    world.later(9 * HOUR)
    moment, line = announced(world)
    assert moment < utc(world.world.now())
    assert line == f"next snapshot: due since {moment:%Y-%m-%d %H:%M} UTC"


def test_no_next_snapshot_is_announced_where_others_make_them() -> None:
    world = SweepingWorld(policies=gold())
    world.volume()
    plan, out = plan_of(world), io.StringIO()
    write_plan(out, plan, LineLayout())
    assert "next snapshot" not in out.getvalue()


@pytest.mark.parametrize(
    ("tags", "maker", "words"),
    [
        ({"aws:dlm:lifecycle-policy-id": "policy-1"}, "dlm", "Data Lifecycle Manager"),
        ({"aws:backup:source-resource": "vol-1"}, "aws_backup", "AWS Backup"),
        ({"CSIVolumeSnapshotName": "s"}, "other_tool", "another tool"),
        ({"velero.io/backup": "b"}, "other_tool", "another tool"),
        ({}, "not_known", "not known (a person, or a tool that leaves no tag)"),
    ],
)
def test_status_shows_the_maker_of_the_snapshots(tags: dict[str, str], maker: str, words: str) -> None:
    world = SweepingWorld()
    place = world.world.region_account(PRIMARY)
    place.set_tags(place.snapshots[world.snapshot(world.volume())], flat(tags))  # no request can write tags of AWS
    world.later(HOUR)
    status = world.status()
    assert f"snapshots made by: {words}" in [line.strip() for line in printed(status, StatusLayout(width=100, details=True))]
    (volume,) = status_as_data(status)["volumes"]
    assert volume["newest_snapshot"]["maker"] == maker


def test_status_shows_that_the_system_makes_snapshots() -> None:
    world = making(SnapshotRule(when="rpo"))
    world.volume()
    world.runner.make_snapshots(PRIMARY)
    world.later(HOUR)
    assert "snapshots made by: Snapkeep" in [
        line.strip() for line in printed(world.status(), StatusLayout(width=100, details=True))
    ]
