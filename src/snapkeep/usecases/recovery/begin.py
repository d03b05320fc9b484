"""Begin a recovery: a run with a new name."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from snapkeep.domain.errors import RecoveryFailed
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryStep


def new_run(
    region: str,
    points: tuple[str, ...],
    steps: tuple[RecoveryStep, ...],
    obstacles: Sequence[str],
    started_by: str,
    now: datetime,
) -> RecoveryRun:
    """Return a run with a new name. Raise RecoveryFailed while its plan has obstacles."""
    if obstacles:
        raise RecoveryFailed("nothing was begun: " + "; ".join(obstacles))
    run_id = f"recovery-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    return RecoveryRun(run_id, region, now, started_by, steps, points)
