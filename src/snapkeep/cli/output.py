"""How the commands print: tables and colours for a person, lines where there is no terminal, JSON for a machine."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 120
"""Columns where the output is no terminal and `COLUMNS` does not say."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console on stdout (or stderr), wide enough to be read in a file when it is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - only commands that print tables need it

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(stderr=stderr, highlight=False, width=width)


def print_json(value: Any) -> None:
    """Given plain data (datetimes too), print it as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(f"{type(value).__name__} has no JSON form")
