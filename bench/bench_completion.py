"""`completion: auto` against every fixed choice: the price of the copies beyond their transfer, and how many are late.

Ordinary copies take a fixed time and that of their bytes, stretched by chance; sizes, changes and the time until the deadline are
drawn. Before them there is a history. A fixed choice counts where no copy may be late with more than 1 %. A volume that is too
large for a duration takes its shortest one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from math import exp
from random import Random
from typing import NamedTuple

from snapkeep.domain.copies.completion import (
    ONE_COPY_MIB_PER_SECOND,
    START_MARGIN,
    CompletionFacts,
    PastCopy,
    choose_minutes,
    completion_usd,
    shortest_minutes,
)
from snapkeep.domain.policy.completion import COMPLETION_LONGEST_MINUTES, COMPLETION_STEP_MINUTES

COPIES, REMEMBERED = 3_000, 500
BASE_SECONDS, MIB_PER_SECOND, SPREAD = 60.0, 60.0, 0.3
SIGMAS_OF_99_PERCENT = 2.326
DEADLINES = {"1h": (1,), "4h": (4,), "24h": (24,), "1h, 4h and 24h": (1, 4, 24)}


class Copy(NamedTuple):
    """A copy to make: its facts, and the duration of an ordinary one."""

    facts: CompletionFacts
    ordinary_seconds: float
    surely_seconds: float
    """The time in which an ordinary one completes with 99 %."""

    def is_late(self, minutes: int, *, surely: bool = False) -> bool:
        """Return whether a copy, ordinary with 0 minutes, misses its deadline; with `surely`, whether it may with over 1 %."""
        ordinary = self.surely_seconds if surely else self.ordinary_seconds
        return (minutes * 60 or ordinary) > (self.facts.left - START_MARGIN).total_seconds()


def drawn(dice: Random, hours: tuple[int, ...]) -> Iterator[Copy]:
    """Yield copies whose deadline can be met: 5 to 50 % of the time is over when they start."""
    while True:
        full = min(16 * 1024 * 1024, round(1024 * dice.lognormvariate(5, 1.2)) + 1)
        changed = max(1, round(full * min(1.0, dice.lognormvariate(-2.5, 1.0))))
        left = timedelta(hours=dice.choice(hours) * dice.uniform(0.5, 0.95))
        median = BASE_SECONDS + changed / MIB_PER_SECOND
        facts = CompletionFacts(changed, full, left, ONE_COPY_MIB_PER_SECOND)
        copy = Copy(facts, median * dice.lognormvariate(0, SPREAD), median * exp(SPREAD * SIGMAS_OF_99_PERCENT))
        if not copy.is_late(shortest_minutes(full)):
            yield copy


def main() -> int:
    """Print the table. Return 1 if a fixed choice was cheaper, or one in a hundred copies of `auto` late."""
    failed = False
    print(f"{'deadline':<16}{'late':>8}{'ordinary':>10}{'of always 15m':>15}{'of the best fixed':>19}")
    for name, hours in DEADLINES.items():
        dice = Random(15)  # noqa: S311 - a bench's dice
        source = drawn(dice, hours)
        past = [next(source) for _ in range(REMEMBERED)]
        history = [PastCopy(copy.facts.changed_mib, round(copy.ordinary_seconds)) for copy in past]
        copies, chosen = [next(source) for _ in range(COPIES)], []
        for copy in copies:
            minutes = choose_minutes(copy.facts, history[-REMEMBERED:])
            chosen.append(minutes)
            if not minutes:
                history.append(PastCopy(copy.facts.changed_mib, round(copy.ordinary_seconds)))
        late = sum(copy.is_late(minutes) for copy, minutes in zip(copies, chosen, strict=True))
        usd = sum(completion_usd(minutes, copy.facts.changed_mib) for copy, minutes in zip(copies, chosen, strict=True))
        fixed: dict[int, float] = {}
        for minutes in range(0, COMPLETION_LONGEST_MINUTES + 1, COMPLETION_STEP_MINUTES):
            ways = [max(minutes, shortest_minutes(copy.facts.full_mib)) if minutes else 0 for copy in copies]
            if sum(copy.is_late(way, surely=True) for copy, way in zip(copies, ways, strict=True)) <= late:
                fixed[minutes] = sum(completion_usd(way, copy.facts.changed_mib) for copy, way in zip(copies, ways, strict=True))
        always = fixed[COMPLETION_STEP_MINUTES]
        best = min(fixed.values())
        share = f"{usd / best:.2f}" if best else ("1.00" if not usd else "dearer")
        failed = failed or usd > best or late * 100 >= COPIES
        ordinary = chosen.count(0) / COPIES
        print(f"{name:<16}{late / COPIES:>8.2%}{ordinary:>10.1%}{usd / always:>15.2f}{share:>19}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
