"""`snapkeep runs`: the latest executions of the state machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import typer

from snapkeep.cli.common import AwsSettings, Json, with_aws_settings
from snapkeep.cli.errors import exit_unless
from snapkeep.cli.output import show_result

app = typer.Typer(help="List the latest executions of the state machines.")


@app.command()
@with_aws_settings
def runs(settings: AwsSettings, *, json: Json = False) -> None:
    """List the latest executions of each state machine in every region, the newest first.

    Exits with status 1 if a region could not be read.
    """
    from snapkeep.adapters.aws_errors import translated  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.executions import latest_runs  # noqa: PLC0415
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415
    from snapkeep.cli.views.runs import run_lines, runs_as_data  # noqa: PLC0415

    settings = replace(settings, read_only=True)

    def identity(region: str) -> Mapping[str, str]:
        with translated("get_caller_identity"):
            caller: Mapping[str, str] = settings.client("sts", region).get_caller_identity()
        return caller

    readings = InstalledSystem(settings).regions_in_use()
    regions = [reading.region for reading in readings if reading.stack and not reading.problem]
    executions, unread = latest_runs(settings, regions, identity)
    problems = [*(reading.problem for reading in readings if reading.problem), *unread]
    lines = run_lines(executions) if executions or problems else ["no execution: nothing has run yet"]
    show_result(runs_as_data(executions, problems), lines, problems, json=json)
    exit_unless(not problems)
