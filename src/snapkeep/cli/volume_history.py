"""The last drills and the unusual changes of volumes, as the buckets of the DR regions have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.cli.errors import known_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.drills.ledger import DrillLedger, EndedDrill
    from snapkeep.domain.recovery.changes import UnusualChange


def last_drills(installed: InstalledSystem, region: str) -> Mapping[str, EndedDrill]:
    """Return the newest drill that passed in a region, by volume; none where its ledger cannot be read."""
    from snapkeep.usecases.drills.ledger_store import LedgerStore  # noqa: PLC0415 - imports what --help does not need

    try:
        return passed_by_volume(LedgerStore(installed.adapters.documents_of(region)).read())
    except known_errors():  # a forecast stops no recovery
        return {}


def passed_by_volume(ledger: DrillLedger) -> Mapping[str, EndedDrill]:
    """Return the newest drill that passed, by volume."""
    return {ended.volume_id: ended for ended in ledger.ended if ended.passed}


def changes_by_volume(installed: InstalledSystem, regions: Iterable[str]) -> tuple[Mapping[str, UnusualChange], list[str]]:
    """Return the newest unusual change by volume, and the DR regions whose bucket cannot be read."""
    from snapkeep.domain.recovery.changes import newest_by_volume  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.usecases.recovery.measure_changes import unusual_changes  # noqa: PLC0415

    changes: list[UnusualChange] = []
    unknown: list[str] = []
    for region in regions:
        try:
            changes += unusual_changes(installed.adapters.documents_of(region))
        except known_errors():  # a mark that is missing stops no recovery
            unknown.append(region)
    return newest_by_volume(changes), unknown
