"""Which recovery points are chosen: the newest up to a moment, and whole sets before single points."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.cli.views.recoverable import lines
from snapkeep.domain.model import KeyFault, Origin, Snapshot, SnapshotState, Unusable
from snapkeep.domain.recovery.choice import Target, choose_points, is_point, lineages_of, volumes_of_instance
from snapkeep.domain.tag_names import CHECK, DEVICE, INSTANCE, POLICY, SET, WRONG
from snapkeep.usecases.recovery.find_points import RegionPoints

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
VOLUMES = ("vol-0a", "vol-0b", "vol-0c")


def copy(volume: str, minutes_ago: int, set_id: str = "", **more: object) -> Snapshot:
    start = NOW - timedelta(minutes=minutes_ago)
    name = f"{volume[-2:]}{minutes_ago:05}"
    tags = {DEVICE: f"/dev/sd{volume[-1]}", INSTANCE: "i-0db", "Name": "db", POLICY: "gold"} | ({SET: set_id} if set_id else {})
    origin = Origin("us-east-1", volume, f"snap-{name}", start)
    made = Snapshot(f"snap-c{name}", "us-east-2", SnapshotState.COMPLETED, start, origin, 8, tags, is_copy=True)
    return replace(made, **more)  # type: ignore[arg-type]


def whole_set(minutes_ago: int) -> list[Snapshot]:
    return [copy(volume, minutes_ago, f"snap-set{minutes_ago}") for volume in VOLUMES]


def test_the_newest_point_up_to_the_moment_is_chosen() -> None:
    lineages = lineages_of("us-east-2", [copy("vol-0a", 10), copy("vol-0a", 70), copy("vol-0a", 130)])
    chosen = choose_points(lineages, ["vol-0a"], NOW - timedelta(minutes=60))
    assert [point.origin.start_time for point in chosen.points] == [NOW - timedelta(minutes=70)]


def test_a_whole_set_wins_over_closer_single_points() -> None:
    lineages = lineages_of("us-east-2", [*whole_set(120), copy("vol-0a", 5), copy("vol-0b", 6), copy("vol-0c", 7)])
    chosen = choose_points(lineages, VOLUMES, NOW)
    assert chosen.set_id == "snap-set120"
    assert {point.tags[SET] for point in chosen.points} == {"snap-set120"}
    assert chosen.spread == timedelta(0)


def test_a_set_that_lost_a_member_is_not_mixed_with_another() -> None:
    lineages = lineages_of("us-east-2", [*whole_set(300), *whole_set(60)[:2]])
    chosen = choose_points(lineages, VOLUMES, NOW)
    assert {point.tags[SET] for point in chosen.points} == {"snap-set300"}


def test_a_single_volume_is_not_shown_under_an_instance() -> None:
    """Its line was indented as those of the instance above it."""
    lineages = lineages_of("us-east-2", [*whole_set(60), copy("vol-0d", 60)])
    choices = {
        "i-0db": choose_points(lineages, VOLUMES, NOW),
        "vol-0d": choose_points(
            lineages,
            [
                "vol-0d",
            ],
            NOW,
        ),
    }
    choices["vol-0e"] = choose_points(lineages, ["vol-0e"], NOW)
    shown = list(lines([RegionPoints("us-east-2", choices)], NOW))
    assert [line.startswith("  ") for line in shown] == [False, False, False, False, True, True, True, False]
    assert shown[1:3] == ["us-east-2, times in UTC:", "vol-0e  not recoverable: no snapshot of it in us-east-2"]


def test_without_a_set_the_spread_of_the_newest_points_is_shown() -> None:
    lineages = lineages_of("us-east-2", [copy("vol-0a", 3), copy("vol-0b", 40), copy("vol-0c", 20)])
    chosen = choose_points(lineages, VOLUMES, NOW)
    assert (chosen.set_id, chosen.spread) == ("", timedelta(minutes=37))


@pytest.mark.parametrize(
    "fault", [{"state": SnapshotState.PENDING}, {"tags": {CHECK: WRONG}}, {"archived": True}, {"state": SnapshotState.ERROR}]
)
def test_an_unrestorable_snapshot_is_no_point_with_a_reason(fault: dict[str, object]) -> None:
    broken = copy("vol-0a", 5, **fault)
    chosen = choose_points(lineages_of("us-east-2", [broken]), ["vol-0a"], NOW)
    assert chosen.points == ()
    assert broken.id in chosen.missing["vol-0a"]
    older = copy("vol-0a", 50)
    assert choose_points(lineages_of("us-east-2", [broken, older]), ["vol-0a"], NOW).points == (older,)


def test_an_instance_has_the_volumes_of_its_newest_set() -> None:
    detached = copy("vol-0d", 5000)
    moved = copy("vol-0e", 10)
    moved = replace(moved, tags=moved.tags | {INSTANCE: "i-0other"})
    lineages = lineages_of("us-east-2", [*whole_set(60), detached, moved])
    assert volumes_of_instance(lineages, "i-0db", NOW) == list(VOLUMES)


def test_targets_are_ids_names_policies_and_tags() -> None:
    lineages = lineages_of("us-east-2", [*whole_set(60), copy("vol-0z", 3, tags={POLICY: "silver", "team": "x"})])

    def groups(target: Target) -> dict[str, list[str]]:
        return target.groups(lineages, NOW)

    assert groups(Target(("vol-0b",))) == {"vol-0b": ["vol-0b"]}
    assert groups(Target(("i-0db",))) == {"i-0db": list(VOLUMES)}
    assert groups(Target(("db",))) == {"i-0db": list(VOLUMES)}
    assert groups(Target(policy="silver")) == {"vol-0z": ["vol-0z"]}
    assert groups(Target(tags={"team": "x"})) == {"vol-0z": ["vol-0z"]}
    assert groups(Target(("unknown",))) == {"unknown": []}
    assert set(groups(Target())) == {"i-0db", "vol-0z"}


def test_newer_single_points_than_the_set_are_shown_and_can_be_chosen() -> None:
    """A set of twenty days ago won in silence over points of today."""
    newest = [copy("vol-0a", 5), copy("vol-0b", 6), copy("vol-0c", 45)]
    lineages = lineages_of("us-east-2", [*whole_set(28_800), *newest])
    chosen = choose_points(lineages, VOLUMES, NOW)
    assert chosen.set_id == "snap-set28800"
    (note,) = chosen.notes
    assert "19 days newer" in note
    assert "40 minutes apart" in note
    single = choose_points(lineages, VOLUMES, NOW, sets_first=False)
    assert ([point.id for point in single.points], single.set_id) == ([point.id for point in newest], "")
    assert choose_points(lineages_of("us-east-2", whole_set(60)), VOLUMES, NOW).notes == ()


def test_the_newest_set_is_one_even_where_single_points_are_requested() -> None:
    chosen = choose_points(lineages_of("us-east-2", [*whole_set(60), copy("vol-0a", 90)]), VOLUMES, NOW, sets_first=False)
    assert (chosen.set_id, chosen.spread) == ("snap-set60", timedelta(0))


def test_a_point_under_an_unknown_key_is_chosen_with_a_note() -> None:
    """Without kms:DescribeKey, nothing could be recovered at all."""
    fault = KeyFault("arn:key", Unusable.KEY_NOT_KNOWN, cause="AccessDeniedException")
    chosen = choose_points(lineages_of("us-east-2", [copy("vol-0a", 5, key_fault=fault)]), ["vol-0a"], NOW)
    assert (len(chosen.points), chosen.missing) == (1, {})
    assert [note for note in chosen.notes if "not known" in note and "AccessDenied" in note]


def test_a_volume_that_may_be_detached_has_its_last_moment() -> None:
    lineages = lineages_of("us-east-2", [copy("vol-0a", 5), copy("vol-0b", 6), copy("vol-0c", 43_200)])
    chosen = choose_points(lineages, VOLUMES, NOW)
    assert [note for note in chosen.notes if "vol-0c" in note and "last seen on i-0db" in note and "2026-10-31" in note]


def test_a_volume_that_is_newer_than_the_moment_blocks_no_others() -> None:
    lineages = lineages_of("us-east-2", [*whole_set(60), copy("vol-0new", 5), copy("vol-0old", 90, tags={POLICY: "gold"})])
    at = NOW - timedelta(minutes=30)
    target = Target(policy="gold")
    assert target.groups(lineages, at) == {"i-0db": list(VOLUMES), "vol-0old": ["vol-0old"]}
    assert target.later_than(lineages, at) == ["vol-0new"]
    assert target.later_than(lineages, NOW) == []


def test_a_detached_volume_of_a_policy_is_its_own_group() -> None:
    """It left its former instance: no set of the instance would be whole with it."""
    lineages = lineages_of("us-east-2", [*whole_set(60), copy("vol-0d", 5000)])
    assert Target(policy="gold").groups(lineages, NOW) == {"i-0db": list(VOLUMES), "vol-0d": ["vol-0d"]}


SNAPSHOTS = st.lists(
    st.builds(
        copy,
        st.sampled_from(VOLUMES),
        st.integers(0, 500),
        st.sampled_from(["", "snap-s1", "snap-s2"]),
        state=st.sampled_from([SnapshotState.COMPLETED, SnapshotState.COMPLETED, SnapshotState.PENDING]),
    ),
    max_size=12,
)


@given(SNAPSHOTS, st.integers(0, 500), st.booleans())
def test_no_choice_mixes_sets_or_has_later_or_unusable_points(
    snapshots: list[Snapshot], minutes_ago: int, sets_first: bool
) -> None:
    at = NOW - timedelta(minutes=minutes_ago)
    chosen = choose_points(lineages_of("us-east-2", snapshots), VOLUMES, at, sets_first=sets_first)
    assert all(is_point(point) and point.origin.start_time <= at for point in chosen.points)
    assert len({point.origin.volume_id for point in chosen.points}) == len(chosen.points)
    assert {point.origin.volume_id for point in chosen.points} | set(chosen.missing) == set(VOLUMES)
    if chosen.set_id:
        assert [point.tags.get(SET) for point in chosen.points] == [chosen.set_id] * 3
    for volume_id in chosen.missing:
        assert not [
            one for one in snapshots if one.origin.volume_id == volume_id and is_point(one) and one.origin.start_time <= at
        ]
