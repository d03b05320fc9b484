"""The JSON Schema that editors use is the one that the code's definition makes."""

import json
from pathlib import Path

import jsonschema
import pytest

from snapkeep.policyfile.schema import make_schema, render_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "policy.schema.json"


def test_the_published_schema_equals_the_definitions() -> None:
    hint = "write it anew: python -m snapkeep.policyfile.schema > docs/policy.schema.json"
    assert PUBLISHED.read_text(encoding="utf-8") == render_schema(), hint


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(make_schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 1},
        {"version": 2, "policies": []},
        {"version": 1, "policies": [{"name": "a", "select": {}, "retention": {"keep_last": 0}}]},
        {"version": 1, "policies": [{"name": "a", "select": {"roles": ["boot"]}, "retention": {}}]},
        {"version": 1, "policies": [{"name": "a", "select": {}, "retention": {"keep_within": "3y"}}]},
        {"version": 1, "policies": [{"name": "a", "select": {}, "retention": {}, "color": "red"}]},
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json.loads(PUBLISHED.read_text(encoding="utf-8")))


def test_an_editor_shows_the_meaning_and_the_form_of_each_key() -> None:
    schema = make_schema()
    policy = schema["properties"]["policies"]["items"]["properties"]
    copy = policy["copies"]["items"]["properties"]
    shown = {
        "`{}` takes every volume": policy["select"],
        "`{}` keeps everything": policy["retention"],
        "refused whole": schema["properties"]["limits"],
        "the stack's `MaxDeletions`": schema["properties"]["limits"]["properties"]["max_deletions"],
        "from 1m to 365d": policy["rpo"],
        "for a month 31d": policy["retention"]["properties"]["keep_within"],
        "from 15m to 2d, in steps of 15 minutes": copy["completion_duration"],
    }
    for words, one in shown.items():
        assert words in one["description"]
    assert schema["properties"]["version"]["enum"] == [1]
    assert "default" not in shown["the stack's `MaxDeletions`"]
    assert [key["examples"] for key in (copy["copy_within"], policy["select"]["properties"]["tags"])] == [
        ["4h"],
        [{"Backup": "gold"}],
    ]
