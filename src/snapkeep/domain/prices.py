"""All prices, in US dollars, each with its source.

Prices change and differ by region: these serve to compare plans. AWS's price list has the prices of each region.
"""

from __future__ import annotations

from snapkeep.domain.records import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one unit, and the page that states it."""

    dollars: float
    unit: str
    source: str


DAYS_OF_A_MONTH = 30
SNAPSHOT_STORAGE = Price(0.05, "GiB-month of changed blocks, standard tier", "EBS pricing, snapshots")
VOLUME_STORAGE = Price(0.08, "GiB-month of a gp3 volume", "EBS pricing, General Purpose SSD volumes")
TRANSFER = Price(0.02, "GiB copied to another region, most pairs", "EC2 pricing, data transfer between regions")
NO_TRANSFER = Price(0.0, "GiB copied within a region", "EC2 pricing, data transfer")
TRANSFER_OF_PAIR = {
    ("us-east-1", "us-east-2"): Price(
        0.01, "GiB copied from us-east-1 to us-east-2", "EC2 pricing, data transfer between regions"
    )
}
BLOCK_LISTING = Price(0.0006 / 1000, "request of ListSnapshotBlocks or ListChangedBlocks", "EBS pricing, direct APIs")
BLOCK_READ = Price(0.003 / 1000, "block of GetSnapshotBlock", "EBS pricing, direct APIs")
STATE_TRANSITION = Price(0.025 / 1000, "state transition, retries included", "Step Functions pricing, standard workflows")
FUNCTION_REQUEST = Price(0.20 / 1_000_000, "request", "Lambda pricing")
FUNCTION_GIB_SECOND = Price(0.0000133334, "GiB-second on arm64", "Lambda pricing")

TIME_BASED_COPY = (
    (16 * 60, 0.005),
    (8 * 60, 0.010),
    (4 * 60, 0.012),
    (2 * 60, 0.014),
    (60, 0.016),
    (30, 0.018),
    (0, 0.020),
)
"""The shortest completion duration in minutes, and its dollars per GiB copied (EBS user guide: time-based copies)."""


def transfer_price(source: str, destination: str) -> Price:
    """Return the price of copying a GiB from one region to another; the transfer within a region is free."""
    if source == destination:
        return NO_TRANSFER
    return TRANSFER_OF_PAIR.get((source, destination), TRANSFER)


def storage_usd(size_gib: int, days: float) -> float:
    """Return the highest cost of a snapshot for a number of days in US dollars. EC2 bills only changed blocks."""
    return size_gib * SNAPSHOT_STORAGE.dollars * days / DAYS_OF_A_MONTH


def completion_price_usd_per_gib(completion_minutes: int) -> float:
    """Return the US dollars that a completion duration adds to the price of a GiB copied; 0 minutes is a standard copy."""
    if not completion_minutes:
        return 0.0
    return next(dollars for shortest, dollars in TIME_BASED_COPY if completion_minutes >= shortest)


def usd_of(text: str) -> float:
    """Return the US dollars of a budget such as `5 USD/month`, or of a price; 0 for an empty text."""
    return float(text.partition(" ")[0] or 0)
