"""`snapkeep console`: the system in a browser. It is a command of the laboratory because `--demo` shows an embedded system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, with_aws_settings

if TYPE_CHECKING:
    from snapkeep.domain.model import Volume
    from snapkeep.domain.policy.model import PolicySet

app = typer.Typer(help="Show the system in a browser.")


@app.command()
@with_aws_settings
def console(
    make_settings: Callable[[], AwsSettings],
    *,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")] = True,
    allow_actions: Annotated[
        bool, typer.Option("--allow-actions", help="Let the pages begin, resume and undo recoveries.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Show a system of thirty volumes in the embedded AWS.")] = False,
) -> None:
    """Show what can be recovered, to when, and what needs attention, in a browser.

    Listens on 127.0.0.1 only. The address has a random token; keep it to
    yourself. Uses the caller's credentials, and changes nothing without
    --allow-actions. Ctrl-C ends it.
    """
    from snapkeep.console.server import serve  # noqa: PLC0415 - imports what --help does not need

    with _demo_system() if demo else nullcontext(make_settings()) as settings:
        serve(settings, port, simulated, open_browser=open_browser, allow_actions=allow_actions)


SIMULATED_DAYS, MOST_VOLUMES = 30, 30
"""The days of a simulation of a document, and the most volumes in it, spread over the account."""


def simulated(volumes: Sequence[Volume], policy_sets: Mapping[str, PolicySet], region: str, days: int = SIMULATED_DAYS) -> str:
    """Return the simulator's page for an account's volumes under policies, by name, with a link to the console."""
    from snapkeep.lab.commands.simulate import CHANGED_SHARE_PER_DAY  # noqa: PLC0415
    from snapkeep.lab.simulator import fleet  # noqa: PLC0415
    from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions  # noqa: PLC0415
    from snapkeep.lab.simulator.page import render  # noqa: PLC0415

    sample = volumes[:: -(-len(volumes) // MOST_VOLUMES) or 1]
    options = ExperimentOptions(days, primary=region)
    results = []
    for name, policies in policy_sets.items():
        dr_regions = tuple(policy_region for policy_region in policies.copy_regions if policy_region != region)
        world = fleet.make_world(fleet.from_account(sample, CHANGED_SHARE_PER_DAY), region, dr_regions, seed=1, faults=None)
        fleet.give_keys(world, policies)
        results.append(Experiment(name, world, policies, options).run())
    return render(results, datetime.now(UTC), back="/policies")


def _demo_system() -> AbstractContextManager[AwsSettings]:
    from snapkeep.lab.demo.console_world import console_world  # noqa: PLC0415

    return console_world(typer.echo)
