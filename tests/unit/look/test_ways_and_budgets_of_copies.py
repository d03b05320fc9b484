"""How copies are made, and what is spent on them, as `status`, `plan` and `explain` show it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.cli.views.copies import budget_text, way_text
from snapkeep.cli.views.explain import describe_entry
from snapkeep.cli.views.plan import LineLayout, plan_as_data, write_json, write_plan
from snapkeep.cli.views.status_forms import status_as_data, status_as_prometheus
from snapkeep.cli.views.status_lines import StatusLayout
from snapkeep.domain.copies.completion import way_by_rule
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.copies.known_copies import known_copies
from snapkeep.domain.policy.model import CopyRule, Retention
from snapkeep.domain.retention.region_plan import RegionPlan
from snapkeep.lab.ebs_model import Speeds, World
from snapkeep.usecases.look.budgets import copy_budgets
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.printed_status import printed
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold

AUTO = {"completion": "auto", "copy_budget": "4 USD/month", "copy_within": timedelta(hours=2)}


@pytest.fixture
def world() -> SweepingWorld:
    """Three snapshots of 200 GiB: one copy is time-based, one is ordinary as the budget is spent, one waits."""
    policies = gold()
    (policy,) = policies.policies
    rules = tuple(replace(rule, **AUTO) for rule in policy.copies)  # type: ignore[arg-type]
    policies = replace(policies, policies=(replace(policy, copies=rules),))
    world = SweepingWorld(World(seed=1, speeds=Speeds(copy_base_seconds=6 * HOUR)), policies, copy_quota=2)
    for _ in range(3):
        world.snapshot(world.volume(size_gib=200))
    world.later(HOUR / 2)
    return world


def plan_of(world: SweepingWorld) -> RegionPlan:
    parts, now = world.runner.composition, world.runner.composition.clock.now()
    queue = parts.queues[DR]
    known = known_copies((entry for state in EntryState for entry in queue.in_state(state)), now)
    facts = gather_all_facts(parts.reader(PRIMARY), [parts.reader(DR)], {DR: known})
    guards = [parts.reader(PRIMARY), parts.reader(DR)]
    return make_plans(guards, facts, dict.fromkeys((PRIMARY, DR), world.policies), now, system="snapkeep")[0]


WAYS = {"not_chosen", "ordinary", "time_based"}
TIME_BASED = "within 105m for at most 3.20 USD"


def test_status_shows_the_way_of_each_copy_and_the_budget(world: SweepingWorld) -> None:
    status = world.status()
    assert {row.way.kind.value for row in status.queue} == WAYS
    lines = printed(status, StatusLayout(width=140, details=True))
    assert f"… 1 copy to us-east-2, running, {TIME_BASED}" in lines
    assert "… 1 copy to us-east-2, running, an ordinary copy" in lines
    assert "… 1 copy to us-east-2, waiting, chosen when it starts" in lines
    assert sum(line.startswith("      queue: ") and TIME_BASED in line for line in lines) == 1
    (budget,) = status.budgets
    assert (budget.limit_usd, round(budget.spent_usd, 2), budget.exhausted) == (4, 3.2, True)
    assert budget_text(budget) in lines


def test_status_for_machines_has_ways_and_budgets(world: SweepingWorld) -> None:
    status = world.status()
    data = status_as_data(status)
    assert {row["way"]["kind"] for row in data["queue"]} == WAYS
    assert [budget["policy"] for budget in data["copy_budgets"]] == ["gold"]
    labels = '{system="snapkeep",region="us-east-1",policy="gold",to="us-east-2"}'
    assert f"snapkeep_copy_budget_dollars{labels} 4\n" in status_as_prometheus(status)


def test_a_plan_shows_the_way_of_each_missing_copy_and_the_budget(world: SweepingWorld) -> None:
    plan, out = plan_of(world), io.StringIO()
    budgets = copy_budgets(world.policies, world.runner.composition.queues[DR], plan.made_at)
    write_plan(out, plan, LineLayout(columns=140), budgets=budgets)
    lines = out.getvalue().splitlines()
    assert sum(line.endswith(f"  waiting or running, {TIME_BASED}") for line in lines) == 1
    assert sum(line.endswith("  waiting or running, chosen when it starts") for line in lines) == 1
    assert "time-based copies by gold to us-east-2: 3.20 of 4.00 USD spent in 2026-01; further copies are ordinary ones" in lines
    copies = [copy for volume in plan_as_data(plan)["volumes"] for copy in volume["copies_missing"]]
    assert {copy["way"]["kind"] for copy in copies} == WAYS
    out = io.StringIO()
    write_json(out, [plan], budgets=budgets)
    assert json.loads(out.getvalue())["copy_budgets"][0]["limit_usd"] == 4


def test_a_copy_that_the_budget_may_not_cover_is_announced_as_such(world: SweepingWorld) -> None:
    (waiting,) = world.runner.composition.queues[DR].in_state(EntryState.WAITING)
    rule = CopyRule(DR, completion_minutes=60, copy_budget="4 USD/month", retention=Retention())
    entry = replace(waiting, request=replace(waiting.request, completion="", completion_minutes=60))
    for way in (way_by_rule(rule, 200), entry.way):
        assert way_text(way) == ", within 1h for at most 3.20 USD, or an ordinary copy if the budget is spent"
    assert not way_by_rule(replace(rule, copy_budget=""), 200).within_budget


def test_explain_shows_the_way_of_a_copy_and_its_price(world: SweepingWorld) -> None:
    queue = world.runner.composition.queues[DR]
    running = [describe_entry(entry) for entry in queue.in_state(EntryState.RUNNING)]
    assert sum(text.endswith(f", attempt 1, {TIME_BASED}") for text in running) == 1
    assert sum(text.endswith(", attempt 1, an ordinary copy") for text in running) == 1
    (waiting,) = queue.in_state(EntryState.WAITING)
    assert describe_entry(waiting).endswith(", attempt 0, chosen when it starts")
