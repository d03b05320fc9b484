"""Runs, sweeps and `snapkeep plan` plan a set of volumes alike: the same verdicts and the same refusals, volume by volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.tag_names import POLICY
from snapkeep.usecases.retention.plan_regions import make_region_plan
from snapkeep.usecases.sweep.shared import guarded_plan
from support.lineages import REGION, SYSTEM, copy_of
from support.listed_regions import ListedRegion, planner_of
from support.policy_strategies import NOW, lineages

DR = "us-east-2"
LATER = NOW + timedelta(hours=2)
"""A run relies on the tags of a snapshot that is younger than an hour; here it asks for each volume."""
POLICIES = PolicySet(
    (
        Policy("gold", Selector(tags={"Backup": ("gold",)}), Retention(keep_last=2), (CopyRule(DR),)),
        Policy("rest", Selector(volume_ids=("vol-0b",)), Retention(keep_last=1, keep_daily=2)),
    )
)
LIMITS = st.builds(Limits, st.sampled_from([1, 3, 100]), st.sampled_from([50, 100]), st.sampled_from([2, 10]))


@dataclass
class Account:
    primary: ListedRegion
    dr: ListedRegion
    policies: PolicySet

    def facts(self) -> RegionFacts:
        waiting = frozenset((snapshot_id, DR) for snapshot_id in self.dr.waiting)
        return RegionFacts(REGION, self.primary.listed_volumes, self.primary.listed, {DR: self.dr.listed}, waiting)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Three volumes, of which some are deleted, their snapshots, copies, queue entries, AMIs and locks."""
    snapshots: list[Snapshot] = []
    volumes = []
    for number, volume_id in enumerate(("vol-0a", "vol-0b", "vol-0c"), start=1):
        for snapshot in draw(lineages(most=8)):
            snapshot_id = snapshot.id.replace("snap-0", f"snap-{number}")
            origin = replace(snapshot.origin, volume_id=volume_id, snapshot_id=snapshot_id)
            policy = draw(st.sampled_from(["gold", "rest", "dropped"]))
            tags = dict(snapshot.tags) | ({POLICY: policy} if snapshot.tags else {})
            snapshots.append(replace(snapshot, id=snapshot_id, origin=origin, tags=tags))
        if draw(st.booleans()):
            volumes.append(Volume(volume_id, REGION, 8, "gp3", tags={"Backup": draw(st.sampled_from(["gold", "no"]))}))
    ids = st.sets(st.sampled_from([snapshot.id for snapshot in snapshots]), max_size=4) if snapshots else st.just(set())
    without_copy, waiting, used, locked = draw(ids), draw(ids), draw(ids), draw(ids)
    copies = [copy_of(source, DR, number) for number, source in enumerate(snapshots) if source.id not in without_copy]
    images = dict.fromkeys(used, ("ami-1",))
    primary = ListedRegion(REGION, snapshots, volumes, images, dict.fromkeys(locked, ""))
    return Account(primary, ListedRegion(DR, copies, waiting=waiting), replace(POLICIES, limits=draw(LIMITS)))


@given(accounts())
def test_a_run_and_a_sweep_of_all_volumes_decide_the_same(account: Account) -> None:
    swept = guarded_plan(account.primary, account.facts(), account.policies, LATER, system=SYSTEM)
    volume_ids = [plan.lineage.volume_id for plan in swept.volumes]
    run = planner_of(account.primary, [account.dr], account.policies, LATER).plan_sources(volume_ids)
    assert list(run.verdicts) == list(swept.outcomes)
    assert list(run.refusals) == [(plan.lineage, plan.refusal) for plan in swept.volumes if plan.refusals]


@given(accounts())
def test_the_plan_command_shows_the_deletions_and_refusals_of_a_run(account: Account) -> None:
    shown = make_region_plan(account.primary, account.facts(), account.policies, LATER, system=SYSTEM)
    for plan in shown.volumes:
        run = planner_of(account.primary, [account.dr], account.policies, LATER).plan_sources([plan.lineage.volume_id])
        assert list(run.deletions) == [verdict for verdict in plan.outcome if verdict in run.deletions]
        assert {verdict.snapshot.id: verdict.action for verdict in run.verdicts} == {
            verdict.snapshot.id: verdict.action for verdict in plan.outcome
        }
        assert [text for _, text in run.refusals] == [plan.refusal] * bool(plan.refusals)
