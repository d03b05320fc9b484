"""`snapkeep plan`: what would be kept, copied and deleted, and why. Its clients refuse every write."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, RegionScope, in_scope, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import print_json, printable, warn
from snapkeep.cli.policy_files import read_policies

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.cli.views.plan import LineLayout
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.domain.retention.region_plan import RegionPlan

app = typer.Typer(help="Show what would be kept, copied and deleted, and why.")


@app.command()
@with_aws_settings
def plan(
    settings: AwsSettings,
    *,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", exists=True, dir_okay=False, help="Plan with this policy document."),
    ] = None,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="Plan for a time such as 2026-12-24T03:00Z.")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="Show only the changes to the plan of now.")] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="Plan as if existing snapshots were adopted.")] = False,
    scope: Annotated[RegionScope, typer.Option(help="Regions to show.")] = RegionScope.BOTH,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Json = False,
) -> None:
    """Show each volume's policy, each snapshot's verdict with its reasons, and missing copies.

    Writes nothing. Exits with status 1 if a plan would be refused, a volume's
    tag names an unknown policy, a document cannot be used, or no deployed stack was found.
    """
    if json and csv:
        raise WrongUse("--json and --csv: choose one")
    if diff and csv:
        raise WrongUse("--diff cannot be printed as CSV: give --json instead")
    if diff and not (policy or at or adopt):
        raise WrongUse("--diff compares with the policies in force now: give --policy, --at or --adopt")
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need

    installed, now = InstalledSystem(replace(settings, read_only=True)), datetime.now(UTC)
    moment = _moment(at) if at else now
    proposed = [_from_file(policy, installed)] if policy else []
    in_force = installed.policies_in_force(*proposed) if diff or not proposed else {}
    regions = list(in_force) or installed.regions(*proposed)
    policies = dict.fromkeys(regions, proposed[0]) if proposed else in_force
    broken = [policy_set.problem for policy_set in in_force.values() if policy_set.problem]
    from snapkeep.domain.policy.source import DEFAULTS  # noqa: PLC0415

    missing = installed.stacks_missing(regions)
    by_defaults = any(policy_set.source == DEFAULTS for policy_set in policies.values())
    if by_defaults:
        missing.insert(
            0, "not known: the policies in force. This plan goes by the templates' defaults, as no deployed stack was found"
        )
    if by_defaults and not (json or csv):
        sys.stdout.writelines(f"{printable(text)}\n" for text in missing)
    else:
        warn(missing)
    warn(broken)
    make_plans, about = installed.plan_maker(regions), f" for {moment:%Y-%m-%d %H:%M} UTC" if at else ""
    plans = in_scope(make_plans(policies, moment, adopt=adopt), scope)
    if diff:
        before = in_scope(make_plans(in_force, now), scope)
        _print_changes(list(zip(before, plans, strict=True)), about, json=json)
    else:
        _print_plans(plans, about, json=json, csv=csv)
    if (
        broken
        or by_defaults
        or any(volume.refusals or volume.selection.problem for region_plan in plans for volume in region_plan.volumes)
    ):
        raise typer.Exit(NOT_ALL_RIGHT)


EARLIEST, TOO_LATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Plans are made for times between these: rules compute with the years before and after."""


def _moment(text: str) -> datetime:
    from snapkeep.domain.tags import parse_time  # noqa: PLC0415

    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo and not EARLIEST <= time < TOO_LATE:
            raise WrongUse(f"--at {text}: give a time from {EARLIEST:%Y-%m-%dT%H:%MZ} to before {TOO_LATE:%Y-%m-%dT%H:%MZ}")
        return parse_time(text)
    except ValueError as error:
        raise WrongUse(f"--at {text}: write a time with its time zone, such as 2026-12-24T03:00Z") from error


def _from_file(path: Path, installed: InstalledSystem) -> PolicySet:
    region = installed.settings.region
    return read_policies(path, region=region, limits=installed.parameters_as_policies()[region].limits)[1]


def _print_plans(plans: list[RegionPlan], moment: str, *, json: bool, csv: bool) -> None:
    from snapkeep.cli.views.plan import write_csv, write_json, write_plan  # noqa: PLC0415

    if json:
        write_json(sys.stdout, plans)
    elif csv:
        write_csv(sys.stdout, plans)
    else:
        for number, region_plan in enumerate(plans):
            sys.stdout.write("\n" if number else "")
            write_plan(sys.stdout, region_plan, _layout(), moment=moment)


def _print_changes(compared: list[tuple[RegionPlan, RegionPlan]], moment: str, *, json: bool) -> None:
    from snapkeep.cli.views.plan_changes import changes_as_data, write_changes  # noqa: PLC0415

    if json:
        print_json({"regions": [changes_as_data(before, after) for before, after in compared]})
        return
    for number, (before, after) in enumerate(compared):
        sys.stdout.write("\n" if number else "")
        write_changes(sys.stdout, before, after, _layout(), moment=moment)


def _layout() -> LineLayout:
    """Return the terminal's width (or `COLUMNS`) and whether it shows colour."""
    from snapkeep.cli.views.plan import COLUMNS, NARROWEST, WIDEST, LineLayout  # noqa: PLC0415

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    columns = get_terminal_size((COLUMNS, 0)).columns if known else COLUMNS
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ  # no-color.org
    return LineLayout(min(max(columns, NARROWEST), WIDEST), colour)
