"""The executions of state machines as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from snapkeep.cli.executions import Run
from snapkeep.domain.json_codec import to_object


def runs_as_data(runs: Iterable[Run], problems: Sequence[str]) -> dict[str, Any]:
    """Return executions, and why others are not known, as JSON values."""
    listed = [{"machine": run.machine, "region": run.region, "name": run.name, **to_object(run.execution)} for run in runs]
    return {"runs": listed, "problems": list(problems)}


def run_lines(runs: Iterable[Run]) -> Iterator[str]:
    """Yield a line for each execution."""
    for run in runs:
        begun, ended = run.execution.started_at, run.execution.ended_at
        took = f"{(ended - begun).total_seconds():,.0f} s" if ended else "not ended"
        yield f"{begun:%Y-%m-%d %H:%M}  {run.execution.status:<9}  {run.machine:<7}  {run.region}  {run.name}  {took}"
