"""The command line."""

from __future__ import annotations


def main() -> None:
    """Run `snapkeep` with the process's arguments, and exit with 0 (done), 1 (something is wrong) or 2 (wrong use)."""
    from snapkeep.cli.application import run  # noqa: PLC0415 - importing the package must stay free of work

    run()
