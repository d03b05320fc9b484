"""Drills as lines for people and as JSON: the choice before, the evidence after, and the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from snapkeep.cli.views.recoverable import short_span_text
from snapkeep.domain.drills.ledger import DrillEvidence, DrillLedger
from snapkeep.domain.drills.schedule import DrillChoice
from snapkeep.domain.durations import span_text
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.drill_rules import DrillRule


def choice_lines(rule: DrillRule, choice: DrillChoice) -> Iterator[str]:
    """Yield what a drill would do, and its price."""
    yield f"drill {rule.name} in {rule.region}: {counted(len(choice.runs), subject_of(rule))}"
    for run in choice.runs:
        source = f"from {run.point}" if run.point else "in an isolated network"
        yield f"  {run.volume_id}: {run.size_gib} GiB {source}, data of {run.point_start:%Y-%m-%d %H:%M} UTC"
    total = sum(run.estimate_usd for run in choice.runs)
    budget = f"; the budget is {rule.budget_usd:g} USD in 30 days" if rule.budget_usd else ""
    priced = f" for {choice.runs[0].priced}" if choice.runs else ""
    yield f"price: at most {total:.2f} USD{priced}{budget}"
    yield from (f"left out: {volume_id}: the budget does not admit its drill" for volume_id in choice.too_expensive)
    if not choice.runs:
        yield f"nothing to drill: no other {subject_of(rule)} has a recovery point here"


def subject_of(rule: DrillRule) -> str:
    """Return what a drill drills, in a word: `volume`, `instance` or `group`."""
    return "group" if rule.group else str(rule.level)


def choice_as_data(rule: DrillRule, choice: DrillChoice) -> dict[str, Any]:
    """Return what a drill would do as plain data."""
    return {
        "drill": rule.name,
        "region": rule.region,
        "estimate_usd": round(sum(run.estimate_usd for run in choice.runs), 6),
        "budget_usd": rule.budget_usd or None,
        "runs": [to_object(run) for run in choice.runs],
        "too_expensive": list(choice.too_expensive),
    }


def evidence_lines(evidence: DrillEvidence) -> Iterator[str]:
    """Yield the evidence of a drill."""
    run = evidence.run
    yield f"{run.id}  {evidence.verdict}  {run.drill}  {run.volume_id}  {run.region}"
    yield f"  cause: {evidence.cause}" if evidence.cause else ""
    points = ", ".join(filter(None, run.points)) or "none"
    yield f"  {'points' if run.of_instances else 'point'}: {points}"
    yield f"  data of {run.point_start:%Y-%m-%d %H:%M} UTC, {run.size_gib} GiB"
    for instance in run.instances:
        checked = instance.checked_at - run.asked_at if instance.checked_at else None
        launched = instance.restored_id or "not launched"
        yield f"  instance {instance.instance_id}: {launched}, status checks passed after: {measured_span(checked)}"
        if run.command and instance.command:
            yield f"  command {run.command.document} in {launched}: {instance.command.text}"
            yield from (f"    {line}" for line in instance.command.output.splitlines())
    yield f"  usable: {measured_span(run.usable_after)}" + (f", objective {span_text(run.rto)}" if run.rto else "")
    yield f"  full speed: {measured_span(run.full_speed_after)}"
    if run.proof:
        yield f"  proof: {run.proof.verdict} by {run.proof.method}, {run.proof.compared} blocks, {run.proof.differing} differ"
    yield from (f"  check: {check.label}: {outcome.replace('_', ' ')}" for check, outcome in run.checks.items())
    yield f"  price: {evidence.dollars:.2f} USD for {run.priced}"


def measured_span(span: timedelta | None) -> str:
    """Return a time that a drill measured, in words."""
    return "not reached" if span is None else short_span_text(span)


def ledger_lines(ledger: DrillLedger) -> Iterator[str]:
    """Yield the drills of a ledger."""
    for ended in ledger.ended:
        times = f"usable {measured_span(ended.usable_after)}, full speed {measured_span(ended.full_speed_after)}"
        yield f"{ended.run}  {ended.verdict}  {ended.drill}  {ended.volume_id}  {times}  {ended.dollars:.2f} USD"
    for run in ledger.open:
        yield f"{run.id}  open  {run.drill}  {run.volume_id}  begun {run.asked_at:%Y-%m-%d %H:%M} UTC"
    if not (ledger.ended or ledger.open):
        yield "no drill was begun here"
