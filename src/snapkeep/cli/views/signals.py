"""Signals as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapkeep.domain.plural import counted
from snapkeep.domain.signals import SignalRecord


def signal_lines(records: Sequence[SignalRecord], *, known: bool = True) -> Iterator[str]:
    """Yield two lines for each record: its time, region and call, its principal, and the points that it affects.

    `known` says whether all signals are known.
    """
    for record in records:
        calls = f" ({counted(record.calls, 'call')})" if record.calls > 1 else ""
        yield f"{record.first_at:%Y-%m-%d %H:%M}  {record.region}  {record.subject}{calls}"
        yield f"    {record.detail}"
    none = "no signal" if known else "calls by others are not known"
    yield counted(len(records), "signal") if records else none
