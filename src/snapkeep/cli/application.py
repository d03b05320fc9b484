"""The root command. It knows its commands by name, and imports one only when it is asked for: `snapkeep --help` stays fast.

A command's module offers a `typer.Typer`. One function in it makes a plain command, several make a group.
"""

from __future__ import annotations

import gc
import importlib
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from snapkeep.cli.errors import exit_status, one_line

INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C ended."""


class LazyCommand(NamedTuple):
    """Where a command lives, and what the root's help says of it."""

    name: str
    module: str
    help: str
    attribute: str = "app"


COMMANDS = (
    LazyCommand("demo", "snapkeep.lab.commands.demo", "The whole system at work in the embedded AWS, followed live and checked."),
    LazyCommand("local", "snapkeep.lab.commands.local", "The embedded AWS: up, down, status."),
    LazyCommand("deploy", "snapkeep.cli.commands.deploy", "Deploy both stacks into both regions.", "deploy_app"),
    LazyCommand("destroy", "snapkeep.cli.commands.deploy", "Delete both stacks. Snapshots stay.", "destroy_app"),
    LazyCommand("package", "snapkeep.cli.commands.deploy", "Build the functions' folder for the AWS CLI or SAM.", "package_app"),
    LazyCommand(
        "policy", "snapkeep.cli.commands.policy", "The policy document: check, push, show, history, rollback, remove, schema."
    ),
    LazyCommand("plan", "snapkeep.cli.commands.plan", "What would be kept, copied and deleted, and why. Writes nothing."),
    LazyCommand(
        "status", "snapkeep.cli.commands.status", "Each volume: newest snapshot, newest copy, RPO age, what waits, what failed."
    ),
    LazyCommand("sweep", "snapkeep.cli.commands.sweep", "One sweep now: find and repair what an event missed."),
    LazyCommand("explain", "snapkeep.cli.commands.explain", "The story of one snapshot."),
    LazyCommand("simulate", "snapkeep.lab.commands.simulate", "A fleet under a policy for a stretch of virtual time."),
)


class Root(TyperGroup):
    """Lists its commands from the table above, and imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.lazy = {lazy.name: lazy for lazy in COMMANDS}
        for lazy in self.lazy.values():
            self.add_command(TyperCommand(lazy.name, callback=None, help=lazy.help, short_help=lazy.help), lazy.name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Given the arguments, return the command that they name, imported by now, and the arguments that are left."""
        name, command, rest = super().resolve_command(ctx, args)
        lazy = self.lazy.get(name or "")
        if lazy is not None:
            application = getattr(importlib.import_module(lazy.module), lazy.attribute)
            application._add_completion = False  # noqa: SLF001 - only the root could offer it
            command = typer.main.get_command(application)
            command.name = name
            leave_out_flags_types(command, ctx)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; show a known error, or Ctrl-C, as one line and exit with its status. Raise typer.Exit."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            typer.echo("snapkeep: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from interrupt
        except Exception as error:
            status = exit_status(error)
            if status is None:
                raise
            typer.echo(f"snapkeep: {one_line(error)}", err=True)
            raise typer.Exit(status) from error


def leave_out_flags_types(command: Any, ctx: Any) -> None:
    """Given a command and its context, have its help (and its commands' help) not say `<bool>` behind each flag."""
    for parameter in (*command.params, command.get_help_option(ctx)):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    for one in getattr(command, "commands", {}).values():
        leave_out_flags_types(one, ctx)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - only when asked

        typer.echo(f"snapkeep {version('snapkeep')}")
        raise typer.Exit


def make_application() -> typer.Typer:
    """Return the root application."""
    application = typer.Typer(
        cls=Root,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # its help in boxes costs 0.2 s of imports; the commands' own help has them
    )

    @application.callback(help="EBS snapshots that are kept, copied to the DR region, and expired only when that is safe.")
    def root(
        version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
    ) -> None:
        """Carry the options that stand before a command."""

    return application


OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""A listing is hundreds of thousands of objects without a cycle. Python's own 700 has the collector walk them again and again,
which takes longer than to read them."""


def run() -> None:
    """Run the root application with the process's arguments."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    make_application()(prog_name="snapkeep")
