"""`snapkeep local`: the embedded AWS for any AWS tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import Json
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import make_console, print_json
from snapkeep.lab.commands.next_steps import next_steps, program

if TYPE_CHECKING:
    from snapkeep.lab.embedded_aws import Server
    from snapkeep.lab.embedded_aws.launch.local_servers import ServerStatus

local_app = app = typer.Typer(no_args_is_help=True, help="The embedded AWS: up, env, status, down.")

DEFAULT_PORT = 4566
"""Where emulators of AWS are usually found."""
_Port = Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")]
_WhichPort = Annotated[
    int,
    typer.Option(metavar="PORT", min=0, max=65535, help="The one at this port. Default: all of yours.", show_default=False),
]
_StopPort = Annotated[
    int,
    typer.Option(
        metavar="PORT", min=0, max=65535, help="The one at this port. Default: the only one of yours.", show_default=False
    ),
]


@app.command()
def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it running and return.")] = False,
    port: _Port = DEFAULT_PORT,
    world: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="World file: volumes, history, quotas, speeds, faults."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(file_okay=False, metavar="DIR", help="Directory that keeps everything between runs.")
    ] = None,
    scale: Annotated[float, typer.Option(metavar="SECONDS", min=0.001, help="Of world time that pass in one second.")] = 1.0,
    json: Json = False,
) -> None:
    """Start the embedded AWS."""
    from snapkeep.lab.embedded_aws.launch import local_servers  # noqa: PLC0415 - `--help` stays fast

    if detach:
        _show(local_servers.up(port=port, world_file=world, state_dir=state, scale=scale), json=json, detached=True)
        return
    local_servers.serve(
        port=port,
        world_file=world,
        state_dir=state,
        scale=scale,
        on_ready=lambda server: _show(server, json=json, detached=False),
    )


@app.command()
def down(
    *,
    port: _StopPort = 0,
    everything: Annotated[bool, typer.Option("--all", help="Stop all of yours.")] = False,
    json: Json = False,
) -> None:
    """Stop it, and everything that it started."""
    from snapkeep.lab.embedded_aws.launch import local_servers  # noqa: PLC0415 - `--help` stays fast

    if port and everything:
        raise WrongUse("--port PORT stops one, --all stops all: give one of them")
    running = [] if port or everything else local_servers.statuses()
    if len(running) > 1:
        raise WrongUse(f"{_several(running)}: say which to stop with --port PORT, or --all")
    stopped = local_servers.down(port)
    if json:
        print_json({"stopped": [server.as_dict() for server in stopped]})
        return
    console = make_console()
    for server in stopped:
        console.print(f"Stopped {server.endpoint_url}.")
    if not stopped:
        console.print("Nothing was running.")


@app.command()
def status(*, port: _WhichPort = 0, json: Json = False) -> None:
    """Show what runs, and what is in it. Exit status 1 when nothing runs."""
    from snapkeep.lab.embedded_aws.launch import local_servers  # noqa: PLC0415 - `--help` stays fast

    statuses = local_servers.statuses(port)
    if json:
        print_json([{**asdict(status), "server": status.server.as_dict()} for status in statuses])
    else:
        _show_statuses(statuses)
    if not statuses:
        raise typer.Exit(NOT_ALL_RIGHT)


@app.command()
def env(*, port: _StopPort = 0) -> None:
    """Print the variables that let any AWS tool use it, for `eval "$(snapkeep local env)"`."""
    from snapkeep.lab.embedded_aws.launch import local_servers  # noqa: PLC0415 - `--help` stays fast

    running = local_servers.statuses(port)
    if not running:
        raise WrongUse(f"no embedded AWS is running: start one with `{program()} local up --detach`")
    if len(running) > 1:
        raise WrongUse(f"{_several(running)}: name one with --port PORT")
    for name, value in local_servers.exports(running[0].server).items():
        typer.echo(f"export {name}={value}")


def _several(running: Sequence[ServerStatus]) -> str:
    return f"{len(running)} are running: {', '.join(status.server.endpoint_url for status in running)}"


def _show(server: Server, *, json: bool, detached: bool) -> None:
    from snapkeep.lab.embedded_aws.launch import local_servers  # noqa: PLC0415 - `--help` stays fast

    variables = local_servers.exports(server)
    if json:
        print_json({**server.as_dict(), "environment": variables})
        return
    console = make_console()
    console.print(f"The embedded AWS answers at [bold]{server.endpoint_url}[/]; nothing is deployed in it yet.\n", markup=True)
    for name, value in variables.items():
        console.print(f"  export {name}={value}", soft_wrap=True)
    console.print()
    for purpose, command in next_steps(server.port, detached=detached, deployed=False):
        console.print(f"{purpose}: {command}", soft_wrap=True)


def _show_statuses(statuses: list[Any]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only for a person

    console = make_console()
    if not statuses:
        console.print(f"Nothing is running. Start it: {program()} local up --detach", soft_wrap=True)
    for status in statuses:
        if not status.world["places"]:
            console.print(f"{status.server.endpoint_url} runs; nothing is in it yet.")
            continue
        table = Table(
            "account", "region", "volumes", "snapshots", "pending", "in error", "AMIs", title=status.server.endpoint_url
        )
        for place in status.world["places"]:
            counts = (place["volumes"], place["snapshots"], place["pending"], place["errors"], place["images"])
            table.add_row(place["account_id"], place["region"], *(str(count) for count in counts))
        console.print(table)
