"""The times that the last drills of volumes measured, for forecasts of recoveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.cli.errors import known_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.drills.ledger import DrillLedger, EndedDrill


def last_drills(installed: InstalledSystem, region: str) -> Mapping[str, EndedDrill]:
    """Return the newest drill that passed in a region, by volume; none where its ledger cannot be read."""
    from snapkeep.usecases.drills.ledger_store import LedgerStore  # noqa: PLC0415 - imports what --help does not need

    try:
        ledger = LedgerStore(installed.adapters.documents_of(region)).read()
    except known_errors():  # a forecast stops no recovery
        return {}
    return passed_by_volume(ledger)


def passed_by_volume(ledger: DrillLedger) -> Mapping[str, EndedDrill]:
    """Return the newest drill that passed, by volume."""
    return {ended.volume_id: ended for ended in ledger.ended if ended.passed}
