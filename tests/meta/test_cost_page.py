"""The numbers of `docs/operating/cost.md` follow from the prices, the templates and the state machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from snapkeep.domain import prices
from snapkeep.functions.drill_metrics import VERDICTS
from snapkeep.functions.proof_metrics import PROVED
from snapkeep.functions.sweep_metrics import COUNTED, FOUND
from support.flows import Laboratory, policy_set
from support.templates import resources

PAGE = (Path(__file__).parents[2] / "docs/operating/cost.md").read_text()
MINUTES_A_MONTH = 30 * 24 * 60 + 600
"""365 days, divided by 12."""
STACKS = ("primary", "dr")
"""A vault's stack costs about as much as a DR stack, in another account."""
OWN_METRICS = 4
"""SweepFindings, SweepFailures, SweepsDone and OldestWait, beside the figures and the findings."""
PROOF_METRICS = 3
"""BlocksCompared, BlockRequests and OldestUnproved, of the DR stack."""
SCHEDULED_SECONDS, SNAPSHOT_SECONDS, GIB = 0.2, 0.4, 0.5


def row(part: str) -> list[str]:
    [line] = re.findall(rf"^\| {re.escape(part)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in line.split("|")]


def price(name: str) -> float:
    return float(row(name)[0])


def count(kind: str, **properties: object) -> int:
    return sum(
        all(resource.get(name) == value for name, value in properties.items())
        for stack in STACKS
        for resource in resources(stack, kind).values()
    )


def invocation_price(seconds: float) -> float:
    return price("Lambda request") + seconds * GIB * price("Lambda duration on arm64")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("snapshot storage", prices.SNAPSHOT_STORAGE),
        ("gp3 volume", prices.VOLUME_STORAGE),
        ("transfer between regions", prices.TRANSFER),
        ("state transition", prices.STATE_TRANSITION),
        ("Lambda request", prices.FUNCTION_REQUEST),
        ("Lambda duration on arm64", prices.FUNCTION_GIB_SECOND),
    ],
)
def test_the_page_has_the_prices_that_the_code_computes_with(name: str, known: prices.Price) -> None:
    assert price(name) == pytest.approx(known.dollars)


@pytest.mark.parametrize(
    ("part", "number", "priced"),
    [
        ("KMS keys", count("AWS::KMS::Key"), "KMS key"),
        ("alarms", count("AWS::CloudWatch::Alarm"), "CloudWatch alarm"),
        ("dashboards", count("AWS::CloudWatch::Dashboard"), "CloudWatch dashboard"),
        (
            "custom metrics",
            len(STACKS) * (len(COUNTED) + len(FOUND) + OWN_METRICS) + len(PROVED) + PROOF_METRICS + len(VERDICTS),
            "CloudWatch custom metric",
        ),
    ],
)
def test_a_fixed_part_is_its_number_times_its_price(part: str, number: int, priced: str) -> None:
    assert row(part)[:2] == [str(number), f"{number * price(priced):.2f}"]


def test_the_functions_of_each_minute_are_those_of_the_templates() -> None:
    invocations = count("AWS::Events::Rule", ScheduleExpression="rate(1 minute)") * MINUTES_A_MONTH
    assert row("functions each minute")[:2] == [str(invocations), f"{invocations * invocation_price(SCHEDULED_SECONDS):.2f}"]


def test_a_protected_snapshot_enters_as_many_states_as_the_page_says() -> None:
    laboratory = Laboratory(policies=policy_set(keep=1, keep_copies=1))
    volume = laboratory.make_volume()
    laboratory.protect(volume)
    laboratory.protect(volume)
    before = laboratory.runner.totals.transitions
    laboratory.protect(volume)
    transitions = 1000 * (laboratory.runner.totals.transitions - before)
    assert row("state transitions") == [str(transitions), f"{transitions * price('state transition'):.2f}"]


def test_a_protected_snapshot_invokes_as_many_functions_as_the_page_says() -> None:
    tasks = 6  # TagSnapshots, CopySnapshotToDR twice, TagSnapshotCopy, and DeleteOldSnapshots in both regions
    dispatches = 2  # the queue's stream, and the copy's end
    invocations = 1000 * (tasks + dispatches)
    assert row("function invocations") == [str(invocations), f"{invocations * invocation_price(SNAPSHOT_SECONDS):.2f}"]
