"""`snapkeep status`: how well each volume is protected, and the queue of copies."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Grouping, Json, argument, option, pairs_of, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.output import make_console, print_json, warn
from snapkeep.domain.protection import VolumeHealth
from snapkeep.usecases.look.status import DEFAULT_QUOTA, EVERY_VOLUME, Destination, SystemStatus, VolumeFilter, gather_status

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from snapkeep.cli.installed_system import InstalledSystem

app = typer.Typer(help="Show how well each volume is protected.")


@app.command()
@with_aws_settings
def status(
    settings: AwsSettings,
    volumes: Annotated[list[str] | None, argument("VOLUME", "Ids or names (with * and ?) to show in detail.")] = None,
    *,
    instance: Annotated[list[str] | None, option("--instance", "Volumes of an instance.", "ID")] = None,
    tag: Annotated[list[str] | None, option("--tag", "Volumes with a tag (* and ?).", "KEY=VALUE")] = None,
    policy: Annotated[list[str] | None, option("--policy", "Volumes of a policy.", "NAME")] = None,
    state: Annotated[list[VolumeHealth] | None, option("--state", "Volumes in a state.")] = None,
    by: Annotated[Grouping, option("--by", "Group volumes by cause or by instance.")] = Grouping.CAUSE,
    everything: Annotated[bool, option("--all", "Show every volume and every queued copy.")] = False,
    details: Annotated[bool, option("--details", "Show all that is known of each volume.")] = False,
    watch: Annotated[bool, option("--watch", "Repeat until Ctrl-C.")] = False,
    every: Annotated[int, option("--every", "Interval of --watch.", "SECONDS", min=1)] = 10,
    prometheus: Annotated[bool, option("--prometheus", "Print metrics in Prometheus's text format.")] = False,
    json: Json = False,
) -> None:
    """Show how many volumes can be recovered, how well each is protected, and the queue of copies.

    The volumes are grouped by cause, the worst first, on one screen. Options
    that choose volumes may be repeated. Exits with status 1 if anything
    needs attention.
    """
    if sum((watch, prometheus, json)) > 1:
        raise WrongUse("--watch, --prometheus, --json: choose one")
    chosen = VolumeFilter(
        tuple(volumes or ()), tuple(instance or ()), pairs_of(tag, "--tag"), tuple(policy or ()), tuple(state or ())
    )
    screen = Screen(by=by, everything=everything or bool(volumes), details=details or bool(volumes))
    current = _watched(settings, chosen, every, screen) if watch else _look(settings, chosen)
    if chosen != EVERY_VOLUME and not current.volumes:
        raise WrongUse("no volume matches; without these options `snapkeep status` shows all")
    if json:
        from snapkeep.cli.views.status_forms import status_as_data  # noqa: PLC0415 - what is not printed is not imported

        print_json(status_as_data(current))
    elif prometheus:
        from snapkeep.cli.views.status_forms import status_as_prometheus  # noqa: PLC0415

        warn(current.problems)
        sys.stdout.write(status_as_prometheus(current))
    elif not watch:
        console = make_console()
        console.print(screen.view(settings, current, console))
    exit_unless(current.healthy)


LEAST_LINES, MOST_LINES = 24, 50
"""The height of one screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The choices of `status`: grouping, and how much is shown."""

    by: Grouping
    everything: bool
    details: bool

    def view(self, settings: AwsSettings, current: SystemStatus, console: Console, *, live: bool = False) -> RenderableType:
        """Return a status as it is printed on a console; `live` fills its height and never passes it."""
        from snapkeep.cli.views.status import status_view  # noqa: PLC0415 - imports rich
        from snapkeep.cli.views.status_lines import StatusLayout  # noqa: PLC0415

        lines = console.height if console.is_terminal else MOST_LINES
        height = lines - 1 if live else 0 if self.everything else min(max(lines - 1, LEAST_LINES), MOST_LINES)
        links = settings.console_links
        layout = StatusLayout(width=console.width, height=height, details=self.details, grouping=self.by, links=links)
        return status_view(current, layout)


def _look(settings: AwsSettings, chosen: VolumeFilter) -> SystemStatus:
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415

    return look(InstalledSystem(replace(settings, read_only=True)), chosen)


def look(installed: InstalledSystem, chosen: VolumeFilter = EVERY_VOLUME) -> SystemStatus:
    """Return the status of a system in all its regions, of the chosen volumes."""
    from snapkeep.cli.installed_system import policies_of  # noqa: PLC0415
    from snapkeep.cli.side_by_side import side_by_side  # noqa: PLC0415

    settings = installed.settings
    primary, *dr_regions = installed.regions_in_use()
    destinations = [
        Destination(
            reader=installed.adapters.points_of(seen.region),
            queue=installed.adapters.queue_of(seen.region),
            quota=int(seen.stack.get("CopyQuota", DEFAULT_QUOTA)),
            deployed=bool(seen.stack),
            problem=seen.problem,
        )
        for seen in dr_regions
    ]
    current = gather_status(
        installed.adapters.points_of(settings.region),
        destinations,
        policies_of([primary, *dr_regions]),
        datetime.now(UTC),
        system=settings.system,
        problem=primary.problem,
        chosen=chosen,
        run_tasks=side_by_side,
    )
    missing = [] if primary.problem else installed.stacks_missing([settings.region])
    broken = [seen.policies.problem for seen in (primary, *dr_regions) if seen.policies.problem]
    known = [settings.region] if current.primary_known else []
    known += [seen.region for seen in current.destinations if seen.known]
    placed = installed.adapters.placed_holds(known)
    problems = (*missing, *broken, *current.problems, *placed.unread.values())
    holds_known = not placed.unread and set(known) == {seen.region for seen in (primary, *dr_regions)}
    return replace(current, problems=problems, holds=placed.holds, holds_known=holds_known)


def _watched(settings: AwsSettings, chosen: VolumeFilter, every: int, screen: Screen) -> SystemStatus:
    """Show the status repeatedly until Ctrl-C, and return the last one."""
    from rich.live import Live  # noqa: PLC0415

    console = make_console()
    current = _look(settings, chosen)
    with Live(screen.view(settings, current, console, live=True), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(every)
                current = _look(settings, chosen)
                live.update(screen.view(settings, current, console, live=True), refresh=True)
        except KeyboardInterrupt:
            return current
