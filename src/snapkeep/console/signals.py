"""The signals that the buckets keep, read with each reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from snapkeep.cli.commands.report import why_not_recorded
from snapkeep.cli.errors import known_errors, one_line
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.kept_reports import KeptReader, report_store, signal_reader
from snapkeep.domain.signals import SignalRecord

TRAILS_FRESH = timedelta(minutes=10)
"""Age up to which a check of the trails is reused: it takes several calls."""
DAYS = 14
"""The days whose signals are listed, as `snapkeep report signals` does."""


@dataclass(slots=True)
class SignalReader:
    """Reads the signals of regions, again and again."""

    _reader: KeptReader[SignalRecord] = field(default_factory=signal_reader)
    _unrecorded: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """The time of the last check of a region's trails, and why they record nothing."""

    def read(
        self, system: InstalledSystem, regions: Iterable[str], now: datetime
    ) -> tuple[tuple[SignalRecord, ...], dict[str, str]]:
        """Return the signals of the last days in regions, the newest first, and why there may be others, by region."""
        first_day = (now - timedelta(days=DAYS - 1)).date()
        records: list[SignalRecord] = []
        problems: dict[str, str] = {}
        for region in regions:
            try:
                if (store := report_store(system, region)) is None:
                    continue
                of_region, problem = self._reader.read(store, first_day)
            except known_errors() as error:
                problems[region] = f"the signals in the bucket of {region} are not known: {one_line(error)}"
                continue
            records += of_region
            if why := "; ".join(filter(None, [problem, self._why_not_recorded(system, region, now)])):
                problems[region] = why
        return tuple(sorted(records, key=lambda record: record.first_at, reverse=True)), problems

    def _why_not_recorded(self, system: InstalledSystem, region: str, now: datetime) -> str:
        """Return why calls by others become no signals; empty where a trail records them."""
        if region not in self._unrecorded or now - self._unrecorded[region][0] > TRAILS_FRESH:
            self._unrecorded[region] = now, why_not_recorded(system.settings, region)
        return self._unrecorded[region][1]
