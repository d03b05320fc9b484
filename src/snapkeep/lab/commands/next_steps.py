"""Commands that a user may run next against a running embedded AWS."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable

PROGRAM = "snapkeep"
VOLUME = "aws ec2 create-volume --size 1 --availability-zone us-east-1a"
SNAPSHOT = "aws ec2 create-snapshot --volume-id VOLUME"
Find = Callable[[str], str | None]


def program(find: Find = shutil.which, arguments: list[str] | None = None) -> str:
    """Return the command of this program: its name if it is on the path, otherwise the path that started it."""
    if find(PROGRAM):
        return PROGRAM
    started_by = (arguments or sys.argv)[0]
    return f"{shlex.quote(sys.executable)} -m {PROGRAM}" if started_by.endswith("__main__.py") else shlex.quote(started_by)


def next_steps(port: int, *, detached: bool, deployed: bool, find: Find = shutil.which) -> list[tuple[str, str]]:
    """Return (purpose, command) pairs. Commands of tools that are not installed are left out."""
    snapkeep = program(find)
    steps = [("Use it", f'eval "$({snapkeep} local env --port {port})"')]
    steps.append(("Look", f"{snapkeep} status") if deployed else ("Deploy the system into it", f"{snapkeep} deploy"))
    if find("aws"):
        steps += [("Make a volume", VOLUME), ("Make a snapshot, which the system copies", SNAPSHOT)]
    steps.append(("Stop it", f"{snapkeep} local down --port {port}" if detached else "Ctrl-C"))
    return steps
