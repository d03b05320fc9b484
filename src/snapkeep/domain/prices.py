"""What a copy with a completion duration costs beside the ordinary copy (EBS user guide: time-based copies; US dollars)."""

from __future__ import annotations

_USD_PER_GIB_FROM_MINUTES = (
    (16 * 60, 0.005),
    (8 * 60, 0.010),
    (4 * 60, 0.012),
    (2 * 60, 0.014),
    (60, 0.016),
    (30, 0.018),
    (0, 0.020),
)


def completion_price_usd_per_gib(completion_minutes: int) -> float:
    """Given a completion duration in minutes, return its price in US dollars per GiB copied; 0 minutes asks for none."""
    if not completion_minutes:
        return 0.0
    return next(price for least, price in _USD_PER_GIB_FROM_MINUTES if completion_minutes >= least)
