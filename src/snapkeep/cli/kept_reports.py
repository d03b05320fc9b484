"""The reports of sweeps, and the signals, that the buckets keep. A module that `--help` does not need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Generic, TypeVar

from snapkeep.adapters.s3_reports import S3Reports
from snapkeep.cli.errors import WrongUse, one_line
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.installed_vault import is_vault
from snapkeep.cli.side_by_side import side_by_side
from snapkeep.cli.vault_stack import vault_stack
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.plural import counted
from snapkeep.domain.signals import SignalRecord
from snapkeep.domain.sweep.report import SweepReport
from snapkeep.usecases.sweep.publish_report import KeptReport
from snapkeep.usecases.sweep.report_names import REPORTS, SIGNALS

T = TypeVar("T")

AT_ONCE = 8
"""Documents of a bucket that are read at the same time."""
MOST_SIGNALS = 500
"""Signals of a region that are read at most."""
FIRST_DAY = date(2026, 1, 1)
"""A day before every report."""


@dataclass(slots=True)
class KeptReader(Generic[T]):
    """Reads what buckets keep; each document once: it never changes."""

    parse: Callable[[S3Reports, str], T]
    """Returns the document of a name. Raises ValueError for one that another version wrote."""
    prefix: str = REPORTS
    most: int = sys.maxsize
    """The documents of a bucket that are read, the newest."""
    _known: dict[str, dict[str, T | str]] = field(default_factory=dict)
    """The documents of each bucket by name, as last listed; of one that cannot be read, why."""

    def read(self, store: S3Reports, first_day: date) -> tuple[list[T], str]:
        """Return the documents from a day on, the oldest first, and why there may be others. Raise SnapkeepError."""
        listed = store.names_since(first_day, self.prefix)
        names = listed[-self.most :]
        bucket = store.location("")
        known = self._known.get(bucket, {})

        def document(name: str) -> T | str:
            if name in known:
                return known[name]
            try:
                return self.parse(store, name)
            except ValueError as error:
                return f"{store.location(name)}: {one_line(error)}"

        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._known[bucket] = known = dict(zip(names, pool.map(document, names), strict=True))
        problems = [text for text in known.values() if isinstance(text, str)]
        if len(problems) > 1:
            problems = [f"{problems[0]}; and {counted(len(problems) - 1, 'other')}"]
        if len(listed) > len(names):
            problems.append(f"{len(listed) - len(names):,} older {self.prefix.rstrip('/')} are not shown")
        return [item for item in known.values() if not isinstance(item, str)], "; ".join(problems)


def report_reader() -> KeptReader[KeptReport]:
    """Return a reader of the reports of sweeps."""
    return KeptReader(_report)


def signal_reader() -> KeptReader[SignalRecord]:
    """Return a reader of signals."""
    return KeptReader(lambda store, name: from_text(SignalRecord, store.get(name)), SIGNALS, MOST_SIGNALS)


def kept_everywhere(
    stores: Mapping[str, S3Reports], problems: Mapping[str, str], reader: KeptReader[T], first_day: date
) -> tuple[list[T], dict[str, str]]:
    """Return what each region's bucket keeps, and the problems with those of the buckets that could not be read wholly."""

    def read(store: S3Reports) -> tuple[list[T], str]:
        try:
            return reader.read(store, first_day)
        except SnapkeepError as error:
            return [], one_line(error)

    results = side_by_side({region: partial(read, store) for region, store in stores.items()})
    unread = {region: problem for region, (_, problem) in results.items() if problem}
    return [item for kept, _ in results.values() for item in kept], {**problems, **unread}


def report_stores(installed: InstalledSystem) -> tuple[dict[str, S3Reports], dict[str, str]]:
    """Return the reports of each region with a stack, or of the vault, and why a region could not be read."""
    stores, problems, settings = {}, {}, installed.settings
    if is_vault(installed):
        bucket = vault_stack(settings).outputs["ReportsBucketName"]
        return {settings.region: S3Reports(client=settings.client("s3", settings.region), bucket=bucket)}, {}
    for reading in installed.regions_in_use():
        if reading.problem:
            problems[reading.region] = reading.problem
        elif store := report_store(installed, reading.region):
            stores[reading.region] = store
        elif reading.stack:
            problems[reading.region] = "its stack names no bucket of reports"
    return stores, problems


def report_store(installed: InstalledSystem, region: str) -> S3Reports | None:
    """Return the bucket of a region's stack; None without a stack, whose functions would keep reports and signals there."""
    bucket = installed.stack(installed.settings.kind_of(region), region).outputs.get("ReportsBucketName", "")
    return S3Reports(client=installed.settings.client("s3", region), bucket=bucket) if bucket else None


def kept_report(store: S3Reports, report_id: str) -> KeptReport | None:
    """Return one report; None where a store has none of that id. Raise WrongUse for one that cannot be read."""
    name = next((name for name in store.names_since(FIRST_DAY) if name.endswith(f"/{report_id}.json")), "")
    try:
        return _report(store, name) if name else None
    except ValueError as error:
        raise WrongUse(f"{store.location(name)}: {one_line(error)}") from error


def _report(store: S3Reports, name: str) -> KeptReport:
    return KeptReport(from_text(SweepReport, store.get(name)), store.location(name))
