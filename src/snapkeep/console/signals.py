"""The signals that the buckets keep, read with each reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from snapkeep.adapters.s3_reports import S3Reports
from snapkeep.cli.commands.report import MOST_SIGNALS, signal_or_problem, why_not_recorded
from snapkeep.cli.errors import known_errors, one_line
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.domain.signals import SignalRecord
from snapkeep.domain.system import StackKind
from snapkeep.usecases.sweep.report_names import SIGNALS

TRAILS_FRESH = timedelta(minutes=10)
"""Age up to which a look at the trails is used again: it takes several calls."""
DAYS = 14
"""The days whose signals are listed, as `snapkeep report signals` does."""


@dataclass(slots=True)
class SignalReader:
    """Reads each record once: it never changes."""

    _known: dict[str, SignalRecord | str] = field(default_factory=dict)
    _unrecorded: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """When it was looked at the trails of a region, and why they record nothing."""

    def read(
        self, system: InstalledSystem, regions: Iterable[str], now: datetime
    ) -> tuple[tuple[SignalRecord, ...], dict[str, str]]:
        """Return the signals of the last days in regions, the newest first, and why there may be others, by region."""
        records: list[SignalRecord] = []
        problems: dict[str, str] = {}
        known: dict[str, SignalRecord | str] = {}
        for region in regions:
            try:
                if (store := _store(system, region)) is None:
                    continue
                names = store.names_since((now - timedelta(days=DAYS - 1)).date(), SIGNALS)
                for name in names[-MOST_SIGNALS:]:
                    place = store.location(name)
                    known[place] = self._known[place] if place in self._known else signal_or_problem(store, name)
            except known_errors() as error:
                problems[region] = f"the signals in the bucket of {region} are not known: {one_line(error)}"
                continue
            of_region = [known[store.location(name)] for name in names[-MOST_SIGNALS:]]
            records += [record for record in of_region if not isinstance(record, str)]
            unread = [text for text in of_region if isinstance(text, str)][:3]
            if unread := [*unread, *filter(None, [self._why_not_recorded(system, region, now)])]:
                problems[region] = "; ".join(unread)
        self._known = known
        return tuple(sorted(records, key=lambda record: record.first_at, reverse=True)), problems

    def _why_not_recorded(self, system: InstalledSystem, region: str, now: datetime) -> str:
        """Return why calls by others become no signals; empty where a trail records them."""
        if region not in self._unrecorded or now - self._unrecorded[region][0] > TRAILS_FRESH:
            self._unrecorded[region] = now, why_not_recorded(system.settings, region)
        return self._unrecorded[region][1]


def _store(system: InstalledSystem, region: str) -> S3Reports | None:
    """Return the bucket of a region's stack; None without a stack, whose functions would keep signals there."""
    kind = StackKind.PRIMARY if region == system.settings.region else StackKind.DR
    bucket = system.stack(kind, region).outputs.get("ReportsBucketName", "")
    return S3Reports(client=system.settings.client("s3", region), bucket=bucket) if bucket else None
