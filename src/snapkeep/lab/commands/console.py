"""`snapkeep console`: the system in a browser. It is a command of the laboratory, because `--demo` shows an embedded system."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from snapkeep.cli.common import AwsSettings, with_aws_settings

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
        bool, typer.Option("--allow-actions", help="Let the pages begin, resume and undo recoveries of volumes.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Show a system of thirty volumes in the embedded AWS.")] = False,
) -> None:
    """Show what can be recovered, to when, and what needs somebody, in a browser.

    Listens on 127.0.0.1 only. The address has a random token; keep it to
    yourself. Uses the caller's credentials, and changes nothing without
    --allow-actions. Ctrl-C ends it.
    """
    from snapkeep.console.server import serve  # noqa: PLC0415 - imports what --help does not need

    with _demo_system() if demo else nullcontext(make_settings()) as settings:
        serve(settings, port, open_browser=open_browser, allow_actions=allow_actions)


def _demo_system() -> AbstractContextManager[AwsSettings]:
    from snapkeep.lab.demo.console_world import console_world  # noqa: PLC0415

    return console_world(typer.echo)
