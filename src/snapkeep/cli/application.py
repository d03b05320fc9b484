"""The root command. It imports a command's module only when that command is called, so that `snapkeep --help` is fast.

A command's module has a `typer.Typer`. One function in it makes a plain command, several make a group.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, NamedTuple

import typer
from typer._completion_classes import completion_init
from typer.core import TyperCommand, TyperGroup

from snapkeep import __version__
from snapkeep.cli.errors import exit_status, one_line
from snapkeep.domain.records import collect_rarely

COMPLETE = "_SNAPKEEP_COMPLETE"
"""The variable in which the shell's script asks for completions."""
INTERRUPTED = 130
"""The status that shells give a program that Ctrl-C ended."""


class LazyCommand(NamedTuple):
    """A command's module, and its line in the root's help."""

    name: str
    module: str
    help: str
    attribute: str = "app"


COMMANDS = (
    LazyCommand("demo", "snapkeep.lab.commands.demo", "Run the whole system in the embedded AWS and check it."),
    LazyCommand("local", "snapkeep.lab.commands.local", "Start, stop and list the embedded AWS."),
    LazyCommand("deploy", "snapkeep.cli.commands.deploy", "Deploy the primary and the DR stack.", "deploy_app"),
    LazyCommand("destroy", "snapkeep.cli.commands.deploy", "Delete both stacks. Snapshots stay.", "destroy_app"),
    LazyCommand("doctor", "snapkeep.cli.commands.doctor", "Check the account and the deployed system."),
    LazyCommand("rename", "snapkeep.cli.commands.rename", "Let a system take over the snapshots of a former one."),
    LazyCommand("package", "snapkeep.cli.commands.deploy", "Build the functions for the AWS CLI or SAM.", "package_app"),
    LazyCommand("policy", "snapkeep.cli.commands.policy", "Check, push and show the policy document."),
    LazyCommand("plan", "snapkeep.cli.commands.plan", "Show what would be kept, copied and deleted, and why."),
    LazyCommand("status", "snapkeep.cli.commands.status", "Show how well each volume is protected."),
    LazyCommand("console", "snapkeep.lab.commands.console", "Show the system in a browser."),
    LazyCommand("recoverable", "snapkeep.cli.commands.recoverable", "Show what can be recovered, where, and to when."),
    LazyCommand("recover", "snapkeep.cli.commands.recover", "Recover volumes or instances; resume or undo a recovery."),
    LazyCommand("verify", "snapkeep.cli.commands.verify", "Prove that copies equal their sources, block by block."),
    LazyCommand("drill", "snapkeep.cli.commands.drill", "Drill recoveries, and audit the evidence of drills."),
    LazyCommand("sweep", "snapkeep.cli.commands.sweep", "Find and repair missed events now."),
    LazyCommand("runs", "snapkeep.cli.commands.runs", "List the latest executions of the state machines."),
    LazyCommand("report", "snapkeep.cli.commands.report", "List and show the reports of sweeps; list the signals."),
    LazyCommand("hold", "snapkeep.cli.commands.hold", "Keep snapshots, regardless of the rules, until released."),
    LazyCommand("vault", "snapkeep.cli.commands.vault", "Prepare and use the vault in another account."),
    LazyCommand("explain", "snapkeep.cli.commands.explain", "Show the history of one snapshot."),
    LazyCommand("completion", "snapkeep.cli.commands.completion", "Print the script that completes commands in a shell."),
    LazyCommand("simulate", "snapkeep.lab.commands.simulate", "Try a policy on a fleet in virtual time."),
)


class Root(TyperGroup):
    """Lists the commands of the table above, and imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.lazy = {lazy.name: lazy for lazy in COMMANDS}
        for lazy in self.lazy.values():
            self.add_command(TyperCommand(lazy.name, callback=None, help=lazy.help, short_help=lazy.help), lazy.name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, imported, and the remaining arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        lazy = self.lazy.get(name or "")
        if lazy is not None:
            application = getattr(importlib.import_module(lazy.module), lazy.attribute)
            application._add_completion = False  # noqa: SLF001 - only the root could have it
            command = typer.main.get_command(application)
            command.name = name
            tidy_help(command, ctx)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Print a known error, or Ctrl-C, as one line, and raise typer.Exit with its status."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            remark = f": {interrupt}" if str(interrupt) else ""
            typer.echo(f"snapkeep: interrupted{remark}", err=True)
            raise typer.Exit(INTERRUPTED) from interrupt
        except Exception as error:
            status = exit_status(error)
            if status is None:
                raise
            typer.echo(f"snapkeep: {one_line(error)}", err=True)
            raise typer.Exit(status) from error


def tidy_help(command: Any, ctx: Any) -> None:
    """Remove `<bool>` behind flags, types of arguments that are no choices, and line ends within paragraphs from help.

    Docstrings are wrapped for the source; Typer keeps their lines, which a narrower terminal wraps again.
    """
    if command.help:
        command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help))
    for parameter in (*command.params, command.get_help_option(ctx)):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument" and not parameter.type_descriptor.is_choice:
            parameter.display_type_rich = _no_type
    for subcommand in getattr(command, "commands", {}).values():
        tidy_help(subcommand, ctx)


def _no_type(*, ctx: Any) -> None:
    """Return no type: Typer's are Python's, such as `list[str]`, which `...` behind an argument's name says."""


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"snapkeep {__version__}")
        raise typer.Exit


def make_application() -> typer.Typer:
    """Return the root application."""
    application = typer.Typer(
        cls=Root,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # help in boxes costs 0.2 s of imports; the commands have it
        context_settings={"help_option_names": ["-h", "--help"]},  # inherited by every command
    )

    @application.callback(help="Keep EBS snapshots, copy them to another region, and delete old ones when that is safe.")
    def root(
        version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
    ) -> None:
        """Hold the options before a command."""

    return application


def run() -> None:
    """Run the root application with the process's arguments."""
    collect_rarely()
    completion_init()  # answers a shell that asks in the variable COMPLETE
    make_application()(prog_name="snapkeep")
