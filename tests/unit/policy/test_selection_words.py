"""Why a policy governs a volume, or does not, in words."""

from dataclasses import replace

import pytest

from snapkeep.domain.model import Snapshot, Volume, VolumeRole
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.model import Policy, PolicySet, Retention, Selector
from snapkeep.domain.policy.selection import SelectorMatch, matches, select, select_by_snapshots, select_for_snapshot
from snapkeep.domain.tag_names import MANAGED, POLICY
from support.lineages import SYSTEM, copy_of, snapshot

VOLUME = Volume(
    "vol-0a",
    "us-east-1",
    100,
    "gp3",
    role=VolumeRole.ROOT,
    instance_ids=("i-01",),
    instance_tags=({"App": "shop", "Tier": ""},),
    zone="us-east-1a",
    tags={"Backup": "gold-1", "Env": "prod"},
)


def policies(*named: tuple[str, Selector]) -> PolicySet:
    return PolicySet(tuple(Policy(name, selector, Retention(keep_last=7)) for name, selector in named))


@pytest.mark.parametrize(
    ("selector", "matched", "why"),
    [
        (Selector(), True, "it takes every volume"),
        (Selector(tags={"Env": ("prod",)}), True, "tag Env=prod"),
        (Selector(tags={"Backup": ("silver", "gold*")}), True, "tag Backup=gold-1 matches gold*"),
        (Selector(tags={"Backup": ("silver", "gold")}), False, "tag Backup=gold-1 is not silver or gold"),
        (Selector(tags={"Owner": ("*",)}), False, "no tag Owner"),
        (Selector(tags={"Env": ("PROD",)}), False, "tag Env=prod is not PROD"),
        (Selector(exclude_tags={"Env": ("p*",)}), False, "excluded: tag Env=prod matches p*"),
        (Selector(exclude_tags={"Owner": ("*",)}), True, "it takes every volume"),
        (Selector(exclude_volume_ids=("vol-0a",)), False, "excluded: volume vol-0a"),
        (Selector(volume_ids=("vol-0b",)), False, "volume is vol-0a"),
        (Selector(instance_ids=("i-02", "i-01")), True, "attached to i-01"),
        (Selector(instance_ids=("i-02", "i-03")), False, "not attached to i-02 or i-03"),
        (Selector(instance_tags={"App": ("sh*",)}), True, "attached to i-01 with tag App=shop matches sh*"),
        (Selector(instance_tags={"App": ("shop",), "Tier": ("",)}), True, "attached to i-01 with tag App=shop, tag Tier="),
        (Selector(instance_tags={"App": ("shop",), "Env": ("*",)}), False, "its instance i-01: no tag Env"),
        (Selector(availability_zones=("us-east-1b", "us-east-1a")), True, "zone is us-east-1a"),
        (Selector(availability_zones=("us-east-1b",)), False, "zone is us-east-1a"),
        (Selector(snapshot_tags={"Schedule": ("daily",)}), True, "it takes every volume"),
        (Selector(volume_types=("gp3",), roles=("root",)), True, "type is gp3, volume is root"),
        (Selector(roles=("data",)), False, "volume is root"),
        (Selector(min_size_gib=100, max_size_gib=100), True, "100 GiB (at least 100 required), 100 GiB (at most 100 allowed)"),
        (Selector(min_size_gib=101), False, "100 GiB (at least 101 required)"),
    ],
)
def test_each_part_of_a_selector_explains_its_decision(selector: Selector, matched: bool, why: str) -> None:
    assert matches(VOLUME, selector) == SelectorMatch(matched, why)


def test_one_of_a_shared_volumes_instances_has_all_tags() -> None:
    shared = replace(VOLUME, instance_ids=("i-01", "i-02"), instance_tags=({"App": "shop"}, {"Env": "prod"}))
    assert not matches(shared, Selector(instance_tags={"App": ("shop",), "Env": ("prod",)})).matched
    assert matches(shared, Selector(instance_tags={"Env": ("prod",)})).matched
    detached = replace(VOLUME, instance_ids=(), instance_tags=())
    assert matches(detached, Selector(instance_tags={"App": ("*",)})) == SelectorMatch(False, "attached to no instance")


def test_brackets_in_a_pattern_are_brackets() -> None:
    bracketed = Volume("vol-0a", "us-east-1", 8, "gp3", tags={"Name": "db[1]"})
    assert matches(bracketed, Selector(tags={"Name": ("db[1]",)})).matched
    assert not matches(bracketed, Selector(tags={"Name": ("db[0-9]",)})).matched


def test_the_first_match_wins_and_the_ones_before_it_say_why_not() -> None:
    selection = select(
        VOLUME, policies(("silver", Selector(tags={"Backup": ("silver",)})), ("rest", Selector()), ("late", Selector()))
    )
    assert selection.policy
    assert selection.policy.name == "rest"
    assert selection.passed_over == (("silver", "tag Backup=gold-1 is not silver"),)


