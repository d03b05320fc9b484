"""`snapkeep status`: how well each volume is protected, and the queue of copies."""

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
    from snapkeep.usecases.look.status import SystemStatus

app = typer.Typer(help="Show how well each volume is protected.")


@app.command()
@with_aws_settings
def status(
    settings: AwsSettings,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option("--every", min=1, metavar="SECONDS", help="Interval of --watch.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Show every volume and every queued copy.")] = False,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Print metrics in Prometheus's text format.")] = False,
    json: Json = False,
) -> None:
    """Show how well each volume is protected, and the queue of copies.

    Exits with status 1 if anything needs attention.
    """
    if sum((watch, prometheus, json)) > 1:
        raise WrongUse("--watch, --prometheus, --json: choose one")
    current = _watched(settings, every, everything=everything) if watch else look(settings)
    if json:
        from snapkeep.cli.views.status_forms import status_as_data  # noqa: PLC0415 - what is not printed is not imported

        print_json(status_as_data(current))
    elif prometheus:
        from snapkeep.cli.views.status_forms import status_as_prometheus  # noqa: PLC0415

        sys.stdout.write(status_as_prometheus(current))
    elif not watch:
        from snapkeep.cli.views.status import status_view  # noqa: PLC0415

        console = make_console()
        console.print(status_view(current, width=console.width, everything=everything))
    if not current.healthy:
        raise typer.Exit(NOT_ALL_RIGHT)


def look(settings: AwsSettings) -> SystemStatus:
    """Return the status of a system in all its regions."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore
    from snapkeep.usecases.look.status import DEFAULT_QUOTA, Destination, gather_status  # noqa: PLC0415

    installed = InstalledSystem(settings)
    primary = installed.primary_seen()
    dr_regions = installed.dr_regions(primary.policies)
    destinations = [
        Destination(
            reader=installed.adapters.reader_of(seen.region),
            queue=installed.adapters.queue_of(seen.region),
            quota=int(seen.stack.get("CopyQuota", DEFAULT_QUOTA)),
            deployed=bool(seen.stack),
            problem=seen.problem,
        )
        for seen in dr_regions
    ]
    reader = installed.adapters.reader_of(settings.region)
    now = datetime.now(UTC)
    current = gather_status(reader, destinations, primary.policies, now, system=settings.system, problem=primary.problem)
    missing = [] if primary.problem else installed.stacks_missing([settings.region])
    broken = [seen.policies.problem for seen in (primary, *dr_regions) if seen.policies.problem]
    return replace(current, problems=(*missing, *broken, *current.problems))


def _watched(settings: AwsSettings, every: int, *, everything: bool) -> SystemStatus:
    """Show the status repeatedly until Ctrl-C, and return the last one."""
    from rich.live import Live  # noqa: PLC0415

    from snapkeep.cli.views.status import status_view  # noqa: PLC0415

    console = make_console()
    current = look(settings)
    with Live(status_view(current, width=console.width, everything=everything), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(every)
                current = look(settings)
                live.update(status_view(current, width=console.width, everything=everything), refresh=True)
        except KeyboardInterrupt:
            return current
