"""Sweep: one pass over the region (step `repair`), and its report once its deletions are done (step `report`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from snapkeep import __version__
from snapkeep.adapters.cloudtrail_deletions import CloudTrailDeletions
from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.sqs_dead_letters import SqsDeadLetters
from snapkeep.adapters.stepfunctions_runs import StateMachineRuns
from snapkeep.adapters.stepfunctions_waiting_runs import WaitingExecutions
from snapkeep.domain.errors import RETRYABLE, ReportNotFound, SnapkeepError
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import DeletionPlan
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.report import Handling, SweepReport
from snapkeep.domain.system import StackKind
from snapkeep.functions import metrics, sweep_metrics
from snapkeep.functions.caught_errors import CaughtError, step_error
from snapkeep.functions.clients import PATIENT
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import logger, started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import PlanAnswer, SweepCall, SweepStep, waiting_call
from snapkeep.functions.state_budget import SWEEP_PLAN_BYTES, fit_plan
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions
from snapkeep.usecases.sweep.count_store import StoredCount
from snapkeep.usecases.sweep.dead_letters import ReplayDeadLetters
from snapkeep.usecases.sweep.deletions_by_others import DeletionWatch
from snapkeep.usecases.sweep.exposure import ExposureCheck
from snapkeep.usecases.sweep.memory import StoredMemory
from snapkeep.usecases.sweep.publish_report import KeptReport, PublishedReport, PublishReport
from snapkeep.usecases.sweep.shared import SweepLimits, SweepOptions, SweepResult, complete, stopped, with_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snapkeep.domain.drills.ledger import EndedDrill
    from snapkeep.usecases.copies.pull import PullShares
    from snapkeep.usecases.drills.watch import DrillWatch
    from snapkeep.usecases.recovery.ports import Verifications
    from snapkeep.usecases.sweep.dr import DrSweep
    from snapkeep.usecases.sweep.ports import DeadLetters, ProtectRuns, WaitingRuns
    from snapkeep.usecases.sweep.primary import PrimarySweep

MOST_DELETIONS = 400
"""A plan travels through the state, which holds 256 KiB (Step Functions developer guide: quotas)."""


@dataclass(frozen=True, slots=True)
class SweepAdapters:
    """The adapters that a sweep uses beside the composition, and its limits."""

    runs: ProtectRuns
    waiting_runs: WaitingRuns
    letters: DeadLetters
    exposure: ExposureCheck
    watch: DeletionWatch
    limits: SweepLimits
    verifications: Verifications | None
    """Starts comparisons in a DR region; None where nothing is compared."""


def sweep_adapters(parts: Composition) -> SweepAdapters:
    """Make the adapters of the composition. Raise InvalidConfiguration on a variable that is not valid."""
    environment, clients = parts.environment, parts.clients
    stepfunctions, arn = clients.get("stepfunctions"), environment.state_machine_arn
    return SweepAdapters(
        runs=StateMachineRuns(client=stepfunctions, state_machine_arn=arn),
        waiting_runs=WaitingExecutions(client=stepfunctions, state_machine_arn=arn, read_call=waiting_call),
        letters=SqsDeadLetters(client=clients.get("sqs"), queue_url=environment.dead_letters_url),
        exposure=ExposureCheck(
            exposure=Ec2Exposure(client=clients.get("ec2")),
            known_accounts=environment.known_accounts,
            vault_accounts=environment.vault_accounts,
        ),
        watch=_watch(parts),
        limits=SweepLimits(
            repairs=environment.sweep_repairs,
            deletions=min(environment.sweep_deletions, MOST_DELETIONS),
            times_usual=environment.deletions_times_usual,
        ),
        verifications=parts.verifications if environment.stack == StackKind.DR else None,
    )


def build(parts: Composition, adapters: SweepAdapters | None = None) -> PrimarySweep | DrSweep:
    """Return the sweep of this stack. Raise InvalidConfiguration on a variable that is not valid."""
    adapters = adapters or sweep_adapters(parts)
    return _primary_sweep(parts, adapters) if parts.environment.stack == StackKind.PRIMARY else _dr_sweep(parts, adapters)


# A cold start imports the sweep of its own stack alone.


def _dr_sweep(parts: Composition, adapters: SweepAdapters) -> DrSweep:
    from snapkeep.functions.tag_snapshot_copy import build as build_receive  # noqa: PLC0415
    from snapkeep.usecases.sweep.dr import DrSweep  # noqa: PLC0415

    return DrSweep(
        reader_of=parts.source_of,
        queue=parts.queue_of(parts.environment.region),
        receive=build_receive(parts),
        drills=None if parts.is_vault else build_watch(parts),
        verifications=adapters.verifications,
        documents=None if parts.is_vault else parts.documents,
        pull=_pull(parts) if parts.is_vault else None,
        stack=StackKind(parts.environment.stack),
        **_common(parts, adapters),
    )


def _common(parts: Composition, adapters: SweepAdapters) -> dict[str, Any]:
    """Return what the sweeps of both regions are made of."""
    return {
        "system": parts.environment.system,
        "reader": parts.points,
        "guards": parts.guards,
        "holds": parts.holds,
        "policies": parts.policies,
        "tagger": parts.tagger,
        "letters": ReplayDeadLetters(letters=adapters.letters, runs=adapters.runs),
        "exposure": adapters.exposure,
        "watch": adapters.watch,
        "clock": parts.clock,
        "limits": adapters.limits,
        "locks": parts.locks,
        "lock_limits": parts.environment.lock_limits,
        "count_store": StoredCount(parts.documents),
        "announced": AnnouncedDeletions(parts.documents),
        "hold_store": partial(parts.hold_store_of, parts.environment.region),
    }


def _pull(parts: Composition) -> PullShares:
    from snapkeep.functions.pull import build as build_pull  # noqa: PLC0415 - of vaults alone

    return build_pull(parts)


def build_watch(parts: Composition) -> DrillWatch:
    """Make the use case that watches drills."""
    from snapkeep.usecases.drills.watch import DrillWatch  # noqa: PLC0415

    return DrillWatch(
        system=parts.environment.system,
        region=parts.environment.region,
        ledger=parts.drill_ledger,
        ec2=parts.drill_ec2,
        runs=parts.drill_runs,
        clock=parts.clock,
    )


def _primary_sweep(parts: Composition, adapters: SweepAdapters) -> PrimarySweep:
    from snapkeep.functions.copy_snapshot_to_dr import build as build_enqueue  # noqa: PLC0415
    from snapkeep.usecases.sweep.primary import PrimarySweep  # noqa: PLC0415

    return PrimarySweep(
        reader_of=parts.points_of,
        queue_of=parts.queue_of,
        enqueue=build_enqueue(parts),
        runs=adapters.runs,
        waiting_runs=adapters.waiting_runs,
        **_common(parts, adapters),
    )


def _watch(parts: Composition) -> DeletionWatch:
    trail = CloudTrailDeletions(client=parts.clients.get("cloudtrail"))
    return DeletionWatch(memories=StoredMemory(parts.reports), trail=trail)


def build_reports(parts: Composition) -> PublishReport:
    """Make the use case that keeps and publishes reports."""
    return PublishReport(store=parts.reports, publisher=parts.publisher, render=_render, render_index=_render_index)


def _render(report: SweepReport) -> str:
    from snapkeep.reports.page import render_page  # noqa: PLC0415 - the repairs need no pages

    return render_page(report)


def _render_index(reports: Sequence[KeptReport], drills: Sequence[EndedDrill], last: SweepReport) -> str:
    from snapkeep.reports.page import render_index  # noqa: PLC0415

    return render_index(reports, drills, last)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Carry out the step of a `SweepCall`: sweep, or publish the report of a sweep that ended or failed.

    Return a `PlanAnswer`, or a `PublishedReport`. Raise InvalidEvent on an unknown step.
    """
    started(event, context)
    call = from_json(SweepCall, event)
    return to_object(_repair(call) if call.step is SweepStep.REPAIR else _report(call))


