"""`snapkeep report`: the reports of sweeps, and the signals, that the buckets keep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from snapkeep.cli.common import AwsSettings, Json, argument, option, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless, known_errors, one_line
from snapkeep.cli.output import print_json, show_result, warn
from snapkeep.cli.side_by_side import side_by_side
from snapkeep.cli.vault_stack import vault_stack
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.json_codec import from_text, to_object
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind
from snapkeep.usecases.sweep.report_names import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snapkeep.adapters.s3_reports import S3Reports
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.signals import SignalRecord
    from snapkeep.usecases.sweep.publish_report import KeptReport

T = TypeVar("T")

app = typer.Typer(help="List the reports of sweeps, show one again, and list the signals.")

AT_ONCE = 8
"""Reports that are read at the same time."""
MOST_SIGNALS = 500
"""Signals of a region that are read at most."""
FIRST_DAY = date(2026, 1, 1)
"""A day before every report."""
_Days = Annotated[int, option("--days", "How many days back.", "DAYS", min=1)]
NOTHING_KNOWN: Mapping[str, KeptReport] = MappingProxyType({})


@app.command("list")
@with_aws_settings
def list_reports(settings: AwsSettings, *, days: _Days = 14, json: Json = False) -> None:
    """List the reports of every region, the newest first.

    Exits with status 1 if a region, or a report, could not be read.
    """
    from snapkeep.cli.views.sweep import list_as_data, print_list  # noqa: PLC0415 - imports what --help does not need

    reports, problems, _ = _kept(settings, days, kept_and_problem)
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
    from snapkeep.cli.views.signals import signal_lines  # noqa: PLC0415 - imports what --help does not need

    records, problems, regions = _kept(settings, days, signals_and_problem)
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


def _kept(
    settings: AwsSettings, days: int, read: Callable[[S3Reports, date], tuple[list[T], str]]
) -> tuple[list[T], dict[str, str], list[str]]:
    """Return what is read of each region's bucket, from so many days back on, why there may be more, and the regions."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need

    first_day = datetime.now(UTC).date() - timedelta(days=days - 1)
    stores, problems = report_stores(InstalledSystem(replace(settings, read_only=True)))
    return *kept_everywhere(stores, problems, lambda store: read(store, first_day)), list(stores)


def report_stores(installed: InstalledSystem) -> tuple[dict[str, S3Reports], dict[str, str]]:
    """Return the reports of each region with a stack, or of the vault, and why a region could not be read."""
    from snapkeep.adapters.s3_reports import S3Reports  # noqa: PLC0415 - imports botocore
    from snapkeep.cli.installed_vault import is_vault  # noqa: PLC0415

    stores, problems, settings = {}, {}, installed.settings
    if is_vault(installed):
        bucket = vault_stack(settings).outputs["ReportsBucketName"]
        return {settings.region: S3Reports(client=settings.client("s3", settings.region), bucket=bucket)}, {}
    for reading in installed.regions_in_use():
        region = reading.region
        if reading.problem:
            problems[region] = reading.problem
        elif reading.stack:
            kind = StackKind.PRIMARY if region == settings.region else StackKind.DR
            bucket = installed.stack_outputs(kind, region)["ReportsBucketName"]
            stores[region] = S3Reports(client=settings.client("s3", region), bucket=bucket)
    return stores, problems


def kept_report(store: S3Reports, report_id: str) -> KeptReport | None:
    """Return one report; None where a store has none of that id. Raise WrongUse for one that cannot be read."""
    name = next((name for name in store.names_since(FIRST_DAY) if name.endswith(f"/{report_id}.json")), "")
    kept = _kept_or_problem(store, name) if name else None
    if isinstance(kept, str):
        raise WrongUse(kept)
    return kept


def kept_everywhere(
    stores: Mapping[str, S3Reports], problems: Mapping[str, str], read: Callable[[S3Reports], tuple[list[T], str]]
) -> tuple[list[T], dict[str, str]]:
    """Return what is read of each region's bucket, and the problems with those of the buckets that could not be read wholly."""
    results = side_by_side({region: partial(read, store) for region, store in stores.items()})
    unread = {region: problem for region, (_, problem) in results.items() if problem}
    return [item for kept, _ in results.values() for item in kept], {**problems, **unread}


def kept_and_problem(
    store: S3Reports, first_day: date, known: Mapping[str, KeptReport] = NOTHING_KNOWN
) -> tuple[list[KeptReport], str]:
    """Return the reports of a store from a day on, and why there may be others.

    Those that are `known`, by place, are not read.
    """

    def read(name: str) -> KeptReport | str:
        return known.get(store.location(name)) or _kept_or_problem(store, name)

    return _read_all(lambda: store.names_since(first_day), read)


def signals_and_problem(store: S3Reports, first_day: date) -> tuple[list[SignalRecord], str]:
    """Return the signals of a store from a day on, the newest MOST_SIGNALS, and why there may be others."""
    names: list[str] = []

    # The listing is part of what may fail, so that it is called where errors become problems.
    def newest() -> list[str]:
        names.extend(store.names_since(first_day, SIGNALS))
        return names[-MOST_SIGNALS:]

    records, problem = _read_all(newest, partial(signal_or_problem, store))
    older = f"{len(names) - MOST_SIGNALS:,} older signals are not shown" if len(names) > MOST_SIGNALS else ""
    return records, "; ".join(filter(None, [problem, older]))


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
        return f"whether a trail records the calls in {region} is not known: {one_line(error)}"
    return "" if check.state is CheckState.OK else f"{region}: {check.text}"


def _read_all(names: Callable[[], list[str]], read: Callable[[str], T | str]) -> tuple[list[T], str]:
    """Return what is read of each name, and why there may be others."""
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(read, names()))
    except SnapkeepError as error:
        return [], one_line(error)
    problems = [result for result in results if isinstance(result, str)]
    others = f"; and {counted(len(problems) - 1, 'other')}" if len(problems) > 1 else ""
    return [result for result in results if not isinstance(result, str)], "".join(problems[:1]) + others


def _kept_or_problem(store: S3Reports, name: str) -> KeptReport | str:
    """Return a report, or why it cannot be read: another version may have written it."""
    from snapkeep.domain.sweep.report import SweepReport  # noqa: PLC0415
    from snapkeep.usecases.sweep.publish_report import KeptReport  # noqa: PLC0415

    text = store.get(name)
    try:
        return KeptReport(from_text(SweepReport, text), store.location(name))
    except ValueError as error:
        return f"{store.location(name)}: {one_line(error)}"


def signal_or_problem(store: S3Reports, name: str) -> SignalRecord | str:
    """Return the record of signals, or why it cannot be read."""
    from snapkeep.domain.signals import SignalRecord  # noqa: PLC0415

    text = store.get(name)
    try:
        return from_text(SignalRecord, text)
    except ValueError as error:
        return f"{store.location(name)}: {one_line(error)}"
