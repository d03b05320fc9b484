"""`plan --adopt` shows what `sweep --adopt` would take over, no more and no less: also where the volume is deleted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, RegionPlan, plan_region
from snapkeep.domain.sweep.dr import DrFacts, decide_dr
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.primary import PrimaryFacts, decide_primary
from snapkeep.domain.tag_names import ORIGINAL_NAME, ORIGINAL_REGION, ORIGINAL_VOLUME
from support.lineages import REGION, SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DR = "us-east-2"
ONE_COPY = (CopyRule(DR, copy_within=timedelta(hours=4), retention=Retention(keep_last=1)),)
GOLD = Policy("gold", Selector(tags={"Backup": ("gold",)}), Retention(keep_last=2), ONE_COPY)
PLAIN = Policy("plain", Selector(), Retention(keep_last=1))
STRICT = PolicySet((GOLD,))
ALL = PolicySet((PLAIN, GOLD))
VOLUME = Volume("vol-0a", REGION, 8, "gp3", tags={"Backup": "gold"})
HISTORY = [snapshot(f"2026-11-{day}T03:00", day, managed=False) for day in (18, 19, 20)]
REMEMBERING = [replace(snapshot, tags={"Backup": "gold"}) for snapshot in HISTORY]
OURS = snapshot("2026-11-22T03:00", 22)
ORIGINAL = {ORIGINAL_NAME: "vol-0a_x", ORIGINAL_VOLUME: "vol-0a"}


def adopted(plan: RegionPlan) -> set[str]:
    return {snapshot_id for volume in plan.volumes for snapshot_id in volume.adopted}


def by_plan(snapshots: list[Snapshot], volumes: list[Volume], policies: PolicySet) -> set[str]:
    return adopted(plan_region(RegionFacts(REGION, volumes, snapshots), policies, NOW, system=SYSTEM, adopt=True))


def by_sweep(snapshots: list[Snapshot], volumes: list[Volume], policies: PolicySet) -> set[str]:
    plan = plan_region(RegionFacts(REGION, volumes, snapshots), policies, NOW, system=SYSTEM)
    facts = PrimaryFacts(
        system=SYSTEM, plan=plan, volumes={one.id: one for one in volumes}, snapshots=snapshots, since=NOW, adopt=True
    )
    found = decide_primary(facts, policies, NOW).findings
    return {finding.subject for finding in found if finding.kind is FindingKind.ADOPTABLE and finding.repair is not None}


@pytest.mark.parametrize("policies", [STRICT, ALL], ids=["by tag", "every volume"])
@pytest.mark.parametrize("volumes", [[VOLUME], []], ids=["volume exists", "volume deleted"])
@pytest.mark.parametrize("snapshots", [HISTORY, REMEMBERING, [*HISTORY, OURS], [*REMEMBERING, OURS]])
def test_the_plan_shows_the_snapshots_that_a_sweep_would_adopt(
    snapshots: list[Snapshot], volumes: list[Volume], policies: PolicySet
) -> None:
    assert by_plan(snapshots, volumes, policies) == by_sweep(snapshots, volumes, policies)


def test_deletions_after_adoption_are_shown_for_a_deleted_volume() -> None:
    plan = plan_region(RegionFacts(REGION, [], HISTORY), ALL, NOW, system=SYSTEM, adopt=True)
    assert [verdict.snapshot.id for verdict in plan.deletions] == [snapshot.id for snapshot in HISTORY[:2]]


def test_a_copy_within_its_own_region_is_no_source_snapshot() -> None:
    twin = replace(copy_of(HISTORY[0], REGION, 1, managed=False), tags=ORIGINAL)
    assert by_plan([twin], [VOLUME], ALL) == by_sweep([twin], [VOLUME], ALL) == set()


@pytest.mark.parametrize("policies", [STRICT, ALL, PolicySet((PLAIN,))])
def test_the_plan_shows_copies_that_a_sweep_would_adopt(policies: PolicySet) -> None:
    """The first policy need not be the one that copies here."""
    copies = [
        replace(copy_of(source, DR, number, managed=False), tags=ORIGINAL | {ORIGINAL_REGION: REGION})
        for number, source in enumerate(HISTORY, start=1)
    ]
    facts = RegionFacts(DR, [], copies)
    plan = plan_region(facts, policies, NOW, system=SYSTEM, adopt=True)
    found = decide_dr(
        DrFacts(system=SYSTEM, plan=plan_region(facts, policies, NOW, system=SYSTEM), snapshots=copies, adopt=True), policies
    ).findings
    assert adopted(plan) == {finding.subject for finding in found if finding.kind is FindingKind.ADOPTABLE}
    assert len(plan.deletions) == (2 if GOLD in policies.policies else 0)