def _repair(call: SweepCall) -> PlanAnswer:
    """Sweep, keep the report so far, and return the deletions. A call that AWS refuses makes the report FAILED."""
    parts = composition(PATIENT)
    parts.forget_keys()
    environment, reports, adapters = parts.environment, build_reports(parts), sweep_adapters(parts)
    adopt = environment.adopt_history or call.option("adopt")  # the stack's parameter may consent for every sweep
    try:
        swept = build(parts, adapters).run(
            call.sweep, SweepOptions(adopt, call.option("retry_failed"), environment.former_system)
        )
    # The state machine repeats the step: a report now would be followed by a second one.
    except RETRYABLE:
        raise
    except SnapkeepError as error:
        broken = _broken(parts, call.sweep, type(error).__name__, str(error))
        swept = SweepResult(broken, DeletionPlan("", environment.region, broken.ended_at, ()))
    answer = fit_plan(swept.plan, swept.remove, most_bytes=SWEEP_PLAN_BYTES)
    # Before the deletions: where their step fails, this report is published.
    reports.keep_interim(with_left(swept, answer.delete))
    if swept.memory is not None:
        adapters.watch.prepare(call.sweep, swept.memory)
    if swept.rpo_ages_seconds and environment.metrics_per_volume:
        when_ms = int(swept.report.ended_at.timestamp() * 1000)
        metrics.emit(sweep_metrics.volume_lines(swept.rpo_ages_seconds, environment.system, when_ms))
    _audit(swept.report)
    return answer


def _audit(report: SweepReport) -> None:
    """Log a line for everything that a sweep repaired, or failed to repair."""
    for item in report.items:
        if item.handling in (Handling.REPAIRED, Handling.FAILED):
            logger().info(
                "repair",
                extra={
                    "audit": "repair",
                    "sweep": report.id,
                    "kind": str(item.kind),
                    "snapshot": item.subject,
                    "volume": item.volume_id,
                    "reasons": [item.text],
                    "outcome": str(item.handling),
                    "cause": item.cause,
                },
            )


def _broken(parts: Composition, sweep_id: str, error: str, cause: str) -> SweepReport:
    environment, now = parts.environment, parts.clock.now()
    return SweepReport(
        sweep_id,
        environment.system,
        environment.stack,
        environment.region,
        started_at=now,
        ended_at=now,
        broken=f"{error}: {cause}",
        version=__version__,
    )


def _report(call: SweepCall) -> PublishedReport:
    """Publish the report of a sweep whose deletions were carried out, or of one that failed."""
    parts = composition(PATIENT)
    reports, now = build_reports(parts), parts.clock.now()
    if call.plan is not None and call.deletion is not None:
        report = complete(reports.interim(call.sweep), call.plan.delete, call.deletion.failed, now)
    else:
        error = step_error(call.error or CaughtError())
        try:
            report = stopped(reports.interim(call.sweep), f"{error.name}: {error.cause}", now)
        except ReportNotFound:
            report = _broken(parts, call.sweep, error.name, error.cause)
    published = reports.run(report)
    _watch(parts).remember(call.sweep)
    metrics.emit(sweep_metrics.report_lines(report))
    return published
