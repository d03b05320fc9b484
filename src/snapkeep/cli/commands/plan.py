"""`snapkeep plan`: what would be kept, copied and deleted, and why. Its clients refuse every write."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import (
    AwsSettings,
    Json,
    RegionScope,
    argument,
    option,
    time_of,
    with_aws_settings,
)
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.output import print_json, printable, warn
from snapkeep.cli.policy_files import read_policies
from snapkeep.domain.wildcards import matches_any

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.cli.views.plan import LineLayout
    from snapkeep.domain.retention.key_changes import FullCopies
    from snapkeep.domain.retention.region_plan import RegionPlan
    from snapkeep.usecases.look.budgets import CopyBudget

app = typer.Typer(help="Show what would be kept, copied and deleted, and why.")


@app.command()
@with_aws_settings
def plan(
    settings: AwsSettings,
    volumes: Annotated[list[str] | None, argument("VOLUME", "Only volumes of these ids or names (* and ?).")] = None,
    *,
    policy: Annotated[
        Path | None, option("--policy", "Plan with this policy document.", "FILE", exists=True, dir_okay=False)
    ] = None,
    at: Annotated[str, option("--at", "Plan for a time such as 2026-12-24T03:00Z.", "TIME")] = "",
    diff: Annotated[bool, option("--diff", "Show only the changes to the plan of now.")] = False,
    adopt: Annotated[bool, option("--adopt", "Plan as if existing snapshots were adopted.")] = False,
    scope: Annotated[RegionScope, typer.Option(help="Regions to show.")] = RegionScope.BOTH,
    csv: Annotated[bool, option("--csv", "Print CSV.")] = False,
    json: Json = False,
) -> None:
    """Show each volume's policy, each snapshot's verdict with its reasons, and missing copies.

    Writes nothing. The JSON of named volumes shows when each snapshot is deleted.
    Exits with status 1 if a plan would be refused, a volume's tag names an
    unknown policy, a document cannot be used, no deployed stack was found, or
    a region that is to be shown cannot be read; the other regions are shown.
    """
    if json and csv:
        raise WrongUse("--json and --csv: choose one")
    if diff and csv:
        raise WrongUse("--diff cannot be printed as CSV: give --json instead")
    if diff and not (policy or at or adopt):
        raise WrongUse("--diff compares with the policies in force now: give --policy, --at or --adopt")
    from snapkeep.cli.installed_system import InstalledSystem, policies_of  # noqa: PLC0415 - --help needs no botocore
    from snapkeep.cli.stack_limits import lock_problems  # noqa: PLC0415

    installed, now = InstalledSystem(replace(settings, read_only=True)), datetime.now(UTC)
    moment = time_of(at) if at else now
    readings = {reading.region: reading for reading in installed.read_regions()}
    limits = policies_of(readings.values()).limits
    proposed = [read_policies(policy, region=settings.region, limits=limits).policies] if policy else []
    # A proposed document may copy to regions that no policy in force names.
    readings |= installed.read_dr_regions(sorted({region for p in proposed for region in p.copy_regions}.difference(readings)))
    in_force = {region: reading.policies for region, reading in readings.items() if not reading.problem}
    broken = [policy_set.problem for policy_set in in_force.values() if policy_set.problem and (diff or not proposed)]
    make_plans, regions, unlisted = installed.tolerant_plan_maker(list(in_force))
    unread = {region: reading.problem for region, reading in readings.items() if reading.problem} | unlisted
    policies = dict.fromkeys(regions, proposed[0]) if proposed else in_force
    from snapkeep.domain.policy.source import DEFAULTS  # noqa: PLC0415
    from snapkeep.domain.retention.key_changes import full_copies  # noqa: PLC0415

    missing = installed.stacks_missing(in_force)
    by_defaults = any(policies[region].source == DEFAULTS for region in regions)
    if by_defaults:
        missing.insert(
            0, "not known: the policies in force. No deployed stack was found, so this plan uses the templates' defaults"
        )
    if by_defaults and not (json or csv):
        sys.stdout.writelines(f"{printable(text)}\n" for text in missing)
    else:
        warn(missing)
    warn([*broken, *map(_not_known, unread.values()), *(str(p) for each in proposed for p in lock_problems(installed, each))])
    about = f" for {moment:%Y-%m-%d %H:%M} UTC" if at else ""
    all_plans = of_volumes(make_plans(policies, moment, adopt=adopt), volumes)
    plans = scope.of(all_plans, settings.region)
    problems = [problem for region, problem in unread.items() if scope.has(region, settings.region)]
    layout = _layout(settings)
    if diff:
        all_before = of_volumes(make_plans(in_force, now), volumes)
        compared = list(zip(scope.of(all_before, settings.region), plans, strict=True))
        _print_changes(compared, full_copies(all_before, all_plans), about, problems, layout, json=json)
    else:
        budgets = [] if csv else [budget for region_plan in plans for budget in _budgets(installed, region_plan)]
        if json:
            _print_json(plans, problems, budgets, settings.system, goes=bool(volumes))
        else:
            _print_plans(plans, about, budgets, layout, csv=csv)
    refused = any(volume.refusals or volume.selection.problem for region_plan in plans for volume in region_plan.volumes)
    exit_unless(not (broken or problems or by_defaults or refused))


def of_volumes(plans: Sequence[RegionPlan], patterns: Sequence[str] | None) -> list[RegionPlan]:
    """Return the plans with the volumes whose ids or names match one of the patterns. Raise WrongUse if there is none."""
    if not patterns:
        return list(plans)
    chosen = {
        volume.lineage
        for plan in plans
        for volume in plan.volumes
        if any(matches_any(text, patterns) for text in (volume.lineage.volume_id, volume.name))
    }
    if not chosen:
        raise WrongUse(f"no volume matches {' or '.join(patterns)}; without it `snapkeep plan` shows all")
    return [
        replace(
            plan,
            volumes=tuple(volume for volume in plan.volumes if volume.lineage in chosen),
            deletions_after_copies=tuple(
                verdict for verdict in plan.deletions_after_copies if verdict.snapshot.origin.lineage in chosen
            ),
        )
        for plan in plans
    ]


def _budgets(installed: InstalledSystem, region_plan: RegionPlan) -> list[CopyBudget]:
    """Return the budgets of copies into a plan's region; none where they cannot be read, which the plan says anyway."""
    from snapkeep.domain.errors import SnapkeepError  # noqa: PLC0415
    from snapkeep.usecases.look.budgets import copy_budgets  # noqa: PLC0415

    rules = (policy.copy_rule(region_plan.region) for policy in region_plan.policies.policies)
    if any(rule.budget_usd for rule in rules if rule):
        with suppress(SnapkeepError):
            return copy_budgets(region_plan.policies, installed.adapters.queue_of(region_plan.region), datetime.now(UTC))
    return []


