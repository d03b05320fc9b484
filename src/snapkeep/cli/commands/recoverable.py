"""`snapkeep recoverable`: what can be recovered, where, and to when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, argument, option, pairs_of, time_of, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless, known_errors, one_line
from snapkeep.cli.output import show_result
from snapkeep.cli.volume_history import changes_by_volume, last_drills

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.recovery.choice import Target

CLOCK_SKEW = timedelta(minutes=5)
"""A moment that is so little ahead may come from another machine, whose clock is ahead."""

app = typer.Typer(help="Show what can be recovered, where, and to when.")

Targets = Annotated[list[str] | None, argument("TARGET", "Volume or instance ids, or names.")]
At = Annotated[str, option("--at", "The newest point up to a time such as 2026-12-24T03:00Z.", "TIME")]
In = Annotated[str, option("--in", "Look in this region alone.", "REGION")]
OfPolicy = Annotated[str, option("--policy", "Volumes of this policy.", "NAME")]
OfTags = Annotated[list[str] | None, option("--tag", "Volumes with this tag. Repeatable.", "KEY=VALUE")]


def moment_of(at: str, now: datetime) -> datetime:
    """Return the moment of `--at`; now without it. Raise WrongUse for one in the future, which has no points yet."""
    moment = time_of(at) if at else now
    if moment > now + CLOCK_SKEW:
        raise WrongUse(f"--at {at} is in the future: it is {now:%Y-%m-%dT%H:%MZ} now (Z is UTC)")
    return moment


def _expected_by_region(installed: InstalledSystem, target: Target) -> tuple[Mapping[str, Collection[str]], str]:
    """Return by region the volumes that policies want to be recoverable there, or why that is not known."""
    from snapkeep.usecases.recovery.find_points import NOTHING_EXPECTED, expected_points  # noqa: PLC0415

    why = "which volumes policies govern is not known"
    try:
        primary = installed.primary_seen()
        if primary.problem or not primary.stack:
            return NOTHING_EXPECTED, f"{why}: {primary.problem}" if primary.problem else ""
        volumes = installed.adapters.points_of(installed.settings.region).all_volumes()
        return expected_points(volumes, primary.policies, target), ""
    except known_errors() as error:
        return NOTHING_EXPECTED, f"{why}: {one_line(error)}"


@app.command()
@with_aws_settings
def recoverable(
    settings: AwsSettings,
    targets: Targets = None,
    *,
    at: At = "",
    in_region: In = "",
    policy: OfPolicy = "",
    tag: OfTags = None,
    json: Json = False,
) -> None:
    """Show the recovery points of volumes and instances: the newest up to a moment, whole sets first.

    It reads the primary region and each DR region, and names those that it could not read. Exits with status 1 if a named
    volume or instance, or a volume under a policy, cannot be recovered in a region, or a region could not be read.
    """
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.views.recoverable import as_data, lines  # noqa: PLC0415
    from snapkeep.domain.recovery.choice import Target  # noqa: PLC0415
    from snapkeep.usecases.recovery.find_points import RegionPoints, find_points  # noqa: PLC0415

    installed, now = InstalledSystem(replace(settings, read_only=True)), datetime.now(UTC)
    regions, unknown = ([in_region], "") if in_region else installed.regions_with_points()
    readers = {region: installed.adapters.points_of(region) for region in regions}
    target = Target(tuple(targets or ()), policy, pairs_of(tag, "--tag"))
    dr_regions = [region for region in regions if region != settings.region]
    changes, unread = changes_by_volume(installed, dr_regions or [installed.dr_region])
    # Nothing shows which volumes existed at a moment in the past.
    expected, unread_volumes = ({}, "") if targets or at else _expected_by_region(installed, target)
    all_points = find_points(readers, target, moment_of(at, now), changes, expected)
    if not any(points.problem for points in all_points):
        unknown = unknown or unread_volumes
    if unknown:
        all_points.append(RegionPoints("", {}, unknown))
    drills = {
        points.region: last_drills(installed, points.region)
        for points in all_points
        if points.region not in ("", settings.region)
    }
    not_known = (f"unusual changes are not known: the bucket of {region} cannot be read" for region in unread)
    show_result(as_data(all_points, drills), [*lines(all_points, now, drills), *not_known], json=json)
    choices = (choice for points in all_points for choice in points.choices.values())
    exit_unless(all(choice.whole and choice.points for choice in choices) and not any(points.problem for points in all_points))
