"""Status of a system that copies to two regions: both are reported, and an unreachable one as unreachable."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from snapkeep.cli.views.status_forms import status_as_data, status_as_prometheus
from snapkeep.cli.views.status_lines import StatusLayout
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.protection import VolumeHealth
from snapkeep.lab.ebs_model import Speeds, World
from snapkeep.usecases.look.status import Destination, SystemStatus, gather_status
from support.printed_status import printed
from support.sweeping_world import DAY, HOUR, PRIMARY, SweepingWorld

NEAR, FAR = "us-east-2", "us-west-2"
NAMES = ("database of the shop, first disk", "logs", "")


def two_regions(**given: object) -> SweepingWorld:
    rules = tuple(CopyRule(region, retention=Retention(keep_last=3)) for region in (NEAR, FAR))
    gold = Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=7), rules, rpo=timedelta(hours=24))
    world = World(seed=7, regions=(PRIMARY, NEAR, FAR), **given)  # type: ignore[arg-type]
    return SweepingWorld(world, PolicySet((gold,), Limits()), destinations=(NEAR, FAR))


@pytest.fixture(scope="module")
def world() -> SweepingWorld:
    made = two_regions()
    for name in NAMES:
        made.snapshot(made.volume(Backup="gold", Name=name) if name else made.volume())
    made.later(HOUR)
    return made


@pytest.fixture(scope="module")
def away() -> SystemStatus:
    made = two_regions()
    for _ in range(2):
        made.snapshot(made.volume())
    made.later(HOUR)
    made.world.take_region_away(FAR)
    return made.status()


def test_every_region_has_copies_figures_and_rpo_ages(world: SweepingWorld) -> None:
    status = world.status()
    assert status.healthy
    for volume in status.volumes:
        assert [(copy.region, copy.there) for copy in volume.copies] == [(NEAR, True), (FAR, True)]
    assert [
        (destination.region, destination.known, destination.copies, destination.quota) for destination in status.destinations
    ] == [
        (NEAR, True, 3, 20),
        (FAR, True, 3, 20),
    ]
    assert [(rule.policy, rule.region, rule.volumes, rule.late) for rule in status.rules] == [
        ("gold", NEAR, 3, 0),
        ("gold", FAR, 3, 0),
    ]
    assert timedelta(0) < status.rules[0].median <= status.rules[0].worst < timedelta(hours=2)


def test_each_queue_is_counted_by_itself() -> None:
    world = two_regions(speeds=Speeds(copy_base_seconds=4 * HOUR))
    world.snapshot(world.volume())
    world.later(HOUR)
    status = world.status()
    assert [(destination.region, destination.running, destination.waiting) for destination in status.destinations] == [
        (NEAR, 1, 0),
        (FAR, 1, 0),
    ]
    assert all(destination.expected_at is not None for destination in status.destinations)
    assert {row.region for row in status.queue} == {NEAR, FAR}


def test_nothing_is_concluded_about_an_unreachable_region(away: SystemStatus) -> None:
    near, far = away.destinations
    assert (near.known, near.copies) == (True, 2)
    assert (far.known, far.copies) == (False, 0)
    assert far.problem.startswith("us-west-2 could not be read")
    assert away.problems == (far.problem,)
    assert not away.healthy
    assert {protection.health for protection in away.volumes} == {VolumeHealth.UNKNOWN}
    assert {protection.why for protection in away.volumes} == {"us-west-2 could not be read"}
    assert [(rule.region, rule.known) for rule in away.rules] == [(NEAR, True), (FAR, False)]


def test_a_late_volume_is_late_whatever_an_unreachable_region_has() -> None:
    world = two_regions()
    world.snapshot(world.volume())
    world.later(3 * DAY)
    world.world.take_region_away(FAR)
    (one,) = world.status().volumes
    assert one.health is VolumeHealth.LATE


def test_a_missing_stack_is_a_problem(world: SweepingWorld) -> None:
    composition = world.runner.composition
    destinations = [
        Destination(reader=composition.reader(region), queue=composition.queue_of(region), deployed=region != FAR)
        for region in (NEAR, FAR)
    ]
    status = gather_status(composition.reader(PRIMARY), destinations, world.policies, composition.clock.now(), system="snapkeep")
    assert status.problems == ("there is no stack snapkeep-dr in us-west-2: nothing is copied there",)
    assert not status.healthy
    assert status.destinations[0].copies == 3


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("which", ["world", "away"])
def test_the_tables_of_several_regions_fit_their_columns(width: int, which: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(which)
    status = given if isinstance(given, SystemStatus) else given.status()
    lines = printed(status, StatusLayout(width=width))
    assert max(map(len, lines)) <= width
    assert {line.split()[0] for line in lines if line.strip()} >= {NEAR, FAR}
    for protection in status.volumes:
        assert any(protection.volume.id in line for line in lines), "an id was cut"


def test_json_and_prometheus_have_every_region(away: SystemStatus) -> None:
    data = json.loads(json.dumps(status_as_data(away)))
    assert [(region["region"], region["known"]) for region in data["dr_regions"]] == [(NEAR, True), (FAR, False)]
    assert [(rule["to"], rule["known"], rule["volumes"]) for rule in data["rules"]] == [(NEAR, True, 2), (FAR, False, 2)]
    assert [copy["known"] for copy in data["volumes"][0]["newest_copies"]] == [True, False]
    samples = dict(line.rsplit(" ", 1) for line in status_as_prometheus(away).splitlines() if not line.startswith("#"))
    base = 'system="snapkeep",region="us-east-1"'
    assert samples[f'snapkeep_dr_region_known{{{base},to="{NEAR}"}}'] == "1"
    assert samples[f'snapkeep_dr_region_known{{{base},to="{FAR}"}}'] == "0"
    assert samples[f'snapkeep_copies_managed{{{base},to="{NEAR}"}}'] == "2"
    assert not [name for name in samples if f'to="{FAR}"' in name and not name.startswith("snapkeep_dr_region_known")]
    ages = [name for name in samples if name.startswith("snapkeep_copy_age_seconds")]
    assert len(ages) == 2
