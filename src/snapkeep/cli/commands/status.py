"""`snapkeep status`: each volume's newest snapshot and copy, its RPO age, what waits and what failed."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import make_console, print_json

if TYPE_CHECKING:
    from snapkeep.usecases.look.status import Status

app = typer.Typer(help="Each volume: newest snapshot, newest copy, RPO age, what waits, what failed.")


@app.command()
@with_aws_settings
def status(
    settings: AwsSettings,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option("--every", min=1, metavar="SECONDS", help="How often --watch looks.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Show every volume and every copy in the queue.")] = False,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Print metrics in Prometheus's text form.")] = False,
    json: Json = False,
) -> None:
    """Show how every volume and every copy stands. Exit status 1 when something is wrong."""
    if sum((watch, prometheus, json)) > 1:
        raise WrongUse("--watch, --prometheus, --json: choose one")
    found = _watched(settings, every, everything=everything) if watch else look(settings)
    if json:
        from snapkeep.cli.views.status_forms import status_as_data  # noqa: PLC0415 - what is not printed is not imported

        print_json(status_as_data(found))
    elif prometheus:
        from snapkeep.cli.views.status_forms import status_as_prometheus  # noqa: PLC0415

        sys.stdout.write(status_as_prometheus(found))
    elif not watch:
        from snapkeep.cli.views.status import status_view  # noqa: PLC0415

        console = make_console()
        console.print(status_view(found, width=console.width, everything=everything))
    if not found.healthy:
        raise typer.Exit(NOT_ALL_RIGHT)


def look(settings: AwsSettings) -> Status:
    """Given settings, return how everything stands now, in every DR region that the policies name."""
    from snapkeep.cli.installed import Installed  # noqa: PLC0415 - imports botocore
    from snapkeep.usecases.look.status import DEFAULT_QUOTA, Destination, gather_status  # noqa: PLC0415

    installed = Installed(settings)
    primary = installed.primary_seen()
    dr_regions = installed.dr_regions(primary.policies)
    destinations = [
        Destination(
            reader=installed.reader(seen.region),
            queue=installed.queue(seen.region),
            quota=int(seen.stack.get("CopyQuota", DEFAULT_QUOTA)),
            deployed=bool(seen.stack),
            problem=seen.problem,
        )
        for seen in dr_regions
    ]
    reader = installed.reader(settings.region)
    now = datetime.now(UTC)
    found = gather_status(reader, destinations, primary.policies, now, system=settings.system, problem=primary.problem)
    missing = [] if primary.problem else installed.stacks_missing([settings.region])
    broken = [seen.policies.problem for seen in (primary, *dr_regions) if seen.policies.problem]
    return replace(found, problems=(*missing, *broken, *found.problems))


def _watched(settings: AwsSettings, every: int, *, everything: bool) -> Status:
    """Show the status again and again until Ctrl-C; return the last one."""
    from rich.live import Live  # noqa: PLC0415

    from snapkeep.cli.views.status import status_view  # noqa: PLC0415

    console = make_console()
    found = look(settings)
    with Live(status_view(found, width=console.width, everything=everything), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(every)
                found = look(settings)
                live.update(status_view(found, width=console.width, everything=everything), refresh=True)
        except KeyboardInterrupt:
            return found
