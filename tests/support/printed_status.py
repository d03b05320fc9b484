"""A status as lines, as a person sees it."""

from __future__ import annotations

import io

from rich.console import Console

from snapkeep.cli.views.status import status_view
from snapkeep.cli.views.status_lines import StatusLayout
from snapkeep.usecases.look.status import SystemStatus


def printed(status: SystemStatus, layout: StatusLayout) -> list[str]:
    """Return the lines that `snapkeep status` prints where the output is not a terminal."""
    out = io.StringIO()
    Console(file=out, width=layout.width, force_terminal=False).print(status_view(status, layout))
    return out.getvalue().splitlines()
