"""The words mean what they mean in restic: its own answers for the same dates, kept as data."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from snapkeep.domain.durations import parse_duration
from snapkeep.domain.model import Action
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.retention.verdicts import RETENTION_WORDS, decide
from support.lineages import SYSTEM, at, lineage

ORACLE = json.loads((Path(__file__).parent / "restic_0_18_0.json").read_text(encoding="utf-8"))
RESTICS_WORDS = {f"keep_{word}" for word in ("last", "within", "hourly", "daily", "weekly", "monthly", "yearly")}
CASES = [
    pytest.param(
        times["times"], case, id=f"{times['name']}: {', '.join(f'{word} {value}' for word, value in case['keep'].items())}"
    )
    for times in ORACLE["sets"]
    for case in times["cases"]
]


@pytest.mark.parametrize(("times", "case"), CASES)
def test_kept_snapshots_and_reasons_are_those_of_restic(times: list[str], case: dict[str, Any]) -> None:
    words = {word: parse_duration(value) if isinstance(value, str) else value for word, value in case["keep"].items()}
    verdicts = decide(lineage(times), Retention(**words), at(times[-1]) + timedelta(hours=1), system=SYSTEM)
    kept = {
        verdict.snapshot.start_time.isoformat()[:19]: [r.rule for r in verdict.reasons if r.rule in RETENTION_WORDS]
        for verdict in verdicts
        if verdict.action is Action.KEEP
    }
    ours_alone = {time for time, rules in kept.items() if not rules}
    assert ours_alone <= {max(times)}, "beyond restic we keep the newest, and nothing else"
    assert {time: sorted(rules) for time, rules in kept.items() if rules} == {
        time: sorted(rules) for time, rules in case["kept"].items()
    }


def test_the_oracle_has_cases_for_every_word_that_restic_has() -> None:
    words = {word for lineage in ORACLE["sets"] for case in lineage["cases"] for word in case["keep"]}
    assert words == RESTICS_WORDS
    assert words <= RETENTION_WORDS
