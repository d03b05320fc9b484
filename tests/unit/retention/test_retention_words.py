"""Each retention word is a field of Retention, a row of the table of periods, documented, and shown in a golden case."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from snapkeep.domain.policy.model import Retention
from snapkeep.domain.policy.periods import PERIODS, finest_period
from snapkeep.domain.policy.retention_fields import RETENTION
from snapkeep.domain.retention.verdicts import RETENTION_WORDS
from support import minutely
from support.retention_oracle import PERIOD_OF

ROOT = Path(__file__).parents[3]
WORDS = sorted(RETENTION_WORDS)


def test_retention_words_are_fields_and_document_keys() -> None:
    assert {field.name for field in fields(Retention)} == RETENTION_WORDS | {"minimum", "timezone"}
    assert {field.name for field in RETENTION.fields} == RETENTION_WORDS | {"minimum", "timezone"}
    assert PERIOD_OF.keys() == PERIODS.keys()


@pytest.mark.parametrize("word", WORDS)
def test_each_word_is_documented_and_has_a_golden_case(word: str) -> None:
    assert f"`{word}`" in (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    golden = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "unit" / "retention" / "golden").glob("*.txt")]
    assert any(f'"{word}"' in text for text in golden)


def test_the_finest_period_in_use_is_a_day_at_most() -> None:
    assert finest_period(["yearly", "hourly"]) == PERIODS["hourly"]
    for words in ([], ["daily"], ["weekly"], ["monthly", "yearly"]):
        assert finest_period(words) == PERIODS["daily"]


@pytest.fixture(scope="module")
def with_another_word() -> dict[str, Any]:
    done = subprocess.run([sys.executable, minutely.__file__], check=True, capture_output=True, text=True, env=environment())
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def environment() -> dict[str, str]:
    return {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}


def test_another_word_is_read_written_and_shown(with_another_word: dict[str, Any]) -> None:
    assert "keep_minutely: 2" in with_another_word["written"]
    assert with_another_word["read again"]
    assert "keep minutely 2" in with_another_word["summary"]
    assert with_another_word["schema"]["type"] == "integer"


def test_another_word_decides_by_its_own_periods(with_another_word: dict[str, Any]) -> None:
    one_minute_each, two_in_a_minute = with_another_word["verdicts"]
    keep, newest, delete = ["keep", ["keep_minutely"]], ["keep", ["newest", "keep_minutely"]], ["delete", ["keep_minutely"]]
    assert one_minute_each == [delete, keep, newest]
    assert two_in_a_minute == [keep, delete, newest]
