"""`snapkeep report`: the reports of sweeps, and the signals, that the buckets keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from snapkeep.cli.common import AwsSettings, Json, argument, option, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless, known_errors, one_line
from snapkeep.cli.output import print_json, show_result, warn
from snapkeep.cli.side_by_side import side_by_side
from snapkeep.domain.json_codec import to_object

if TYPE_CHECKING:
    from snapkeep.cli.kept_reports import KeptReader

T = TypeVar("T")

app = typer.Typer(help="List and show the reports of sweeps; list the signals.")

_Days = Annotated[int, option("--days", "How many days back.", "DAYS", min=1)]


@app.command("list")
@with_aws_settings
def list_reports(settings: AwsSettings, *, days: _Days = 14, json: Json = False) -> None:
    """List the reports of every region, the newest first.

    Exits with status 1 if a region, or a report, could not be read.
    """
    from snapkeep.cli.kept_reports import report_reader  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.views.sweep import list_as_data, print_list  # noqa: PLC0415

    reports, problems, _ = _kept(settings, days, report_reader())
    reports.sort(key=lambda kept: kept.report.started_at, reverse=True)
    if json:
        print_json({"reports": list(list_as_data(reports)), "problems": problems})
    else:
        print_list(reports)
        warn(problems.values())
    exit_unless(not problems)


@app.command("signals")
@with_aws_settings
def list_signals(settings: AwsSettings, *, days: _Days = 14, json: Json = False) -> None:
    """List the signals of every region, the newest first: calls by others that were notified.

    Exits with status 1 if a region, or a signal, could not be read, or no
    trail records a region's calls.
    """
    from snapkeep.cli.kept_reports import signal_reader  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.views.signals import signal_lines  # noqa: PLC0415

    records, problems, regions = _kept(settings, days, signal_reader())
    unrecorded = side_by_side(
        {region: partial(why_not_recorded, replace(settings, read_only=True), region) for region in regions}
    )
    for region, why in unrecorded.items():
        if why:
            problems[region] = "; ".join(filter(None, [problems.get(region, ""), why]))
    records.sort(key=lambda record: record.first_at, reverse=True)
    data = {"signals": [to_object(record) for record in records], "problems": problems}
    show_result(data, signal_lines(records, known=not problems), problems.values(), json=json)
    exit_unless(not problems)


@app.command()
@with_aws_settings
def show(
    settings: AwsSettings,
    report_id: Annotated[str, argument("ID", "The report's id, as `report list` shows it.")],
    *,
    json: Json = False,
) -> None:
    """Print a report again."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.kept_reports import kept_report, report_stores  # noqa: PLC0415
    from snapkeep.cli.views.sweep import print_report  # noqa: PLC0415
    from snapkeep.domain.sweep.report import report_to_json  # noqa: PLC0415

    stores, problems = report_stores(InstalledSystem(replace(settings, read_only=True)))
    kept = next(filter(None, (kept_report(store, report_id) for store in stores.values())), None)
    if kept is None:
        raise WrongUse("; ".join([f"there is no report {report_id}: `snapkeep report list` lists them", *problems.values()]))
    if json:
        print_json(report_to_json(kept.report))
    else:
        print_report(kept.report)


def _kept(settings: AwsSettings, days: int, reader: KeptReader[T]) -> tuple[list[T], dict[str, str], list[str]]:
    """Return what each region's bucket keeps, from so many days back on, why there may be more, and the regions."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.kept_reports import kept_everywhere, report_stores  # noqa: PLC0415

    first_day = datetime.now(UTC).date() - timedelta(days=days - 1)
    stores, problems = report_stores(InstalledSystem(replace(settings, read_only=True)))
    return *kept_everywhere(stores, problems, reader, first_day), list(stores)


def why_not_recorded(settings: AwsSettings, region: str) -> str:
    """Return why calls by others in a region become no signals; empty where a trail records them."""
    from snapkeep.deploy.doctor.checks import trail_check  # noqa: PLC0415 - imports botocore
    from snapkeep.deploy.doctor.cloudtrail import recording_trails  # noqa: PLC0415
    from snapkeep.deploy.doctor.results import CheckState  # noqa: PLC0415

    def client_of(service: Any, region: str = region) -> Any:
        return settings.client(service, region)

    try:
        check = trail_check(region, recording_trails(client_of))
    except known_errors() as error:
        return f"it is not known whether a trail records the calls in {region}: {one_line(error)}"
    return "" if check.state is CheckState.OK else f"{region}: {check.text}"