def test_a_volume_that_no_policy_matches_has_none() -> None:
    selection = select(VOLUME, policies(("silver", Selector(tags={"Backup": ("silver",)}))))
    assert selection.policy is None
    assert selection.why == "no policy matches"


def test_an_unknown_policy_tag_is_reported_with_valid_names() -> None:
    tagged = Volume("vol-0a", "us-east-1", 8, "gp3", tags={POLICY: "glod"})
    selection = select(tagged, policies(("gold", Selector(tags={"A": ("b",)})), ("rest", Selector())))
    assert selection.policy
    assert selection.policy.name == "rest"
    assert "'glod', which is not a policy of stack parameters (it has: gold, rest)" in selection.problem


def test_a_deleted_volumes_newest_managed_snapshot_names_its_policy() -> None:
    known = policies(("gold", Selector()), ("silver", Selector()))
    snapshots = [
        snapshot("2026-11-01T03:00", 1, policy="gold"),
        snapshot("2026-11-03T03:00", 3, managed=False),
        snapshot("2026-11-02T03:00", 2, policy="silver"),
    ]
    selection = select_by_snapshots(snapshots, known, system="snapkeep")
    assert selection.policy
    assert selection.policy.name == "silver"


def test_a_removed_policy_governs_nothing_and_is_reported() -> None:
    copy = copy_of(snapshot("2026-11-01T03:00", 1, policy="bronze"), "us-east-2", 1)
    selection = select_by_snapshots([copy], policies(("gold", Selector())), system="snapkeep")
    assert selection.policy is None
    assert "bronze" in selection.problem
    assert select_by_snapshots([snapshot("2026-11-01T03:00", managed=False)], policies(), system="snapkeep").problem == ""


def test_another_systems_snapshots_say_nothing_of_our_policy() -> None:
    ours = snapshot("2026-11-01T03:00", 1, policy="gold")
    theirs = replace(snapshot("2026-11-02T03:00", 2, policy="silver"), tags={MANAGED: "other", POLICY: "silver"})
    known = policies(("gold", Selector()), ("silver", Selector()))
    selection = select_by_snapshots([ours, theirs], known, system="snapkeep")
    assert selection.policy
    assert selection.policy.name == "gold"


def test_earlier_snapshots_policy_governs_only_without_a_volume_and_an_own_tag() -> None:
    gold = policies(("gold", Selector(tags={"Backup": ("gold*",)})))
    last, earlier = snapshot("2026-11-23T03:00", 2, managed=False), snapshot("2026-11-22T03:00", 1)

    def governing(volume: Volume | None, *lineage: Snapshot) -> str:
        chosen = select_for_snapshot(last, volume, gold, system=SYSTEM, lineage=lambda: lineage)
        return chosen.policy.name if chosen.policy else chosen.why

    assert governing(None, earlier) == "gold"
    assert governing(replace(VOLUME, tags={}), earlier) == "no policy matches"
    assert governing(None, replace(earlier, tags={})) == "no policy matches"


def test_an_unknown_policy_of_a_deleted_volume_is_not_replaced() -> None:
    everything = policies(("everything", Selector()))
    last, earlier = snapshot("2026-11-23T03:00", 2, managed=False), snapshot("2026-11-22T03:00", 1, policy="bronze")
    chosen = select_for_snapshot(last, None, everything, system=SYSTEM, lineage=lambda: [earlier])
    assert chosen.policy is None
    assert "bronze" in chosen.problem
    alone = select_for_snapshot(last, None, everything, system=SYSTEM, lineage=lambda: [replace(earlier, tags={})])
    assert alone.policy is everything.policies[0]


def test_the_copy_of_the_newest_origin_names_the_policy() -> None:
    both = policies(("gold", Selector()), ("silver", Selector()))
    old, new = snapshot("2026-11-21T03:00", 1, policy="gold"), snapshot("2026-11-22T03:00", 2, policy="silver")
    chosen = select_by_snapshots([copy_of(old, "us-east-2", 1), copy_of(new, "us-east-2", 2)], both, system=SYSTEM)
    assert chosen.policy is both.policies[1]


def test_no_policy_governs_volumes_of_drills() -> None:
    made = replace(VOLUME, tags={"snapkeep:drill": "drill-1", POLICY: "gold"})
    everything = policies(("gold", Selector()))
    assert select(made, everything).policy is None
    of_a_drill = replace(snapshot("2026-11-29"), tags={"snapkeep:drill": "drill-1"})
    assert select_for_snapshot(of_a_drill, VOLUME, everything, system=SYSTEM, lineage=list).policy is None


def test_an_empty_value_selects_tags_without_a_value() -> None:
    data = {"version": 1, "policies": [{"name": "p", "select": {"tags": {"Backup": ""}}, "retention": {}}]}
    selector = parse_document(data).policies[0].selector
    empty, gold = (replace(VOLUME, tags={"Backup": value}) for value in ("", "gold"))
    assert [matches(volume, selector).matched for volume in (empty, gold)] == [True, False]
    assert to_document(parse_document(data))["policies"][0]["select"] == {"tags": {"Backup": ""}}
