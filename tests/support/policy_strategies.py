"""Strategies of hypothesis for tests about policies, selection and retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from snapkeep.domain.model import Snapshot, SnapshotState, Volume, VolumeRole
from snapkeep.domain.policy.fields import VOLUME_TYPES
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.policy.source import PolicySource, SourceKind
from support.lineages import snapshot

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Auckland",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
]

counts = st.just(0) | st.integers(1, 15)
withins = st.just(timedelta(0)) | st.integers(1, 24 * 40).map(lambda hours: timedelta(hours=hours))

retentions = st.builds(
    Retention,
    keep_last=counts,
    keep_within=withins,
    minimum=st.integers(1, 5),
    timezone=st.sampled_from(ZONES),
    **{f"keep_{word}": counts for word in PERIODS},
)

_ages = st.one_of(
    st.integers(0, 60 * 24 * 3).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(0, 400).map(lambda days: timedelta(days=days)),
    st.integers(0, 24 * 800).map(lambda hours: timedelta(hours=hours)),
    st.sampled_from([timedelta(days=1), timedelta(days=7), timedelta(days=28), timedelta(seconds=1)]),
)
_states = st.sampled_from([SnapshotState.COMPLETED] * 6 + [SnapshotState.PENDING, SnapshotState.ERROR])

DOCUMENT = PolicySource(SourceKind.DOCUMENT)


@st.composite
def lineages(draw: st.DrawFn, *, all_count: bool = False, most: int = 40) -> list[Snapshot]:
    """One volume's snapshots: close together, far apart, at equal times; unless `all_count`, some do not count."""
    made = []
    for number, age in enumerate(draw(st.lists(_ages, max_size=most)), start=1):
        state = SnapshotState.COMPLETED if all_count else draw(_states)
        managed = all_count or draw(st.sampled_from([True] * 5 + [False]))
        made.append(snapshot(NOW - age, number, state=state, managed=managed))
    return made


KEYS = ["Backup", "Name", "Env"]
VALUES = ["gold", "silver", "prod", "prod-1", "a b"]
PATTERNS = [*VALUES, "*", "prod*", "?old", "a*b"]
_tag_patterns = st.dictionaries(
    st.sampled_from(KEYS), st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple), max_size=2
)
VOLUME_IDS = ["vol-0a", "vol-0b", "vol-0c"]
INSTANCE_IDS = ["i-01", "i-02"]
AVAILABILITY_ZONES = ["us-east-1a", "us-east-1b"]


def _some(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


selectors = st.builds(
    Selector,
    tags=_tag_patterns,
    exclude_tags=_tag_patterns,
    volume_ids=_some(VOLUME_IDS),
    exclude_volume_ids=_some(VOLUME_IDS),
    instance_ids=_some(INSTANCE_IDS),
    instance_tags=_tag_patterns,
    availability_zones=_some(AVAILABILITY_ZONES),
    volume_types=_some(list(VOLUME_TYPES)),
    roles=_some([role.value for role in VolumeRole]),
    min_size_gib=st.sampled_from([0, 10]),
    max_size_gib=st.sampled_from([0, 100]),
    snapshot_tags=_tag_patterns,
)

_tags = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)
volumes = st.builds(
    Volume,
    id=st.sampled_from(VOLUME_IDS),
    region=st.just("us-east-1"),
    size_gib=st.sampled_from([1, 10, 100, 1000]),
    volume_type=st.sampled_from(VOLUME_TYPES),
    role=st.sampled_from(VolumeRole),
    instance_ids=_some(INSTANCE_IDS),
    instance_tags=st.tuples(_tags, _tags),
    zone=st.sampled_from(AVAILABILITY_ZONES),
    tags=_tags,
)


completions = st.sampled_from(["", "auto"])


@st.composite
def policy_sets(draw: st.DrawFn) -> PolicySet:
    """Policies that a document can say."""
    policies = []
    for number in range(draw(st.integers(1, 4))):
        rpo = timedelta(hours=draw(st.integers(1, 72)))
        regions = draw(st.lists(st.sampled_from(["us-east-2", "us-west-2", "eu-west-1"]), max_size=2, unique=True))
        between = draw(st.sampled_from([hours for hours in (0, 0, 1, 6, 24, 48) if timedelta(hours=hours) < rpo]))
        latest = rpo - timedelta(hours=between)
        rules = tuple(
            CopyRule(
                region,
                draw(st.sampled_from(["", "alias/dr", f"arn:aws:kms:{region}:123456789012:key/0123"])),
                timedelta(minutes=draw(st.integers(1, latest // timedelta(minutes=1)))),
                draw(retentions),
                draw(st.booleans()),
                0,
                every=timedelta(hours=between),
                completion=completion,
                copy_budget=draw(st.sampled_from(["", "7.50 USD/month"])) if completion else "",
            )
            for region, completion in zip(regions, draw(st.tuples(completions, completions)), strict=False)
        )
        policies.append(Policy(f"p{number}", draw(selectors.filter(_can_match)), draw(retentions), rules, rpo))
    limits = draw(st.builds(Limits, st.integers(1, 1000), st.integers(1, 100), st.integers(0, 50)))
    return PolicySet(tuple(policies), limits, DOCUMENT)


def _can_match(selector: Selector) -> bool:
    """Whether the selector does not exclude all that it asks for (a document that does is refused)."""
    if selector.volume_ids and set(selector.volume_ids) <= set(selector.exclude_volume_ids):
        return False
    if (selector.instance_ids or selector.instance_tags) and set(selector.roles) == {VolumeRole.UNATTACHED}:
        return False
    return not set(selector.tags) & set(selector.exclude_tags)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.text(max_size=8) | st.sampled_from(["3d", "gold", "us-east-2", 1.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
