"""What things cost, in US dollars, each with its source. Prices change and differ by region: these say how plans compare.

This is the one place with prices; a region's own are read from AWS's price list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """One price: dollars for one unit, and where it was read."""

    dollars: float
    unit: str
    source: str


SNAPSHOT_STORAGE = Price(0.05, "GiB-month of changed blocks, standard tier", "EBS pricing, snapshots")
TRANSFER = Price(0.02, "GiB copied to another region, most pairs", "EC2 pricing, data transfer between regions")
TRANSFER_OF_PAIR = {
    ("us-east-1", "us-east-2"): Price(
        0.01, "GiB copied from us-east-1 to us-east-2", "EC2 pricing, data transfer between regions"
    )
}
STATE_TRANSITION = Price(0.025 / 1000, "state transition, retries included", "Step Functions pricing, standard workflows")
FUNCTION_REQUEST = Price(0.20 / 1_000_000, "request", "Lambda pricing")
FUNCTION_GIB_SECOND = Price(0.0000133334, "GiB-second on arm64", "Lambda pricing")
TIME_BASED_COPY = (
    (15, 0.020),
    (45, 0.018),
    (105, 0.016),
    (225, 0.014),
    (465, 0.012),
    (945, 0.010),
    (2880, 0.005),
)
"""Minutes, and dollars for each GiB copied within at most so many (EBS user guide: time-based copies)."""

FUNCTION_SECONDS, FUNCTION_GIB = 0.4, 0.25
"""An assumption: how long one call of a function takes, and the memory that it has."""


def transfer(source: str, destination: str) -> Price:
    """Given two regions, return what a GiB costs that is copied from the first to the second."""
    return TRANSFER_OF_PAIR.get((source, destination), TRANSFER)


def time_based_dollars_per_gib(minutes: int) -> float:
    """Given the duration of a time-based copy (0: it is none), return what each GiB costs beside its transfer."""
    if not minutes:
        return 0.0
    return next((dollars for limit, dollars in TIME_BASED_COPY if minutes <= limit), TIME_BASED_COPY[-1][1])


def function_dollars(calls: int) -> float:
    """Given calls of functions, return what they cost."""
    return calls * (FUNCTION_REQUEST.dollars + FUNCTION_SECONDS * FUNCTION_GIB * FUNCTION_GIB_SECOND.dollars)
