"""The time when the next snapshot of a volume is due by its policy. Snapshots of others count like the system's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

from snapkeep.domain.copies.request import EXPECTED_SECONDS_PER_GIB
from snapkeep.domain.model import NEVER, Lineage, Snapshot, SnapshotState, Volume
from snapkeep.domain.other_tools import tool_of
from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.frequency import Periods, periods_of
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, SnapshotRule
from snapkeep.domain.policy.selection import select, why_left_out
from snapkeep.domain.tag_names import MADE

SLACK = timedelta(minutes=30)
"""The time of a call without an answer, which is repeated after ten minutes, and of some ticks."""
AFTER_FAILURE = timedelta(minutes=30)
"""The time without a new snapshot after one of the system's own failed."""
LEAST_DURATION = timedelta(minutes=15)
"""The least duration of a snapshot and its copy without history: both take a fixed time besides that for their data."""
HISTORY = 20
"""The number of newest snapshots and copies whose durations count."""
PERCENTILE = 95
_COUNTED = (SnapshotState.PENDING, SnapshotState.COMPLETED)
Copies = Mapping[str, Sequence[Snapshot]]
"""DR region -> the copies of a volume there."""


def next_due(volume: Volume, policy: Policy, snapshots: Iterable[Snapshot], copies: Copies, now: datetime) -> datetime | None:
    """Return the time, past or future, from which a snapshot of a volume is due; None if its policy makes none.

    `snapshots` are all snapshots of the volume in any state, including those of people and other tools. A pending one counts;
    working material of other tools does not. Without any, a snapshot is due at once. `copies` matter for `when: rpo` alone;
    without history, durations are estimated by the volume's size.
    """
    rule = policy.snapshots
    if rule is None:
        return None
    sources = [snapshot for snapshot in snapshots if not snapshot.is_copy]
    counted = [snapshot for snapshot in sources if _counts(snapshot, policy)]
    if not counted:
        due: datetime | None = NEVER
    else:
        newest = max(snapshot.start_time for snapshot in counted)
        due = _by_rpo(volume, policy, newest, counted, copies) if policy.makes_in_time else _by_rule(rule, newest, now)
    failures = [item.start_time for item in sources if item.state is SnapshotState.ERROR and MADE in item.tags]
    return due if due is None else max([due, *(failed + AFTER_FAILURE for failed in failures)])


def may_be_due(policy: Policy, snapshots: Iterable[Snapshot], now: datetime) -> bool:
    """Whether any history of copies could make a snapshot due now: none can before half of the RPO."""
    starts = [item.start_time for item in snapshots if not item.is_copy and _counts(item, policy)]
    if not starts or not policy.makes_in_time or any(periods_of(rule) for rule in policy.copies):
        return True
    return max(starts) + policy.rpo / 2 <= now


def _counts(snapshot: Snapshot, policy: Policy) -> bool:
    """Whether a snapshot makes another one superfluous: if the policy copies, one of its rules would copy the snapshot."""
    if snapshot.state not in _COUNTED:
        return False
    # The system's own snapshot always counts: another one would be no better, and the next tick would make it.
    tool = tool_of(snapshot)
    if MADE in snapshot.tags:
        return True
    passed_over = (tool and tool.working_material) or (policy.copies and snapshot.not_copyable)
    return not (passed_over or why_left_out(snapshot, policy))


def _by_rule(rule: SnapshotRule, newest: datetime, now: datetime) -> datetime | None:
    if rule.cron:
        cron = parse_cron(rule.cron)
        last = cron.latest(now, rule.timezone)
        return last if last is not None and newest < last else cron.following(max(now, newest), rule.timezone)
    periods = Periods(rule.every, "", rule.timezone)
    begin, _ = periods.bounds(now)
    return begin if newest < begin else periods.bounds(newest)[1]


def _by_rpo(volume: Volume, policy: Policy, newest: datetime, counted: Sequence[Snapshot], copies: Copies) -> datetime:
    """Return the latest start of a snapshot whose copies still complete before the newest data is older than the RPO."""
    if not policy.copies:
        spans = [snapshot.completed_at - snapshot.start_time for snapshot in _newest(counted) if snapshot.completed_at]
        return newest + policy.rpo - _duration(spans, volume, policy)
    return min(_by_copies(volume, policy, rule, newest, copies.get(rule.region, ())) for rule in policy.copies)


def _by_copies(volume: Volume, policy: Policy, rule: CopyRule, newest: datetime, copies: Sequence[Snapshot]) -> datetime:
    # The duration from the source's start: the snapshot, the wait in the queue, and the copy.
    spans = [copy.completed_at - copy.origin.start_time for copy in _newest(copies) if copy.completed_at]
    lead = policy.rpo - _duration(spans, volume, policy)
    periods = periods_of(rule)
    if periods is None:
        return newest + lead
    begin, end = periods.bounds(newest)
    # The copied snapshot of its period may have been deleted since. It began no earlier than the period, and no other snapshot
    # of the period is copied.
    return max(begin + lead, end)


def _newest(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    completed = [snapshot for snapshot in snapshots if snapshot.completed]
    return sorted(completed, key=lambda snapshot: snapshot.origin.start_time)[-HISTORY:]


def _duration(spans: Sequence[timedelta], volume: Volume, policy: Policy) -> timedelta:
    """Return the 95th percentile of durations plus the slack.

    Half of the RPO is the limit, which leaves time until the next snapshot.
    """
    if spans:
        expected = sorted(spans)[ceil(len(spans) * PERCENTILE / 100) - 1]
    else:
        expected = LEAST_DURATION + 2 * timedelta(seconds=volume.size_gib * EXPECTED_SECONDS_PER_GIB)
    return min(expected + SLACK, policy.rpo / 2)


def next_snapshots(
    volumes: Iterable[Volume], policies: PolicySet, snapshots: Iterable[Snapshot], copies: Copies, now: datetime
) -> dict[str, datetime]:
    """Return, by volume id, the time from which the next snapshot is due, for each volume whose policy makes snapshots.

    `snapshots` are those of the volumes' region, `copies` the listings of the DR regions.
    """
    own: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        own[snapshot.origin.volume_id].append(snapshot)
    by_lineage: dict[str, dict[Lineage, list[Snapshot]]] = {region: defaultdict(list) for region in copies}
    for region, listing in copies.items():
        for copy in listing:
            by_lineage[region][copy.origin.lineage].append(copy)
    moments: dict[str, datetime] = {}
    for volume in volumes:
        policy = select(volume, policies).policy
        if policy is None or policy.snapshots is None:
            continue
        listed = {
            region: of_region[Lineage(volume.region, volume.id)]
            for region, of_region in by_lineage.items()
            if policy.makes_in_time and policy.copy_rule(region)
        }
        due = next_due(volume, policy, own[volume.id], listed, now)
        # A volume without any snapshot is due now, not since the beginning of time.
        if due is not None:
            moments[volume.id] = max(due, now) if due == NEVER else due
    return moments
