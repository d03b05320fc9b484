"""`snapkeep completion`: the script that completes commands and options in a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from snapkeep.cli.application import COMPLETE

app = typer.Typer(help="Print the script that completes commands and options in a shell.")


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


INSTALL = {
    Shell.BASH: 'add to ~/.bashrc: eval "$(snapkeep completion bash)"',
    Shell.ZSH: 'add to ~/.zshrc, after compinit: eval "$(snapkeep completion zsh)"',
    Shell.FISH: "run once: snapkeep completion fish > ~/.config/fish/completions/snapkeep.fish",
}


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="Your shell.")]) -> None:
    """Print the script that completes commands and options in a shell.

    bash: add to ~/.bashrc: eval "$(snapkeep completion bash)"

    zsh: add to ~/.zshrc, after compinit: eval "$(snapkeep completion zsh)"

    fish: run once: snapkeep completion fish >
    ~/.config/fish/completions/snapkeep.fish
    """
    from typer._completion_shared import get_completion_script  # noqa: PLC0415

    script = get_completion_script(prog_name="snapkeep", complete_var=COMPLETE, shell=shell.value)
    typer.echo(f"{script.strip()}\n# To install it, {INSTALL[shell]}")
