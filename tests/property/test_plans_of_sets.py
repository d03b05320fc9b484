"""Runs, sweeps and `snapkeep plan` plan a set of volumes alike: the same verdicts and the same refusals, volume by volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.model import Action, LockState, Snapshot, SnapshotLock, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, LeaveAlone, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.placed_holds import NOTHING_HELD
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.tag_names import CHECK, MANAGED, POLICY, WRONG
from snapkeep.usecases.retention.plan_regions import guarded_plan, make_region_plan
from support.lineages import REGION, SYSTEM, copy_of
from support.listed_regions import ListedRegion, planner_of
from support.policy_strategies import NOW, lineages

DR, FAR = "us-east-2", "eu-west-1"
LATER = NOW + timedelta(hours=2)
"""A run relies on the tags of a snapshot that is younger than an hour; here it asks for each volume."""
LOCK = SnapshotLock(LockState.GOVERNANCE)
LEFT_ALONE = LeaveAlone({"Pinned": ("yes", "for-*")})
COPIES_KEPT = Retention(keep_last=2)
POLICIES = PolicySet(
    (
        Policy("gold", Selector(tags={"Backup": ("gold",)}), Retention(keep_last=2), (CopyRule(DR, retention=COPIES_KEPT),)),
        Policy(
            "far",
            Selector(tags={"Backup": ("far",)}),
            Retention(keep_last=1),
            (CopyRule(DR, retention=Retention(keep_last=1)), CopyRule(FAR)),
            leave_alone=LEFT_ALONE,
        ),
        Policy("rest", Selector(volume_ids=("vol-0b",)), Retention(keep_last=1, keep_daily=2), leave_alone=LEFT_ALONE),
    )
)
LIMITS = st.builds(Limits, st.sampled_from([1, 3, 100]), st.sampled_from([50, 100]), st.sampled_from([2, 10]))
COPY_STATES = st.sampled_from([SnapshotState.COMPLETED] * 4 + [SnapshotState.PENDING, SnapshotState.ERROR])
COPY_TAGS = st.sampled_from([{}] * 4 + [{CHECK: WRONG}, {MANAGED: "another-system"}, {POLICY: "far"}])
SNAPSHOT_TAGS = st.sampled_from(
    [{}] * 4 + [{"Pinned": "yes"}, {"Pinned": "for-audit"}, {"Pinned": "no"}, {MANAGED: "another-system"}]
)


@dataclass
class Account:
    primary: ListedRegion
    others: dict[str, ListedRegion]
    policies: PolicySet

    def facts(self) -> RegionFacts:
        listings = {region: other.listed for region, other in self.others.items()}
        waiting = {(snapshot_id, region) for region, other in self.others.items() for snapshot_id in other.waiting}
        return RegionFacts(REGION, self.primary.listed_volumes, self.primary.listed, listings, frozenset(waiting))


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Three volumes, of which some are deleted, their snapshots, copies, queue entries, AMIs and locks.

    Some snapshots are left alone or another system's; some copies are pending, failed, wrong, another system's, or missing.
    """
    snapshots: list[Snapshot] = []
    volumes = []
    for number, volume_id in enumerate(("vol-0a", "vol-0b", "vol-0c"), start=1):
        for snapshot in draw(lineages(most=8)):
            snapshot_id = snapshot.id.replace("snap-0", f"snap-{number}")
            origin = replace(snapshot.origin, volume_id=volume_id, snapshot_id=snapshot_id)
            policy = draw(st.sampled_from(["gold", "far", "rest", "dropped"]))
            tags = {**snapshot.tags, **({POLICY: policy} if snapshot.tags else {}), **draw(SNAPSHOT_TAGS)}
            snapshots.append(replace(snapshot, id=snapshot_id, origin=origin, tags=tags))
        if draw(st.booleans()):
            volumes.append(Volume(volume_id, REGION, 8, "gp3", tags={"Backup": draw(st.sampled_from(["gold", "far", "no"]))}))
    ids = st.sets(st.sampled_from([snapshot.id for snapshot in snapshots]), max_size=4) if snapshots else st.just(set())
    others = {region: draw(copies(snapshots, region, ids)) for region in (DR, FAR)}
    primary = ListedRegion(REGION, snapshots, volumes, dict.fromkeys(draw(ids), ("ami-1",)), dict.fromkeys(draw(ids), LOCK))
    return Account(primary, others, replace(POLICIES, limits=draw(LIMITS)))


@st.composite
def copies(draw: st.DrawFn, snapshots: list[Snapshot], region: str, ids: st.SearchStrategy[set[str]]) -> ListedRegion:
    """Return a DR region with copies of most of the snapshots."""
    without_copy, listed = draw(ids), []
    for number, source in enumerate(snapshots):
        if source.id not in without_copy:
            copy = copy_of(source, region, number, state=draw(COPY_STATES))
            listed.append(replace(copy, tags={**copy.tags, **draw(COPY_TAGS)} if copy.tags else {}))
    copy_ids = st.sets(st.sampled_from([copy.id for copy in listed]), max_size=2) if listed else st.just(set[str]())
    return ListedRegion(
        region, listed, (), dict.fromkeys(draw(copy_ids), ("ami-2",)), dict.fromkeys(draw(copy_ids), LOCK), draw(ids)
    )


@given(accounts())
def test_a_run_and_a_sweep_of_all_volumes_decide_the_same(account: Account) -> None:
    facts = account.facts()
    swept = guarded_plan(account.primary, facts, account.policies, LATER, system=SYSTEM, placed=lambda _: NOTHING_HELD)
    volume_ids = [plan.lineage.volume_id for plan in swept.volumes]
    run = planner_of(account.primary, list(account.others.values()), account.policies, LATER).plan_sources(volume_ids)
    assert list(run.verdicts) == list(swept.outcomes)
    assert list(run.refusals) == [(plan.lineage, plan.refusal) for plan in swept.volumes if plan.refusals]


@given(accounts())
def test_the_plan_command_shows_the_deletions_and_refusals_of_a_run(account: Account) -> None:
    shown = make_region_plan(account.primary, account.facts(), account.policies, LATER, system=SYSTEM)
    for plan in shown.volumes:
        planner = planner_of(account.primary, list(account.others.values()), account.policies, LATER)
        run = planner.plan_sources([plan.lineage.volume_id])
        assert list(run.deletions) == [verdict for verdict in plan.outcome if verdict in run.deletions]
        assert {verdict.snapshot.id: verdict.action for verdict in run.verdicts} == {
            verdict.snapshot.id: verdict.action for verdict in plan.outcome
        }
        assert [text for _, text in run.refusals] == [plan.refusal] * bool(plan.refusals)


@given(accounts())
def test_a_run_in_a_dr_region_plans_what_the_plan_command_shows(account: Account) -> None:
    for region in account.others.values():
        shown = make_region_plan(region, RegionFacts(region.region, (), region.listed), account.policies, LATER, system=SYSTEM)
        for plan in shown.volumes:
            planner = planner_of(region, [], account.policies, LATER)
            planned = planner.plan_copies([plan.lineage.volume_id])
            assert [text for _, text in planned.refusals] == [plan.refusal] * bool(plan.refusals)
            assert list(planned.deletions) == [verdict for verdict in plan.outcome if verdict.action is Action.DELETE]
