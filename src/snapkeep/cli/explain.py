"""`snapkeep explain`: the story of one snapshot."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import (
    DEFAULT_DR_REGION,
    AwsSettings,
    DrRegion,
    EndpointUrl,
    Json,
    Name,
    Profile,
    Region,
    aws_settings,
)
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import make_console, print_json

if TYPE_CHECKING:
    from snapkeep.usecases.explain import Explain, Story

app = typer.Typer(help="The story of one snapshot.")

AUDITED = {
    "primary": ("TagSnapshots", "CopySnapshotToDR", "DeleteOldSnapshots", "Sweep"),
    "dr": ("TagSnapshotCopy", "Dispatch", "DeleteOldSnapshots", "Sweep"),
}
"""The functions of each stack that leave audit lines."""


@app.command()
def explain(
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A snapshot or a copy, such as snap-0123456789abcdef0.")],
    *,
    profile: Profile = "",
    region: Region = "",
    dr_region: DrRegion = DEFAULT_DR_REGION,
    endpoint_url: EndpointUrl = "",
    name: Name = "",
    json: Json = False,
) -> None:
    """Tell when a snapshot was made, why it is kept or was deleted, and where its copies are.

    Exit status 1 if nothing at all is known of it.
    """
    if not re.fullmatch(r"snap-[0-9a-f]{8,17}", snapshot):
        raise WrongUse(f"'{snapshot}' is no snapshot's id; one such is snap-0123456789abcdef0")
    settings = aws_settings(profile=profile, region=region, dr_region=dr_region, endpoint_url=endpoint_url, name=name)
    story = _explainer(settings).run(snapshot, datetime.now(UTC))
    if json:
        print_json(_as_data(story))
    else:
        _show(story)
    if story.snapshot is None and not story.happenings and not story.entries:
        raise typer.Exit(NOT_ALL_RIGHT)


def _explainer(settings: AwsSettings) -> Explain:
    from snapkeep.adapters.dynamodb_queue import DynamoDbQueue  # noqa: PLC0415 - imports botocore
    from snapkeep.adapters.executions import RunHistory  # noqa: PLC0415
    from snapkeep.adapters.logs import CloudWatchAudit  # noqa: PLC0415
    from snapkeep.cli.installed import Installed  # noqa: PLC0415
    from snapkeep.usecases.explain import Explain  # noqa: PLC0415

    installed = Installed(settings)
    account = settings.client("sts", settings.region).get_caller_identity()
    partition = account["Arn"].split(":")[1]

    def queue_of(region: str) -> DynamoDbQueue:
        client = settings.client("dynamodb", region)
        return DynamoDbQueue(client=client, table=f"{settings.system}-queue", region=region)

    def history(region: str, machine: str) -> RunHistory:
        arn = f"arn:{partition}:states:{region}:{account['Account']}:stateMachine:{settings.system}-{machine}"
        return RunHistory(client=settings.client("stepfunctions", region), state_machine_arn=arn)

    regions = {"primary": settings.region, "dr": settings.dr_region}
    trails = [
        CloudWatchAudit(
            client=settings.client("logs", regions[stack]),
            groups=[f"/aws/lambda/{function}{settings.suffix}" for function in functions],
        )
        for stack, functions in AUDITED.items()
    ]
    return Explain(
        system=settings.system,
        primary=installed.reader(settings.region),
        others={settings.dr_region: installed.reader(settings.dr_region)},
        queue_of=queue_of,
        policies=installed.policies_in_force(),
        trails=trails,
        runs=[history(settings.region, "protect"), history(settings.dr_region, "receive")],
    )


def _as_data(story: Story) -> dict[str, Any]:
    from snapkeep.usecases.explain import entry_told, standing_of  # noqa: PLC0415

    snapshot, origin = story.snapshot, story.origin
    return {
        "snapshot_id": story.snapshot_id,
        "there": snapshot is not None,
        "region": story.region,
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
    }


def _show(story: Story) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from snapkeep.usecases.explain import entry_told, standing_of  # noqa: PLC0415

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
    console.print(facts)
    if story.happenings:
        console.print()
        happened = Table.grid(padding=(0, 2))
        happened.add_column(style="dim", no_wrap=True)
        happened.add_column(overflow="fold")
        for one in story.happenings:
            happened.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", Text(one.text))
        console.print(happened)
