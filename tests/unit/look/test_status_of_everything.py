"""Status: each volume against its policy, each copy in the queue, and the forms in which they are printed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.cli.views.status_forms import status_as_data, status_as_prometheus
from snapkeep.cli.views.status_lines import StatusLayout
from snapkeep.domain.protection import VolumeHealth
from snapkeep.lab.ebs_model import Faults, Speeds, World
from snapkeep.usecases.look.status import SystemStatus
from support.printed_status import printed
from support.sweeping_world import DAY, DR, HOUR, SweepingWorld


def status_of(world: SweepingWorld) -> SystemStatus:
    return world.status()


def volume_protections(world: SweepingWorld) -> dict[str, VolumeHealth]:
    return {protection.volume.id: protection.health for protection in status_of(world).volumes}


def test_each_volume_has_its_health() -> None:
    world = SweepingWorld()
    protected, never, left_alone, stale = world.volume(), world.volume(), world.volume(Scratch="1"), world.volume()
    world.snapshot(stale)
    world.later(3 * DAY)
    world.snapshot(protected)
    world.later(HOUR)
    assert volume_protections(world) == {
        protected: VolumeHealth.PROTECTED,
        never: VolumeHealth.NO_SNAPSHOT,
        left_alone: VolumeHealth.NO_POLICY,
        stale: VolumeHealth.LATE,
    }
    status = status_of(world)
    assert not status.healthy
    assert {protection.volume.id for protection in status.volumes[:2]} == {never, stale}
    (late,) = [protection for protection in status.volumes if protection.volume.id == stale]
    assert late.why == "no snapshot for 3 d 1 h"


def test_a_system_that_governs_no_volume_is_not_healthy() -> None:
    """A typing error in a selector ended all protection, and `status` said that the system is healthy."""
    world = SweepingWorld()
    assert status_of(world).healthy, "there is nothing to govern"
    left_alone = world.volume(Scratch="1")
    status = status_of(world)
    assert status.problems == ("no policy governs a volume: nothing is protected (1 volume)",)
    assert not status.healthy
    world.snapshot(world.volume())
    world.later(HOUR)
    assert volume_protections(world)[left_alone] is VolumeHealth.NO_POLICY
    assert status_of(world).healthy


def test_a_first_copy_in_progress_needs_no_attention() -> None:
    world = SweepingWorld(World(seed=1, speeds=Speeds(copy_base_seconds=4 * HOUR)))
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    status = status_of(world)
    assert volume_protections(world) == {volume: VolumeHealth.FIRST_COPY_PENDING}
    assert status.healthy
    (row,) = status.queue
    assert 10 < row.progress_percent < 60
    assert row.expected_at is not None
    assert abs((row.expected_at - status.at).total_seconds() - 3 * HOUR) < 600


def test_waiting_copies_are_expected_after_running_ones() -> None:
    world = SweepingWorld(World(seed=1, speeds=Speeds(copy_base_seconds=4 * HOUR)), copy_quota=2)
    for _ in range(5):
        world.snapshot(world.volume())
    world.later(2 * HOUR)
    rows = status_of(world).queue
    assert [row.state for row in rows].count("RUNNING") == 2
    waiting = [row for row in rows if row.state == "WAITING"]
    assert len(waiting) == 3
    assert all(row.expected_at is not None for row in waiting)


def test_a_copy_behind_its_snapshot_is_late() -> None:
    world = SweepingWorld()
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    world.world.set_faults(Faults(copy_fails=1.0))
    world.later(2 * DAY)
    world.snapshot(volume)
    world.later(HOUR)
    (protection,) = status_of(world).volumes
    assert (protection.health, protection.why) == (VolumeHealth.LATE, "its copy in us-east-2 is behind its newest snapshot")


def test_a_failed_copy_needs_attention_and_has_a_cause() -> None:
    world = SweepingWorld()
    world.world.set_faults(Faults(copy_fails=1.0))
    world.snapshot(world.volume())
    world.later(3 * HOUR)
    status = status_of(world)
    (row,) = status.queue
    assert row.needs_attention
    assert row.cause == "Internal error"
    assert status.totals["copies_failed"] == 1
    assert not status.healthy


def test_an_unreachable_dr_region_is_a_problem() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    world.world.take_region_away(DR)
    status = status_of(world)
    assert len(status.problems) == 1
    assert status.problems[0].startswith("us-east-2 could not be read")
    assert not status.healthy
    assert status.totals["snapshots_managed"] == 1


@pytest.fixture(scope="module")
def crowded() -> SystemStatus:
    world = SweepingWorld(World(seed=1, speeds=Speeds(copy_base_seconds=4 * HOUR)), copy_quota=2)
    for _ in range(60):
        world.snapshot(world.volume())
    world.volume()
    world.later(2 * HOUR)
    return status_of(world)


@pytest.mark.parametrize("width", [80, 120])
def test_lists_fit_one_screen_worst_first(crowded: SystemStatus, width: int) -> None:
    lines = printed(crowded, StatusLayout(width=width, height=24))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    title = next(line for line in lines if line.startswith("✗") and "no snapshot" in line)
    worst = lines[lines.index(title) + 1]
    assert crowded.volumes[0].volume.id in worst
    assert any(line.startswith("  and ") and line.endswith("more: --all") for line in lines)


def test_all_shows_every_volume_and_queued_copy(crowded: SystemStatus) -> None:
    text = "\n".join(printed(crowded, StatusLayout(width=80)))
    assert all(protection.volume.id in text for protection in crowded.volumes)
    assert all(row.snapshot_id in text for row in crowded.queue)


@pytest.mark.parametrize(
    ("age", "printed"),
    [
        (timedelta(seconds=1_234_567), "1234567"),
        (timedelta(seconds=1_234_567, microseconds=250_000), "1234567.25"),
        (timedelta(days=36_500), "3153600000"),
        (timedelta(0), "0"),
    ],
)
def test_prometheus_gets_every_digit(crowded: SystemStatus, age: timedelta, printed: str) -> None:
    governed = replace(next(protection for protection in crowded.volumes if protection.policy), age=age)
    text = status_as_prometheus(replace(crowded, volumes=(governed,)))
    (line,) = [line for line in text.splitlines() if line.startswith("snapkeep_rpo_age_seconds{")]
    assert line.rpartition(" ")[2] == printed


def test_json_and_prometheus_agree(crowded: SystemStatus) -> None:
    data = json.loads(json.dumps(status_as_data(crowded)))
    assert data["healthy"] is False
    assert data["totals"]["volumes"] == len(data["volumes"]) == 61
    text = status_as_prometheus(crowded)
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert samples['snapkeep_healthy{system="snapkeep",region="us-east-1"}'] == "0"
    waiting = samples['snapkeep_copies{system="snapkeep",region="us-east-1",to="us-east-2",state="waiting"}']
    assert int(waiting) == sum(row["state"] == "waiting" for row in data["queue"])
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
