"""Sweep: one pass over the region (step `repair`), and its report once its deletions are done (step `report`)."""

from __future__ import annotations

from functools import cache
from typing import Any

from snapkeep.adapters.dead_letters import SqsDeadLetters
from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_writers import Ec2Tagger
from snapkeep.adapters.executions import StateMachineRuns
from snapkeep.adapters.s3_reports import S3Reports, SnsReports
from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.reporting import SweepReport
from snapkeep.functions import metrics
from snapkeep.functions.answers import plan_answer
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.environment import DR
from snapkeep.functions.log import started
from snapkeep.functions.sweep_audit import audit_sweep
from snapkeep.usecases.dead_letters import ReplayDeadLetters
from snapkeep.usecases.enqueue import EnqueueCopy
from snapkeep.usecases.ports import Deletion, DeletionResult
from snapkeep.usecases.report import PublishReport
from snapkeep.usecases.sweep import ExposureCheck, SweepLimits, SweepOptions, complete
from snapkeep.usecases.sweep_dr import DrSweep
from snapkeep.usecases.sweep_primary import PrimarySweep

REPAIR, REPORT = "repair", "report"


def build(parts: Composition) -> PrimarySweep | DrSweep:
    """Given the parts, return the sweep of this stack."""
    environment = parts.environment
    runs = StateMachineRuns(
        client=parts.clients.get("stepfunctions"), state_machine_arn=environment.text("SNAPKEEP_STATE_MACHINE_ARN")
    )
    letters = SqsDeadLetters(client=parts.clients.get("sqs"), queue_url=environment.text("SNAPKEEP_DEAD_LETTERS_URL"))
    known = frozenset(filter(None, environment.variables.get("SNAPKEEP_KNOWN_ACCOUNTS", "").replace(" ", "").split(",")))
    tagger = Ec2Tagger(client=parts.clients.get("ec2"))
    guards = RecentGuards(reader=parts.reader, clock=parts.clock)
    replay = ReplayDeadLetters(letters=letters, runs=runs)
    exposure = ExposureCheck(exposure=Ec2Exposure(client=parts.clients.get("ec2")), known_accounts=known)
    limits = SweepLimits(
        repairs=environment.number("SNAPKEEP_SWEEP_REPAIRS", 1, 10_000),
        deletions=min(environment.number("SNAPKEEP_SWEEP_DELETIONS", 1, 10_000), MOST_DELETIONS),
    )
    if environment.stack == DR:
        from snapkeep.functions.tag_snapshot_copy import build as build_receive  # noqa: PLC0415 - of the DR stack alone

        return DrSweep(
            system=environment.system,
            reader=parts.reader,
            queue=parts.queue_of(environment.region),
            guards=guards,
            policies=parts.policies,
            receive=build_receive(parts),
            tagger=tagger,
            letters=replay,
            exposure=exposure,
            clock=parts.clock,
            limits=limits,
        )
    return PrimarySweep(
        system=environment.system,
        reader=parts.reader,
        reader_of=parts.reader_of,
        queue_of=parts.queue_of,
        guards=guards,
        policies=parts.policies,
        enqueue=EnqueueCopy(queue_of=parts.queue_of, waiters=parts.waiters, clock=parts.clock),
        tagger=tagger,
        runs=runs,
        letters=replay,
        exposure=exposure,
        clock=parts.clock,
        limits=limits,
    )


MOST_DELETIONS = 400
"""A plan travels through the state, which holds 256 KiB (Step Functions developer guide: quotas)."""


def build_reports(parts: Composition) -> PublishReport:
    """Given the parts, return what keeps and publishes reports."""
    from snapkeep.reports.page import render_page  # noqa: PLC0415 - the repairs need no pages

    environment = parts.environment
    return PublishReport(
        store=S3Reports(client=parts.clients.get("s3"), bucket=environment.text("SNAPKEEP_REPORTS_BUCKET")),
        topic=SnsReports(client=parts.clients.get("sns"), topic_arn=environment.text("SNAPKEEP_TOPIC_ARN")),
        render=render_page,
    )


@cache
def _parts() -> Composition:
    return composition()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `step` and `sweep` (the execution's name), sweep, or publish the report of that sweep."""
    started(event, context)
    if event["step"] == REPAIR:
        return _repair(event)
    if event["step"] == REPORT:
        return _report(event)
    raise InvalidConfiguration(f"step is '{event['step']}'; {REPAIR} or {REPORT} would be right")


def _repair(event: dict[str, Any]) -> dict[str, Any]:
    parts = _parts()
    asked = event.get("options") or {}
    always = parts.environment.variables.get("SNAPKEEP_ADOPT_HISTORY", "") == "yes"
    options = SweepOptions(adopt=always or asked.get("adopt") is True, retry_failed=asked.get("retry_failed") is True)
    swept = build(parts).run(event["sweep"], options)
    build_reports(parts).keep_interim(swept.report)
    audit_sweep(swept.report)
    return plan_answer(swept.plan, swept.remove)


def _report(event: dict[str, Any]) -> dict[str, Any]:
    parts = _parts()
    reports = build_reports(parts)
    report = _finished(event, parts, reports)
    published = reports.run(report)
    metrics.emit(metrics.report_lines(report))
    return {"outcome": published.outcome, "summary": published.summary, "json": published.json, "page": published.page}


def _finished(event: dict[str, Any], parts: Composition, reports: PublishReport) -> SweepReport:
    now, state = parts.clock.now(), event["state"]
    if "plan" not in state:
        return _broken(event, parts)
    deletion = state.get("deletion", {})
    failed = [DeletionResult(one["snapshot_id"], Deletion(one["outcome"]), one["cause"]) for one in deletion.get("failed", [])]
    orders = state["plan"]["delete"]
    if "error" in state:
        cause = f"{state['error'].get('Error')}: {str(state['error'].get('Cause'))[:500]}"
        failed = [DeletionResult(order["snapshot_id"], Deletion.NOT_ALLOWED, cause) for order in orders]
    return complete(reports.interim(event["sweep"]), orders, failed, now)


def _broken(event: dict[str, Any], parts: Composition) -> SweepReport:
    error = event["state"].get("error", {})
    now = parts.clock.now()
    return SweepReport(
        id=event["sweep"],
        system=parts.environment.system,
        stack=parts.environment.stack,
        region=parts.environment.region,
        started_at=now,
        ended_at=now,
        broken=f"{error.get('Error', 'Failed')}: {str(error.get('Cause', 'no cause was given'))[:2000]}",
    )