def _not_known(problem: str) -> str:
    return f"{problem}; its plan and its copies are not known, and no snapshot whose copy is not known is deleted"


def _print_json(plans: list[RegionPlan], problems: list[str], budgets: list[CopyBudget], system: str, *, goes: bool) -> None:
    from snapkeep.cli.views.plan import write_json  # noqa: PLC0415
    from snapkeep.domain.retention.deletion_forecast import deletion_forecasts  # noqa: PLC0415

    # A forecast of each of a million snapshots takes minutes.
    forecast = partial(deletion_forecasts, now=plans[0].made_at, system=system) if goes and plans else None
    write_json(sys.stdout, plans, problems, budgets, forecast)


def _print_plans(plans: list[RegionPlan], moment: str, budgets: list[CopyBudget], layout: LineLayout, *, csv: bool) -> None:
    from snapkeep.cli.views.plan import write_csv, write_plan  # noqa: PLC0415

    if csv:
        write_csv(sys.stdout, plans)
    else:
        for number, region_plan in enumerate(plans):
            sys.stdout.write("\n" if number else "")
            spent = [budget for budget in budgets if budget.region == region_plan.region]
            write_plan(sys.stdout, region_plan, layout, moment=moment, budgets=spent)


def _print_changes(
    compared: list[tuple[RegionPlan, RegionPlan]],
    full: list[FullCopies],
    moment: str,
    problems: list[str],
    layout: LineLayout,
    *,
    json: bool,
) -> None:
    from snapkeep.cli.views.plan_changes import changes_as_data, write_changes  # noqa: PLC0415
    from snapkeep.cli.views.policy import full_copies_as_data, full_copy_lines  # noqa: PLC0415

    if json:
        regions = [changes_as_data(before, after) for before, after in compared]
        print_json({"regions": regions, "full_copies": full_copies_as_data(full), "problems": problems})
        return
    for number, (before, after) in enumerate(compared):
        sys.stdout.write("\n" if number else "")
        write_changes(sys.stdout, before, after, layout, moment=moment)
    for line in full_copy_lines(full):
        sys.stdout.writelines(f"{text}\n" for text in ("", *layout.wrapped(line, 0, 4)))


def _layout(settings: AwsSettings) -> LineLayout:
    """Return the terminal's width (or `COLUMNS`), and whether it shows colour and links."""
    from snapkeep.cli.console_links import NO_LINKS  # noqa: PLC0415
    from snapkeep.cli.views.plan import COLUMNS, NARROWEST, WIDEST, LineLayout  # noqa: PLC0415

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    columns = get_terminal_size((COLUMNS, 0)).columns if known else COLUMNS
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ  # no-color.org
    links = settings.console_links if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else NO_LINKS
    return LineLayout(min(max(columns, NARROWEST), WIDEST), colour, links)
