"""Draw what the commands print, as SVG, from their real output in the embedded AWS: `python tools/terminal_pictures.py`.

The pictures need no other host: rich's own format loads a font from one.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from snapkeep.lab.embedded_aws import EmbeddedAws

PRIMARY, DR, ACCOUNT = "us-east-1", "us-east-2", "123456789012"
COLUMNS = 110
IMAGES = Path(__file__).parents[1] / "docs/images"
POLICY = """\
version: 1
policies:
  - name: gold
    select: {{tags: {{Backup: gold}}}}
    retention: {retention}
    copies:
      - {{region: us-east-2, retention: {{keep_last: 2}}}}
"""
NOW, PROPOSED = "{keep_daily: 14}", "{keep_last: 2, keep_daily: 4, keep_weekly: 2}"
WORLD: dict[str, Any] = {
    "version": 1,
    "speeds": {"copy_base_seconds": 1, "copy_mib_per_second": 1_000_000, "key_check_seconds": 1},
    "volumes": [
        {
            "name": "orders-db",
            "region": PRIMARY,
            "size_gib": 200,
            "used_gib": 60,
            "tags": {"Backup": "gold", "Name": "orders-db"},
        },
        {"name": "web", "region": PRIMARY, "size_gib": 30, "used_gib": 12, "tags": {"Backup": "gold", "Name": "web"}},
    ],
    "history": [
        {"volume": "orders-db", "every_hours": 24, "count": 9, "newest_hours_ago": 5},
        {"volume": "web", "every_hours": 24, "count": 6, "newest_hours_ago": 6},
    ],
    "images": [{"name": "golden-image", "region": PRIMARY, "volume": "web"}],
}
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
  line-height: {line_height}px; white-space: pre; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: ui-sans-serif, Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run_in_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """Run a command with a terminal as its output; return what it prints there, colours included."""
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
    os.close(ours)
    if process.returncode not in (0, 1):
        raise SystemExit(b"".join(chunks).decode())
    return b"".join(chunks).decode().replace("\r\n", "\n")


def draw(name: str, command: str, output: str) -> None:
    """Write one picture: the command, and what it printed."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(f"\x1b[1m$ {command}\x1b[0m\n{output.rstrip()}"))
        console.save_svg(str(IMAGES / f"{name}.svg"), title=command.partition(" --")[0], theme=MONOKAI, code_format=SVG)


def main() -> None:
    """Deploy both stacks into an embedded AWS with a week of snapshots, protect them, and draw `plan` and `status`."""
    policy = Path("policy.yaml")
    with EmbeddedAws(world_document=WORLD) as aws:
        environment = {**os.environ, **aws.environment(PRIMARY, ACCOUNT), "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}

        def run(command: str) -> str:
            return run_in_terminal(command.split(), environment)

        run(f"deploy --region {PRIMARY} --dr-region {DR}")
        policy.write_text(POLICY.format(retention=NOW))
        try:
            run(f"policy push {policy} --yes")
            run("sweep --adopt --yes")
            while '"healthy": true' not in run("status --json"):
                run("sweep")
            policy.write_text(POLICY.format(retention=PROPOSED))
            for name, command in (("plan", f"plan --policy {policy}"), ("status", "status")):
                output = run(command)
                print(output)  # noqa: T201 - shows what is drawn
                draw(name, f"snapkeep {command}", output)
        finally:
            policy.unlink()


if __name__ == "__main__":
    main()
