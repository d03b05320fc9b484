"""The JSON Schema that editors use is the one that the code's definition makes."""

import json
from pathlib import Path

import jsonschema
import pytest

from snapkeep.policyfile.schema import make_schema, render_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "policy.schema.json"


def test_the_published_schema_is_what_the_definition_makes() -> None:
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
def test_an_editor_marks_what_the_parser_refuses(wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json.loads(PUBLISHED.read_text(encoding="utf-8")))
