"""`snapkeep explain`: the history of one snapshot."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, argument, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.executions import state_machine_arn
from snapkeep.cli.output import make_console, print_json, warn
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.usecases.look.explain import Explain

app = typer.Typer(help="Show the history of one snapshot.")

AUDITED = {
    StackKind.PRIMARY: ("TagSnapshots", "CopySnapshotToDR", "DeleteOldSnapshots", "Sweep"),
    StackKind.DR: ("TagSnapshotCopy", "Dispatch", "DeleteOldSnapshots", "Sweep"),
}
"""The functions of each stack that write audit lines."""
MACHINES = {StackKind.PRIMARY: "protect", StackKind.DR: "receive"}


@app.command()
@with_aws_settings
def explain(
    settings: AwsSettings,
    snapshot: Annotated[str, argument("SNAPSHOT", "Id of a snapshot or of a copy.")],
    *,
    json: Json = False,
) -> None:
    """Show when a snapshot was made, why it is kept or was deleted, and where its copies are.

    Exits with status 1 if nothing is known about it, or a region could not be
    read.
    """
    if not is_snapshot_id(snapshot):
        raise WrongUse(f"'{snapshot}' is not a snapshot id such as snap-0123456789abcdef0")
    explainer = explainer_of(replace(settings, read_only=True))
    warn(policies.problem for policies in explainer.policies.values())
    story = explainer.run(snapshot, datetime.now(UTC))
    from snapkeep.cli.views.explain import print_story, story_as_data  # noqa: PLC0415 - imports rich

    if json:
        print_json(story_as_data(story))
    else:
        print_story(make_console(), story, settings.console_links)
    exit_unless(not story.problems and (story.snapshot or story.events or story.entries))


def is_snapshot_id(text: str) -> bool:
    """Whether a text has the form of a snapshot's id."""
    return re.fullmatch(r"snap-([0-9a-f]{8}|[0-9a-f]{17})", text) is not None


def explainer_of(settings: AwsSettings) -> Explain:
    """Return the use case that explains the snapshots of a system. Raise AwsUnavailable where no region answers."""
    from snapkeep.adapters.cloudwatch_logs import CloudWatchAudit  # noqa: PLC0415
    from snapkeep.adapters.stepfunctions_run_history import RunHistory  # noqa: PLC0415 - imports botocore
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415
    from snapkeep.usecases.look.explain import Explain  # noqa: PLC0415

    installed = InstalledSystem(settings)
    primary, *dr_regions = installed.regions_in_use()
    unreachable = {seen.region: seen.problem for seen in (primary, *dr_regions) if seen.problem}
    stacks = {settings.region: StackKind.PRIMARY} | {seen.region: StackKind.DR for seen in dr_regions if seen.stack}
    readable = [region for region in stacks if region not in unreachable]
    if not readable:
        raise AwsUnavailable("; ".join(unreachable.values()))
    caller = settings.client("sts", readable[0]).get_caller_identity()

    def trail(region: str, stack: StackKind) -> CloudWatchAudit:
        groups = [f"/aws/lambda/{function}{settings.suffix}" for function in AUDITED[stack]]
        return CloudWatchAudit(client=settings.client("logs", region), groups=groups)

    def history(region: str, stack: StackKind) -> RunHistory:
        arn = state_machine_arn(caller, region, settings.system, MACHINES[stack])
        return RunHistory(client=settings.client("stepfunctions", region), state_machine_arn=arn)

    return Explain(
        system=settings.system,
        primary=installed.adapters.points_of(settings.region),
        others={seen.region: installed.adapters.points_of(seen.region) for seen in dr_regions},
        queues={seen.region: installed.adapters.queue_of(seen.region) for seen in dr_regions if seen.stack},
        policies={seen.region: seen.policies for seen in (primary, *dr_regions)},
        trails={region: trail(region, stack) for region, stack in stacks.items()},
        executions={region: history(region, stack) for region, stack in stacks.items()},
        problems=unreachable,
        placed=installed.adapters.placed_holds(readable, unreachable),
    )
