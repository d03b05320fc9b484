"""The story of one snapshot, from what is there and what was logged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from snapkeep.usecases.explain import AuditLine, Explain, RunTold, Story, standing_of, told
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold


class Trail:
    def __init__(self, lines: Sequence[AuditLine] = ()) -> None:
        self.held = lines

    def lines(self, about: str, since: datetime) -> list[AuditLine]:
        return [line for line in self.held if about in str(line.data)]


class NoRuns:
    def about(self, words: frozenset[str], around: datetime) -> list[RunTold]:
        return []


def explain(world: SweepingWorld, snapshot_id: str, lines: Sequence[AuditLine] = ()) -> Story:
    wiring = world.runner.wiring
    explaining = Explain(
        system="snapkeep",
        primary=wiring.reader(PRIMARY),
        others={DR: wiring.reader(DR)},
        queue_of=wiring.queue_of,
        policies={PRIMARY: world.policies, DR: world.policies},
        trails=[Trail(lines)],
        runs=[NoRuns()],
    )
    return explaining.run(snapshot_id, wiring.clock.now())


def test_a_kept_snapshot_is_explained_with_its_reasons_its_copy_and_its_entry() -> None:
    world = SweepingWorld(policies=gold(keep=2))
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    story = explain(world, snapshot)
    assert standing_of(story) == "the next plan would keep it: newest; last 1 of 2"
    assert [one.id for one in story.copies] == [copy["SnapshotId"]]
    assert len(story.entries) == 1
    assert [one.text for one in story.happenings] == [
        "snapshot started in us-east-1",
        f"copy {copy['SnapshotId']} started in us-east-2",
    ]


def test_a_copy_is_explained_with_where_its_data_is_from() -> None:
    world = SweepingWorld()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    story = explain(world, copy["SnapshotId"])
    assert story.region == DR
    assert story.origin is not None
    assert (story.origin.snapshot_id, story.origin.region) == (snapshot, PRIMARY)
    assert story.verdict is not None


def test_a_deleted_snapshot_is_explained_by_its_audit_line() -> None:
    world = SweepingWorld(policies=gold(keep=1))
    volume = world.volume()
    first = world.snapshot(volume)
    world.later(HOUR)
    world.snapshot(volume)
    world.later(HOUR)
    data = {
        "audit": "deletion",
        "snapshot": first,
        "outcome": "deleted",
        "reasons": ["beyond last 1"],
        "plan": "plan-1",
        "cause": "",
    }
    line = AuditLine(world.runner.wiring.clock.now(), "DeleteOldSnapshots", data)
    story = explain(world, first, [line])
    assert story.snapshot is None
    assert standing_of(story) == "it is gone; what happened stands below"
    assert told(line) == f"DeleteOldSnapshots: {first} deleted: beyond last 1, plan plan-1"
    assert story.happenings[-1].text == told(line)


def test_what_nobody_knows_has_an_empty_story() -> None:
    story = explain(SweepingWorld(), "snap-0123456789abcdef0")
    assert (story.snapshot, story.entries, story.happenings) == (None, (), ())
    assert standing_of(story) == "it is not there: it was deleted, or never was"
