"""A process in which `keep_minutely` is a retention word: a row in the table of periods, a field of Retention, nothing else.

It prints as JSON what everything derived from the table makes of the word.
"""

import json
import sys
from dataclasses import make_dataclass
from datetime import UTC, datetime, timedelta

from snapkeep.domain.policy import model, periods

MINUTELY = periods.Period(
    lambda calendar: [int(time.timestamp()) // 60 for time in calendar.times],
    lambda minute: f"minute {minute}",
    "minutes",
    timedelta(minutes=1),
)


def add_the_word() -> None:
    periods.PERIODS = {"minutely": MINUTELY, **periods.PERIODS}
    fields = [("keep_minutely", int, 0)]
    model.Retention = make_dataclass("Retention", fields, bases=(model.Retention,), unsafe_hash=True)  # type: ignore[misc]


def main() -> None:
    add_the_word()
    from snapkeep.cli.views.policy import summary_lines  # noqa: PLC0415 - imported once the word is there
    from snapkeep.domain.retention.plan import LineageFacts, plan_lineage  # noqa: PLC0415
    from snapkeep.policyfile.load import readable_yaml  # noqa: PLC0415
    from snapkeep.policyfile.schema import make_schema  # noqa: PLC0415
    from support.lineages import REGION, SYSTEM, lineage  # noqa: PLC0415
    from support.policy_text import load_text  # noqa: PLC0415

    policies = load_text("{version: 1, policies: [{name: p, select: {}, retention: {keep_minutely: 2}}]}")
    (policy,) = policies.policies
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    verdicts = []
    for minutes in ([1, 2, 3], [0.25, 0.5, 3]):  # two volumes, one day and hour, other minutes
        snapshots = lineage([now - timedelta(minutes=age) for age in minutes])
        facts = LineageFacts(snapshots[0].origin.lineage, snapshots, policy.retention)
        plan = plan_lineage(facts, REGION, now, system=SYSTEM, limits=policies.limits)
        verdicts.append([(str(verdict.action), [reason.rule for reason in verdict.reasons]) for verdict in plan.verdicts])
        assert not plan.refusals
    retention = make_schema()["properties"]["policies"]["items"]["properties"]["retention"]["properties"]
    result = {
        "written": readable_yaml(policies),
        "read again": load_text(readable_yaml(policies)) == policies,
        "summary": "\n".join(summary_lines(policies, ())),
        "schema": retention.get("keep_minutely"),
        "verdicts": verdicts,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
