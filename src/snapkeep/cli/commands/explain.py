"""`snapkeep explain`: the story of one snapshot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import AwsSettings, Json, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import make_console, print_json

if TYPE_CHECKING:
    from snapkeep.usecases.look.explain import Explain, Story

app = typer.Typer(help="The story of one snapshot.")

AUDITED = {
    "primary": ("TagSnapshots", "CopySnapshotToDR", "DeleteOldSnapshots", "Sweep"),
    "dr": ("TagSnapshotCopy", "Dispatch", "DeleteOldSnapshots", "Sweep"),
}
"""The functions of each stack that leave audit lines."""
MACHINES = {"primary": "protect", "dr": "receive"}


@app.command()
@with_aws_settings
def explain(
    settings: AwsSettings,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A snapshot or a copy, such as snap-0123456789abcdef0.")],
    *,
    json: Json = False,
) -> None:
    """Tell when a snapshot was made, why it is kept or was deleted, and where its copies are.

    Exit status 1 if nothing at all is known of it, or a region could not be looked at.
    """
    if not re.fullmatch(r"snap-([0-9a-f]{8}|[0-9a-f]{17})", snapshot):
        raise WrongUse(f"'{snapshot}' is no snapshot's id; one such is snap-0123456789abcdef0")
    explainer = _explainer(settings)
    for policies in explainer.policies.values():
        if policies.problem:
            typer.echo(policies.problem, err=True)
    story = explainer.run(snapshot, datetime.now(UTC))
    if json:
        print_json(_as_data(story))
    else:
        _show(story)
    if story.problems or (story.snapshot is None and not story.happenings and not story.entries):
        raise typer.Exit(NOT_ALL_RIGHT)


def _explainer(settings: AwsSettings) -> Explain:
    from snapkeep.adapters.cloudwatch_logs import CloudWatchAudit  # noqa: PLC0415
    from snapkeep.adapters.stepfunctions_run_history import RunHistory  # noqa: PLC0415 - imports botocore
    from snapkeep.cli.installed import DR, PRIMARY, Installed  # noqa: PLC0415
    from snapkeep.usecases.look.explain import Explain  # noqa: PLC0415

    installed = Installed(settings)
    primary = installed.primary_seen()
    others = installed.dr_regions(primary.policies)
    away = {one.region: one.problem for one in (primary, *others) if one.problem}
    stacks = {settings.region: PRIMARY} | {one.region: DR for one in others if one.stack}
    partition, account = _account(settings, [region for region in stacks if region not in away] or [settings.region])

    def trail(region: str, stack: str) -> CloudWatchAudit:
        groups = [f"/aws/lambda/{function}{settings.suffix}" for function in AUDITED[stack]]
        return CloudWatchAudit(client=settings.client("logs", region), groups=groups)

    def history(region: str, stack: str) -> RunHistory:
        arn = f"arn:{partition}:states:{region}:{account}:stateMachine:{settings.system}-{MACHINES[stack]}"
        return RunHistory(client=settings.client("stepfunctions", region), state_machine_arn=arn)

    return Explain(
        system=settings.system,
        primary=installed.reader(settings.region),
        others={one.region: installed.reader(one.region) for one in others},
        queues={one.region: installed.queue(one.region) for one in others if one.stack},
        policies={one.region: one.policies for one in (primary, *others)},
        trails={region: trail(region, stack) for region, stack in stacks.items()},
        runs={region: history(region, stack) for region, stack in stacks.items()},
        problems=away,
    )


def _account(settings: AwsSettings, regions: Sequence[str]) -> tuple[str, str]:
    """Given regions that answer, return the partition and the account: a region that is away knows neither."""
    caller = settings.client("sts", regions[0]).get_caller_identity()
    return caller["Arn"].split(":")[1], caller["Account"]


def _as_data(story: Story) -> dict[str, Any]:
    from snapkeep.usecases.look.explain import entry_told, standing_of  # noqa: PLC0415

    snapshot, origin = story.snapshot, story.origin
    return {
        "snapshot_id": story.snapshot_id,
        "there": snapshot is not None,
        "region": story.region,
        "owner_account": story.owner or None,
        "state": str(snapshot.state) if snapshot else None,
        "standing": standing_of(story),
        "policy": snapshot.policy if snapshot else None,
        "action": str(story.verdict.action) if story.verdict else None,
        "reasons": [reason.text for reason in story.verdict.reasons] if story.verdict else [],
        "origin": {
            "region": origin.region,
            "volume_id": origin.volume_id,
            "snapshot_id": origin.snapshot_id,
            "start_time": origin.start_time,
        }
        if origin
        else None,
        "copies": [{"id": copy.id, "region": copy.region, "state": str(copy.state)} for copy in story.copies],
        "queue": [entry_told(entry) for entry in story.entries],
        "happenings": [{"at": one.at, "text": one.text} for one in story.happenings],
        "problems": list(story.problems),
    }


def _show(story: Story) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from snapkeep.usecases.look.explain import entry_told, standing_of  # noqa: PLC0415

    console = make_console()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    snapshot, origin = story.snapshot, story.origin
    facts.add_row(story.snapshot_id, Text(standing_of(story)))
    if snapshot is not None:
        what = "copy" if snapshot.is_copy else "snapshot"
        facts.add_row("what", f"{what} of {snapshot.size_gib} GiB in {snapshot.region}, {snapshot.state}")
        managed = f"policy {snapshot.policy}" if snapshot.policy else "not managed"
        facts.add_row("policy", Text(managed + (f" ({story.plan.selection.why})" if story.plan else "")))
    if origin is not None:
        source = f", {origin.snapshot_id}" if origin.snapshot_id != story.snapshot_id else ""
        facts.add_row("data", f"{origin.volume_id} in {origin.region} as of {origin.start_time:%Y-%m-%d %H:%M:%S} UTC{source}")
    for copy in story.copies:
        if copy.id != story.snapshot_id:
            facts.add_row("copy", f"{copy.id} in {copy.region}, {copy.state}")
    for entry in story.entries:
        facts.add_row("queue", Text(entry_told(entry)))
    for problem in story.problems:
        console.print(Text.assemble(("✗ ", "bold red"), problem))
    console.print(facts)
    if story.happenings:
        console.print()
        happened = Table.grid(padding=(0, 2))
        happened.add_column(style="dim", no_wrap=True)
        happened.add_column(overflow="fold")
        for one in story.happenings:
            happened.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", Text(one.text))
        console.print(happened)
