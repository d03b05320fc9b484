"""Cron expressions: their moments, in the time zone's own clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.policy.cron import parse_cron
from support.policy_strategies import ZONES


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "last", "following"),
    [
        ("0 */4 * * ? *", "2026-11-20T09:30", "2026-11-20T08:00", "2026-11-20T12:00"),
        ("15,45 3 * * ? *", "2026-11-20T03:30", "2026-11-20T03:15", "2026-11-20T03:45"),
        ("0 22 ? * MON-FRI *", "2026-11-22T10:00", "2026-11-20T22:00", "2026-11-23T22:00"),
        ("0 0 1 JAN,jul ? *", "2026-11-22T10:00", "2026-07-01T00:00", "2027-01-01T00:00"),
        ("30 12 31 * ? 2026", "2026-11-22T10:00", "2026-10-31T12:30", "2026-12-31T12:30"),
    ],
)
def test_moments_before_and_after(text: str, now: str, last: str, following: str) -> None:
    cron = parse_cron(text)
    assert (cron.latest(at(now), "UTC"), cron.following(at(now), "UTC")) == (at(last), at(following))


def test_an_expression_without_a_moment_in_a_year_has_none() -> None:
    cron = parse_cron("0 0 1 * ? 2199")
    assert (cron.latest(at("2026-11-22T10:00"), "UTC"), cron.following(at("2026-11-22T10:00"), "UTC")) == (None, None)


@pytest.mark.parametrize(
    ("text", "over"),
    [
        ("0 3 * * ? 2026", False),
        ("0 3 22 NOV ? 2026", True),
        ("0 3 * * ? 2020-2025", True),
        ("0 3 * * ? 2020,2031", False),
        ("0 3 29 FEB ? *", False),
        ("0 3 29 FEB ? 2027", True),
        ("0 3 30 FEB ? *", True),
        ("0 0 31 12 ? 2199", False),
    ],
)
def test_an_expression_whose_last_moment_is_past_is_over(text: str, over: bool) -> None:
    assert parse_cron(text).is_over(at("2026-11-22T10:00"), "UTC") is over


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("0 */4 * * ? *", timedelta(hours=4)),
        ("* * * * ? *", timedelta(minutes=1)),
        ("0 3,9 * * ? *", timedelta(hours=18)),
        ("0 9-17 ? * MON-FRI *", timedelta(days=3, hours=-8)),
        ("0 3 1 * ? *", timedelta(days=31)),
        ("0 3 1 JAN ? *", timedelta(days=366)),
        ("0 3 30 FEB ? *", timedelta.max),
    ],
)
def test_the_longest_time_between_two_moments(text: str, longest: timedelta) -> None:
    assert parse_cron(text).longest == longest


@pytest.mark.parametrize(
    ("day", "moments"),
    [
        # 02:30 does not exist on 29 March, and exists twice on 25 October.
        ("2026-03-29", ["2026-03-29T01:30"]),
        ("2026-10-25", ["2026-10-25T00:30"]),
    ],
)
def test_a_time_that_the_clock_skips_or_repeats_counts_once(day: str, moments: list[str]) -> None:
    cron = parse_cron("30 2 * * ? *")
    begin, found = at(day), []
    moment = cron.following(begin - timedelta(hours=2), "Europe/Berlin")
    while moment is not None and moment < begin + timedelta(hours=22):
        found.append(moment)
        moment = cron.following(moment, "Europe/Berlin")
    assert found == [at(text) for text in moments]


@given(
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 60 * 24 * 500),
    text=st.sampled_from(["0 */4 * * ? *", "30 2 * * ? *", "59 23 * * ? *", "0 0 ? * SUN *", "5 1,2,3 * * ? *"]),
)
def test_nothing_lies_between_the_last_and_the_next_moment(zone: str, minutes: int, text: str) -> None:
    cron, now = parse_cron(text), at("2026-01-01T00:00") + timedelta(minutes=minutes)
    last, following = cron.latest(now, zone), cron.following(now, zone)
    assert last is not None
    assert following is not None
    assert last <= now < following
    assert cron.latest(following - timedelta(seconds=1), zone) == last
    assert cron.following(last, zone) == following
