"""The unusual changes of volumes, as the buckets of the DR regions have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.cli.errors import known_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.recovery.changes import UnusualChange


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
