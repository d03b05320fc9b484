"""The commands' output: tables and colours for people, lines where there is no terminal, JSON for machines.

Values from outside (tags, names, error messages) are escaped here, with one function for each target.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GOOD, WARN, BAD, QUIET, STRONG = "color(28)", "color(130)", "bold color(160)", "dim", "bold"
"""Styles that can be read on a light and on a dark terminal: the colours contrast with white and with black alike."""

PLAIN_WIDTH = 120
"""Columns where the output is not a terminal and `COLUMNS` does not say."""

_CONTROL = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Unicode categories that steer a terminal: control characters (C0, DEL, C1), formats such as U+202E, line separators."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a cell that begins with one of these as a formula (OWASP: CSV injection)."""


def printable(text: str) -> str:
    r"""Return a text for a terminal: every character that could steer it becomes an escape (`\x9b`)."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _CONTROL:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 1 << 8 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def in_one_line(text: str) -> str:
    r"""Return a printable text without line breaks, each as `\n`: no line of an output comes from a tag."""
    return printable(text).replace("\n", "\\n")


def write_lines(lines: Iterable[str]) -> None:
    """Write lines for people: printable, without empty ones, and on a terminal as wide as it is."""
    wrap = sys.stdout.isatty()
    for line in filter(None, map(in_one_line, lines)):
        text = "\n".join(wrapped(line, shutil.get_terminal_size().columns)) if wrap else line
        sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_command(command: str) -> None:
    """Print a command for a shell in one line, however narrow the terminal is: pasted in two, it would be two commands."""
    sys.stdout.write(f"  {printable(command)}\n")
    sys.stdout.flush()


def wrapped(line: str, columns: int) -> list[str]:
    """Return a line in as many lines as it needs, the further ones indented. No id is cut."""
    if len(line) <= columns:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line, columns, subsequent_indent=f"{indent}    ", break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def literal(text: str, style: str = "", link: str = "") -> Text:
    """Return a text for rich: printable, in one line, never read as markup, and a hyperlink (OSC 8) where there are any."""
    from rich.style import Style  # noqa: PLC0415 - only commands that print tables need it
    from rich.text import Text  # noqa: PLC0415

    return Text(in_one_line(text), Style.parse(style) + Style(link=link) if link else style)


def titled(name: str, identifier: str) -> str:
    """Return a name before its id, in one line; the id alone where there is no name."""
    return f"{in_one_line(name)}  {identifier}" if name else identifier


def hyperlink(text: str, url: str) -> str:
    """Return a printable text as a hyperlink of a terminal (OSC 8); the text alone without a URL."""
    return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\" if url else text


def csv_cell(text: str) -> str:
    """Return a text for a cell of a spreadsheet: printable, and never read as a formula."""
    cell = printable(text)
    return f"'{cell}" if text.startswith(_FORMULA) else cell


def prometheus_label(text: str) -> str:
    """Return a text for a label's value in Prometheus's text format (Prometheus documentation: exposition formats)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def make_console(*, stderr: bool = False) -> Console:
    """Return a console on stdout (or stderr), wide enough to be read in a file where it is not a terminal."""
    from rich.console import Console  # noqa: PLC0415 - only commands that print tables need it

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def print_json(value: Any) -> None:
    """Print plain data, datetimes included, as indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def show_result(data: Any, lines: Iterable[str], problems: Iterable[str] = (), *, json: bool) -> None:
    """Print data as JSON; or else lines for people, and problems on stderr, a line for each."""
    if json:
        print_json(data)
    else:
        write_lines(lines)
        warn(problems)


def warn(texts: Iterable[str]) -> None:
    """Print texts on stderr, a line for each that is not empty."""
    sys.stderr.writelines(f"{printable(text)}\n" for text in texts if text)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(f"{type(value).__name__} has no JSON form")
