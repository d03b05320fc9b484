"""`snapkeep recoverable`: what can be recovered, where, and to when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, pairs_of, time_of, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import print_json, write_lines

CLOCK_SKEW = timedelta(minutes=5)
"""A moment that is so little ahead may come from another machine, whose clock is ahead."""

app = typer.Typer(help="Show what can be recovered, where, and to when.")

Targets = Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="Volume or instance ids, or names.")]
At = Annotated[str, typer.Option("--at", metavar="TIME", help="The newest point up to a time such as 2026-12-24T03:00Z.")]
In = Annotated[str, typer.Option("--in", metavar="REGION", help="Look in this region alone.")]
OfPolicy = Annotated[str, typer.Option("--policy", metavar="NAME", help="Volumes of this policy.")]
OfTags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Volumes with this tag. Repeatable.")]


def moment_of(at: str, now: datetime) -> datetime:
    """Return the moment of `--at`; now without it. Raise WrongUse for one in the future, which has no points yet."""
    moment = time_of(at) if at else now
    if moment > now + CLOCK_SKEW:
        raise WrongUse(f"--at {at} is in the future: it is {now:%Y-%m-%dT%H:%MZ} now (Z is UTC)")
    return moment


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

    It reads what the primary region and each DR region hold, and says which of them it could not look at. Exits with status 1 if
    something that is named, or protected, cannot be recovered, or a region could not be read.
    """
    from snapkeep.cli.drill_times import last_drills  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415
    from snapkeep.cli.unusual_changes import changes_by_volume  # noqa: PLC0415
    from snapkeep.cli.views.recoverable import as_data, lines  # noqa: PLC0415
    from snapkeep.domain.recovery.choice import Target  # noqa: PLC0415
    from snapkeep.usecases.recovery.find_points import RecoverableThings, find_points  # noqa: PLC0415

    installed, now = InstalledSystem(replace(settings, read_only=True)), datetime.now(UTC)
    regions, unknown = ([in_region], "") if in_region else installed.regions_with_points()
    readers = {region: installed.adapters.points_of(region) for region in regions}
    target = Target(tuple(targets or ()), policy, pairs_of(tag, "--tag"))
    dr_regions = [region for region in regions if region != settings.region]
    changes, unread = changes_by_volume(installed, dr_regions or [installed.dr_region])
    found = find_points(readers, target, moment_of(at, now), changes)
    if unknown:
        found.append(RecoverableThings("", {}, unknown))
    drills = {
        things.region: last_drills(installed, things.region) for things in found if things.region not in ("", settings.region)
    }
    if json:
        print_json(as_data(found, drills))
    else:
        write_lines(lines(found, now, drills))
        write_lines(f"unusual changes are not known: the bucket of {region} cannot be read" for region in unread)
    if any(
        things.problem or any(not choice.whole or not choice.points for choice in things.choices.values()) for things in found
    ):
        raise typer.Exit(NOT_ALL_RIGHT)
