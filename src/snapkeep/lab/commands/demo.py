"""`snapkeep demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import Json
from snapkeep.cli.errors import NOT_ALL_RIGHT
from snapkeep.cli.output import make_console, print_json
from snapkeep.domain.json_codec import to_json
from snapkeep.lab.commands.next_steps import next_steps

if TYPE_CHECKING:
    from snapkeep.lab.demo.facts import Ending
    from snapkeep.lab.demo.stage import DemoResult

app = typer.Typer(help="The whole system at work in the embedded AWS, followed live and checked.")


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the embedded AWS and the system running.")] = False,
    json: Json = False,
) -> None:
    """Start the embedded AWS, deploy both stacks, make volumes and snapshots, follow every run, and check what must hold.

    Needs no AWS account and no network. Exit status 0: every check passes; 1: one fails.
    """
    from snapkeep.lab.demo.stage import play  # noqa: PLC0415
    from snapkeep.lab.demo.view import make_audience, show_ended  # noqa: PLC0415 - a second of imports

    console = make_console(stderr=json)
    with make_audience(console) as audience:
        ended = play(audience, keep=keep)
    if json:
        print_json(facts_as_json(ended))
    else:
        show_ended(console, ended)
    if ended.server is not None:
        console.print(f"The embedded AWS still runs at {ended.server.endpoint_url}, with the system in it.")
        for purpose, command in next_steps(ended.server.port, detached=True, deployed=True):
            console.print(f"{purpose}: {command}", soft_wrap=True)
    if not ended.all_hold:
        raise typer.Exit(NOT_ALL_RIGHT)


def facts_as_json(ended: DemoResult) -> dict[str, Any]:
    """Return the result of the demonstration as plain data."""
    facts = ended.facts
    return {
        "all_hold": ended.all_hold,
        "seconds": round(ended.seconds, 1),
        "server": ended.server.as_dict() if ended.server else None,
        "checks": [{"text": check.text, "holds": check.holds, "found": check.found} for check in ended.checks],
        "volumes": [
            {
                "name": volume.member.name,
                "volume_id": volume.volume_id,
                "about": volume.member.about,
                "snapshots": [
                    {"label": shot.label, "source": _ending(shot.source), "copy": _ending(shot.copy)} for shot in volume.shots
                ],
            }
            for volume in facts.volumes
        ],
        "runs": [
            {
                "arn": run.arn,
                "machine": run.machine,
                "status": run.status,
                "error": run.error,
                "cause": run.cause,
                "snapshots": list(run.snapshot_ids),
                "steps": {name: step.value for name, step in run.steps.items()},
            }
            for run in facts.runs
        ],
        "messages": list(facts.messages),
        "queue": list(facts.queue),
        "drill": to_json(facts.drill),
        "recovery": to_json(facts.recovery),
    }


def _ending(ending: Ending) -> dict[str, Any]:
    snapshot = ending.snapshot
    return {
        "fate": ending.fate.value,
        "snapshot_id": ending.snapshot_id,
        "reasons": list(ending.reasons),
        "tags": dict(snapshot.tags) if snapshot else {},
        "state": str(snapshot.state) if snapshot else "",
    }
