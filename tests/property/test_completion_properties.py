"""The chosen way of a copy against every other way, and the time of ordinary copies against what they take."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.copies.completion import (
    ONE_COPY_MIB_PER_SECOND,
    START_MARGIN,
    CompletionFacts,
    PastCopy,
    choose_minutes,
    ordinary_seconds,
    pace,
)
from snapkeep.domain.policy.completion import COMPLETION_LONGEST_MINUTES, COMPLETION_STEP_MINUTES
from snapkeep.domain.prices import completion_price_usd_per_gib

sizes = st.integers(1, 64) | st.integers(1, 64 * 1024 * 1024)
histories = st.lists(st.builds(PastCopy, st.integers(1, 10**6), st.integers(10, 10**5)), max_size=60)


@st.composite
def facts(draw: st.DrawFn) -> CompletionFacts:
    full = draw(sizes)
    left = timedelta(minutes=draw(st.integers(-60, 60 * 60)), seconds=draw(st.integers(0, 59)))
    return CompletionFacts(draw(st.integers(1, full)), full, left, draw(st.floats(-100, 2000)))


@given(facts(), histories)
def test_no_way_that_is_in_time_is_cheaper(given_facts: CompletionFacts, history: list[PastCopy]) -> None:
    """The oracle tries every way."""
    ends = {0: ordinary_seconds(given_facts.changed_mib, history)}
    for minutes in range(COMPLETION_STEP_MINUTES, COMPLETION_LONGEST_MINUTES + 1, COMPLETION_STEP_MINUTES):
        if pace(given_facts.full_mib, minutes) <= min(ONE_COPY_MIB_PER_SECOND, given_facts.free_mib_per_second):
            ends[minutes] = minutes * 60
    left = (given_facts.left - START_MARGIN).total_seconds()
    in_time = [minutes for minutes, seconds in ends.items() if seconds <= left]
    chosen = choose_minutes(given_facts, history)
    assert chosen in ends
    if in_time:
        dollars = {minutes: completion_price_usd_per_gib(minutes) for minutes in in_time}
        assert chosen in in_time
        assert dollars[chosen] == min(dollars.values())
        cheapest = [minutes for minutes in in_time if dollars[minutes] == dollars[chosen]]
        assert chosen in (0, max(cheapest))  # the longest of the step uses the least throughput
    else:
        assert ends[chosen] == min(ends.values())


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.sampled_from([50, 200, 1000]))
def test_ordinary_copies_are_within_their_time_with_99_percent(seed: int, speed: int) -> None:
    dice = Random(seed)

    def copied() -> PastCopy:
        mib = max(1, round(dice.lognormvariate(7, 2)))
        return PastCopy(mib, round((60 + mib / speed) * dice.lognormvariate(0, 0.3)))

    history = [copied() for _ in range(300)]
    late = sum(past.seconds > ordinary_seconds(past.mib, history) for past in (copied() for _ in range(300)))
    assert late <= 9, "3 % of 300, so that chance alone fails no test of a mean below 1 %"


@given(sizes, sizes, histories)
def test_more_changes_never_take_less_time_without_history(first: int, second: int, history: list[PastCopy]) -> None:
    small, large = sorted((first, second))
    assert ordinary_seconds(small, history[:19]) <= ordinary_seconds(large, history[:19])
