"""`snapkeep plan`: what would be kept, copied and deleted, and why. Its clients refuse to write."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, Scope, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import print_json
from snapkeep.cli.policy_files import read_policies

if TYPE_CHECKING:
    from snapkeep.cli.installed import Installed
    from snapkeep.cli.views.plan import LineLayout
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.domain.retention.region_plan import RegionPlan

app = typer.Typer(help="What would be kept, copied and deleted, and why. Writes nothing.")


@app.command()
@with_aws_settings
def plan(
    settings: AwsSettings,
    *,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy", metavar="FILE", exists=True, dir_okay=False, help="Plan with this document, which is not in force."
        ),
    ] = None,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="Plan for this moment, such as 2026-12-24T03:00Z.")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show only what would change against the policies in force now.")] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="Plan as if what can be adopted had been.")] = False,
    scope: Annotated[Scope, typer.Option(help="Which regions to show.")] = Scope.BOTH,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV for a spreadsheet.")] = False,
    json: Json = False,
) -> None:
    """Show each volume's policy and why, each snapshot's verdict with every reason, and the copies that are missing.

    Exit status 1 if a plan would be refused, a volume's tag names a policy that is not there, or a document cannot be used.
    """
    if json and csv:
        raise WrongUse("--json and --csv: choose one")
    if diff and csv:
        raise WrongUse("--diff has no form as CSV: give --json, or leave one out")
    if diff and not (policy or at or adopt):
        raise WrongUse("--diff compares with what is in force now: give --policy, --at or --adopt")
    from snapkeep.cli.installed import Installed  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.usecases.retention.plan_regions import gather_all_facts, make_plans  # noqa: PLC0415

    installed, now = Installed(replace(settings, read_only=True)), datetime.now(UTC)
    moment = _moment(at) if at else now
    given = [_from_file(policy, installed)] if policy else []
    in_force = installed.policies_in_force(*given) if diff or not given else {}
    regions = list(in_force) or installed.regions(*given)
    chosen = dict.fromkeys(regions, given[0]) if given else in_force
    broken = [one.problem for one in in_force.values() if one.problem]
    for told in (*installed.stacks_missing(regions), *broken):
        typer.echo(told, err=True)
    readers = [installed.reader(one) for one in regions]
    guards = [installed.guards(region) for region in regions]
    facts = gather_all_facts(readers[0], readers[1:], installed.waiting(regions[1:]))
    plans = _shown(make_plans(guards, facts, chosen, moment, system=settings.system, adopt=adopt), scope)
    if diff:
        before = _shown(make_plans(guards, facts, in_force, now, system=settings.system), scope)
        _print_changes(list(zip(before, plans, strict=True)), _for(at, moment), json=json)
    else:
        _print_plans(plans, _for(at, moment), json=json, csv=csv)
    if broken or any(volume.refusals or volume.selection.problem for one in plans for volume in one.volumes):
        raise typer.Exit(NOT_ALL_RIGHT)


EARLIEST, TOO_LATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Plans are made for moments between: rules reckon with years before and after, which must be years too."""


def _moment(text: str) -> datetime:
    from snapkeep.domain.tags import parse_time  # noqa: PLC0415

    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo and not EARLIEST <= given < TOO_LATE:
            raise WrongUse(f"--at {text}: give a moment from {EARLIEST:%Y-%m-%dT%H:%MZ} until before {TOO_LATE:%Y-%m-%dT%H:%MZ}")
        return parse_time(text)
    except ValueError as error:
        raise WrongUse(f"--at {text}: write a moment with its time zone, such as 2026-12-24T03:00Z") from error


def _from_file(path: Path, installed: Installed) -> PolicySet:
    region = installed.settings.region
    return read_policies(path, region=region, limits=installed.parameters_as_policies()[region].limits)[1]


def _shown(plans: list[RegionPlan], scope: Scope) -> list[RegionPlan]:
    return {Scope.BOTH: plans, Scope.PRIMARY: plans[:1], Scope.DR: plans[1:]}[scope]


def _for(at: str, moment: datetime) -> str:
    return f" for {moment:%Y-%m-%d %H:%M} UTC" if at else ""


def _print_plans(plans: list[RegionPlan], moment: str, *, json: bool, csv: bool) -> None:
    from snapkeep.cli.views.plan import write_csv, write_json, write_plan  # noqa: PLC0415

    if json:
        write_json(sys.stdout, plans)
    elif csv:
        write_csv(sys.stdout, plans)
    else:
        for number, one in enumerate(plans):
            sys.stdout.write("\n" if number else "")
            write_plan(sys.stdout, one, _layout(), moment=moment)


def _print_changes(compared: list[tuple[RegionPlan, RegionPlan]], moment: str, *, json: bool) -> None:
    from snapkeep.cli.views.plan_changes import changes_as_data, write_changes  # noqa: PLC0415

    if json:
        print_json({"regions": [changes_as_data(before, after) for before, after in compared]})
        return
    for number, (before, after) in enumerate(compared):
        sys.stdout.write("\n" if number else "")
        write_changes(sys.stdout, before, after, _layout(), moment=moment)


def _layout() -> LineLayout:
    """Return how wide the terminal is, or what `COLUMNS` says, and whether it wants colour."""
    from snapkeep.cli.views.plan import COLUMNS, NARROWEST, WIDEST, LineLayout  # noqa: PLC0415

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    columns = get_terminal_size((COLUMNS, 0)).columns if known else COLUMNS
    return LineLayout(min(max(columns, NARROWEST), WIDEST), in_colour())


def in_colour() -> bool:
    """Whether stdout is a terminal that wants colour (no-color.org)."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
