"""`snapkeep sweep`: sweep both regions now, the DR region first, and print the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import AwsSettings, Json, RegionScope, Yes, option, require_consent, with_aws_settings
from snapkeep.cli.errors import exit_unless
from snapkeep.cli.executions import ended_execution
from snapkeep.cli.output import make_console, print_json
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.sweep.report import SweepReport
    from snapkeep.usecases.sweep.shared import SweepInput

app = typer.Typer(help="Find and repair missed events now.")

PATIENCE_HOURS = 0.75


@app.command()
@with_aws_settings
def sweep(
    settings: AwsSettings,
    *,
    adopt: Annotated[bool, option("--adopt", "Adopt existing snapshots; retention then applies.")] = False,
    retry_failed: Annotated[bool, option("--retry-failed", "Retry copies that failed for good.")] = False,
    scope: Annotated[RegionScope, typer.Option(help="Regions to sweep.")] = RegionScope.BOTH,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Sweep the regions, wait for the reports, and print them.

    Exits with status 1 unless every report says OK.
    """
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.usecases.sweep.shared import SweepInput, SweepOptions  # noqa: PLC0415

    if adopt:
        question = "" if yes or json else _adoption_question(InstalledSystem(replace(settings, read_only=True)), scope)
        require_consent(
            question, yes=yes, json=json, otherwise="nothing was adopted (`snapkeep plan --adopt` shows what would be)"
        )
    installed = InstalledSystem(settings)
    options = SweepInput(SweepOptions(adopt=adopt, retry_failed=retry_failed))
    # One after the other: the primary's sweep relies on what the DR regions' have settled.
    reports = [
        swept(settings, region, installed.stack_outputs(stack, region), options, quiet=json)
        for stack, region in _stacks(installed, scope)
    ]
    print_reports(reports, json=json)


def print_reports(reports: Sequence[SweepReport], *, json: bool) -> None:
    """Print the reports of sweeps. Exit with status 1 unless every report says OK."""
    from snapkeep.cli.views.sweep import print_report  # noqa: PLC0415 - imports rich
    from snapkeep.domain.sweep.report import SweepOutcome, report_to_json  # noqa: PLC0415

    if json:
        print_json({"reports": [report_to_json(report) for report in reports]})
    else:
        for report in reports:
            print_report(report)
    exit_unless(all(report.outcome is SweepOutcome.OK for report in reports))


def _adoption_question(installed: InstalledSystem, scope: RegionScope) -> str:
    """Return the question that names how many snapshots are adopted, and how many retention then deletes."""
    policies = installed.policies_in_force()
    all_plans = installed.plan_maker(list(policies))(policies, datetime.now(UTC), adopt=True)
    plans = scope.of(all_plans, installed.settings.region)
    adopted = sum(len(volume.adopted) for plan in plans for volume in plan.volumes)
    now = sum(len(plan.deletions) for plan in plans)
    later = sum(len(plan.deletions_after_copies) for plan in plans)
    warnings = "".join(f"{plan.region}: {plan.allowance.warning}.\n" for plan in plans if plan.allowance.warning)
    return warnings + (
        f"Adopt {counted(adopted, 'snapshot')}? Retention then deletes {counted(now + later, 'snapshot')}, {later} of them once "
        "missing copies are made; `snapkeep plan --adopt` lists them."
    )


def _stacks(installed: InstalledSystem, scope: RegionScope) -> list[tuple[StackKind, str]]:
    """Return the stacks to sweep with their regions: every DR region of the policies first, so that the primary knows of it."""
    stacks = [(StackKind.PRIMARY, installed.settings.region)] if scope is not RegionScope.DR else []
    if scope is RegionScope.PRIMARY:
        return stacks
    dr_regions = installed.dr_stack_regions() or [installed.dr_region]
    return [(StackKind.DR, region) for region in dr_regions] + stacks


def swept(settings: AwsSettings, region: str, outputs: Mapping[str, str], options: SweepInput, *, quiet: bool) -> SweepReport:
    """Start the sweep of a stack with these outputs, wait for its end, and return its report."""
    client = settings.client("stepfunctions", region)
    machine = outputs["SweepStateMachineArn"]
    arn = client.start_execution(stateMachineArn=machine, input=to_text(options))["executionArn"]
    console = make_console(stderr=True)
    try:
        with nullcontext() if quiet else console.status(f"Sweeping {region}") as shown:
            ended = ended_execution(
                client,
                arn,
                hours=PATIENCE_HOURS,
                waited=lambda seconds: shown.update(f"Sweeping {region}, {seconds:.0f} s") if shown else None,
            )
    except KeyboardInterrupt:
        # Ctrl-C ends the wait and not the sweep: a stopped one would leave its deletions undone.
        raise KeyboardInterrupt(f"the sweep of {region} continues in AWS: {arn}") from None
    return _report_of(settings, region, ended)


def _report_of(settings: AwsSettings, region: str, execution: Mapping[str, Any]) -> SweepReport:
    """Return the report of an execution that ended. Raise AwsUnavailable, with the cause, if there is none."""
    from snapkeep.adapters.s3_reports import S3Reports  # noqa: PLC0415 - imports botocore
    from snapkeep.domain.sweep.report import SweepReport  # noqa: PLC0415
    from snapkeep.usecases.sweep.publish_report import PublishedReport  # noqa: PLC0415

    output = str(execution.get("output" if execution["status"] == "SUCCEEDED" else "cause") or "")
    try:
        location = from_text(PublishedReport, output).json
    except ValueError as error:
        cause = f"{execution.get('error', execution['status'])}: {output[:500]}"
        raise AwsUnavailable(f"the sweep of {region} ended without a report: {cause}") from error
    bucket, _, name = location.removeprefix("s3://").partition("/")
    store = S3Reports(client=settings.client("s3", region), bucket=bucket)
    return from_text(SweepReport, store.get(name))
