"""Properties of every policy document."""

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.problem import InvalidPolicy, PolicyProblem
from snapkeep.policyfile.load import readable_yaml
from support.policy_strategies import json_values, policy_sets
from support.policy_text import load_text

BEYOND_THE_SCHEMA = frozenset(
    {"rpo", "copy_within", "keep_within", "completion_duration", "completion", "timezone"}  # how long, and which zones there are
    | {
        "name",
        "region",
        "kms_key",
        "min_size_gib",
        "roles",
        "availability_zones",
        "exclude_volume_ids",
        "exclude_tags",
    }  # contradictions
)
# jsonschema.validate would check the schema itself for each example; tests/unit/policy/test_published_schema.py does that.
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "policy.schema.json").read_text(encoding="utf-8"))
)


@given(policy_sets())
def test_a_document_that_is_written_reads_as_the_same_policies(policies: PolicySet) -> None:
    assert parse_document(to_document(policies), source=policies.source) == policies


@given(policy_sets())
def test_json_and_yaml_say_the_same(policies: PolicySet) -> None:
    yaml, text = load_text(readable_yaml(policies)), load_text(json.dumps(to_document(policies)))
    assert yaml == text == replace(policies, source=yaml.source)


@settings(max_examples=60)
@given(policy_sets())
def test_the_schema_takes_what_we_write(policies: PolicySet) -> None:
    SCHEMA.validate(to_document(policies))


@settings(max_examples=60)
@given(json_values)
def test_anything_at_all_is_read_or_refused_with_its_errors(data: Any) -> None:
    refused_or_read(data)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(data, dict):
        inner = data.items()
    elif isinstance(data, list):
        inner = enumerate(data)
    for key, value in inner:
        yield from places(value, (*path, key))


@settings(max_examples=60)
@given(policy_sets(), st.data())
def test_a_document_with_anything_anywhere_is_read_or_refused_with_its_errors(policies: PolicySet, data: st.DataObject) -> None:
    document = to_document(policies)
    path = data.draw(st.sampled_from(list(places(document))))
    junk = data.draw(json_values)
    if not path:
        refused_or_read(junk)
        return
    broken = copy.deepcopy(document)
    holder = broken
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    refused_or_read(broken)


def refused_or_read(data: Any) -> None:
    problems = problems_of(data)
    assert all(problem.path and problem.value and problem.right for problem in problems)
    if not problems:
        policies = parse_document(data)
        assert parse_document(to_document(policies), source=policies.source) == policies
        SCHEMA.validate(data)
    elif not any(BEYOND_THE_SCHEMA & set(problem.path.split(".")) for problem in problems):
        with pytest.raises(jsonschema.ValidationError):
            SCHEMA.validate(data)


def problems_of(data: Any) -> tuple[PolicyProblem, ...]:
    try:
        parse_document(data)
    except InvalidPolicy as refused:
        return refused.problems
    return ()
