"""A sweep's orders are carried out only where the function's own plan agrees; each order has its result and its audit line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

import pytest

from snapkeep.domain.model import Action, DeletionPlan, Reason, Refusal, Snapshot, SnapshotState, Verdict
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder
from snapkeep.domain.retention.placed_holds import HOLD_RULE
from snapkeep.lab.simulator.memory_ports import no_notice
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult, SnapshotReader
from snapkeep.usecases.retention.delete import DeleteSnapshots
from support.lineages import at, copy_of, snapshot
from support.placing import SomeHolds

DR, NOW = "us-east-2", at("2026-11-23T12:00")
SOURCE = snapshot("2026-11-20T03:00", 1)
COPY = copy_of(SOURCE, DR, 1)
BEYOND = (Reason("keep_last", "beyond last 1"),)


@dataclass
class Region:
    """A region with some snapshots, the verdicts about them, and the audit lines of their deletions."""

    listed: Sequence[Snapshot]
    verdicts: tuple[Verdict, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    deleted: list[str] = field(default_factory=list)
    audited: list[DeletionResult] = field(default_factory=list)

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        return {one.id: one for one in self.listed if one.id in snapshot_ids}

    def delete(self, snapshot_id: str) -> DeletionResult:
        self.deleted.append(snapshot_id)
        return DeletionResult(snapshot_id, DeletionOutcome.DELETED)

    def now(self) -> datetime:
        return NOW

    def pause(self, seconds: float) -> None:
        raise AssertionError(f"a few deletions need no pause of {seconds} s")

    def plan(self, *_: object, as_sweep: bool = False) -> DeletionPlan:
        return DeletionPlan(f"plan-{as_sweep}", DR, NOW, self.verdicts, self.refusals)

    def step(self, day_limit: str = "") -> DeleteSnapshots:
        return DeleteSnapshots(
            plan=self.plan,
            reader=cast("SnapshotReader", self),
            deleter=self,
            holds=SomeHolds(),
            pacer=self,
            audit=lambda _, result, __: self.audited.append(result),
            planned=no_notice,
            day_limit=lambda _: day_limit,
        )


def order_of(target: Snapshot, kind: DeletionKind) -> DeletionOrder:
    return DeletionOrder(target.id, target.origin.volume_id, target.start_time, "gold", ("a reason",), kind)


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        (replace(COPY, state=SnapshotState.ERROR), DeletionOutcome.DELETED),
        (replace(SOURCE, state=SnapshotState.ERROR), DeletionOutcome.UNSAFE),
        (COPY, DeletionOutcome.UNSAFE),
    ],
    ids=["a failed copy", "a failed source snapshot", "a completed copy"],
)
def test_only_a_failed_copy_is_deleted_as_one(target: Snapshot, outcome: DeletionOutcome) -> None:
    region = Region([target])
    done = region.step().run((), asked=[order_of(target, DeletionKind.FAILED_COPY)])
    assert [result.outcome for result in done.results] == [outcome]
    assert region.deleted == ([target.id] if outcome is DeletionOutcome.DELETED else [])
    assert region.audited == done.results


@pytest.mark.parametrize(
    ("reasons", "outcome"),
    [
        ((Reason("last", "last 1 of 1"), Reason(HOLD_RULE, "held")), DeletionOutcome.HELD),
        ((Reason("last", "last 1 of 1"),), DeletionOutcome.UNSAFE),
    ],
)
def test_an_order_that_the_plan_does_not_confirm_has_its_reasons(reasons: tuple[Reason, ...], outcome: DeletionOutcome) -> None:
    region = Region([COPY], (Verdict(COPY, Action.KEEP, reasons),))
    (result,) = region.step().run((), asked=[order_of(COPY, DeletionKind.RETENTION)]).results
    assert (result.outcome, result.cause) == (outcome, "; ".join(reason.text for reason in reasons))
    assert region.deleted == []


def test_a_limit_of_the_day_stops_runs_with_an_audit_line_and_no_sweep() -> None:
    region = Region([COPY], (Verdict(COPY, Action.DELETE, BEYOND),))
    assert region.step("too many").run([COPY.origin.volume_id]).results == []
    assert region.audited == [DeletionResult(COPY.id, DeletionOutcome.UNUSUAL, "too many")]
    assert region.deleted == []
    region.step("too many").run((), asked=[order_of(COPY, DeletionKind.RETENTION)])
    assert region.deleted == [COPY.id]


def test_each_order_and_each_refusal_is_noted_once_for_its_volume() -> None:
    other = copy_of(snapshot("2026-11-20T03:00", 2, volume="vol-0b"), DR, 2)
    kept = tuple(Verdict(one, Action.KEEP, BEYOND) for one in (COPY, other))
    refusals = tuple(Refusal(one.origin.lineage, f"of {one.id}") for one in (COPY, other))
    region = Region([COPY, other], kept, refusals)
    orders = [order_of(one, DeletionKind.RETENTION) for one in (COPY, other)]
    assert region.step().run((), asked=orders).orders == orders
    assert region.step().run([COPY.origin.volume_id]).refusals == [refusals[0]]
