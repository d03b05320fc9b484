"""`docs/contracts.md`, the templates, the state machines and the code say the same."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from snapkeep.adapters import dynamodb_queue
from snapkeep.domain import errors
from support.templates import template

ROOT = Path(__file__).parents[2]
CONTRACTS = (ROOT / "docs/contracts.md").read_text()
README = (ROOT / "README.md").read_text()
INFRA = ROOT / "src/snapkeep/infra"
TEMPLATES = {name: (INFRA / f"{name}.yaml").read_text() for name in ("primary", "dr", "vault")}
DEFINITIONS = sorted((INFRA / "statemachines").glob("*.asl.json"))
ERRORS_OF_AWS = re.compile(r"^(States|Lambda|Sandbox|SQS|SNS|DynamoDB)\.")
FUNCTION_ROW = re.compile(
    r"^\| (?P<function>[A-Z][A-Za-z]+) \| `(?P<module>[a-z_]+)` \| (?P<stack>primary|DR|DR, vault|vault|all) \|", re.MULTILINE
)


def error_names(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = set(node.get("ErrorEquals", []))
        return own.union(*(error_names(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(error_names(value) for value in node))
    return set()


def our_errors() -> set[str]:
    return {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.SnapkeepError)}


@pytest.mark.parametrize(
    "row", [match.groupdict() for match in FUNCTION_ROW.finditer(CONTRACTS)], ids=lambda row: row["function"]
)
def test_a_documented_function_is_a_module_and_stands_in_its_stacks_templates(row: dict[str, str]) -> None:
    assert callable(import_module(f"snapkeep.functions.{row['module']}").handler)
    stacks = tuple(TEMPLATES) if row["stack"] == "all" else tuple(row["stack"].lower().split(", "))
    for stack, text in TEMPLATES.items():
        assert (f'"{row["function"]}${{FunctionNameSuffix}}"' in text) == (stack in stacks), (row, stack)


def test_every_function_of_the_templates_is_documented() -> None:
    documented = {match["module"] for match in FUNCTION_ROW.finditer(CONTRACTS)}
    deployed = {name for text in TEMPLATES.values() for name in re.findall(r"Handler: snapkeep\.functions\.(\w+)\.handler", text)}
    assert deployed == documented


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: path.stem)
def test_a_state_machine_matches_only_errors_that_are_raised(definition: Path) -> None:
    named = {name for name in error_names(json.loads(definition.read_text())) if not ERRORS_OF_AWS.match(name)}
    assert named
    assert named <= our_errors()


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: path.stem)
def test_a_state_machine_retries_what_the_code_calls_retryable(definition: Path) -> None:
    retryable = {kind.__name__ for kind in errors.RETRYABLE}
    for name, state in states_of(json.loads(definition.read_text())).items():
        if state["Type"] == "Task":
            assert retryable <= error_names(state.get("Retry", [])), name


def states_of(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, state in definition["States"].items():
        found[name] = state
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                found |= states_of(inner)
    return found


def test_the_functions_environment_is_documented_set_and_read() -> None:
    documented = set(re.findall(r"`(SNAPKEEP_[A-Z_]+)`", CONTRACTS))
    set_by_templates = {name for template in TEMPLATES.values() for name in re.findall(r"\b(SNAPKEEP_[A-Z_]+):", template)}
    sources = {path.name: path.read_text() for path in (ROOT / "src/snapkeep/functions").glob("*.py")}
    assert [name for name, source in sources.items() if "SNAPKEEP_" in source] == ["environment.py"]
    read = set(re.findall(r'"(SNAPKEEP_[A-Z_]+)"', sources["environment.py"]))
    assert read == set_by_templates
    assert documented == read


@pytest.mark.parametrize("stack", ["primary", "dr"])
def test_the_readme_lists_every_parameter_with_its_default(stack: str) -> None:
    listed: dict[tuple[str, str], str] = {}
    for names, where, defaults in re.findall(r"^\| (`\w+`[^|]*) \| (primary|DR|both) \| ([^|]*)\|", README, re.MULTILINE):
        values = [value.strip(" `") for value in defaults.split(",")]
        for name, value in zip(re.findall(r"`(\w+)`", names), values, strict=True):
            listed |= {(stack_name, name): value for stack_name in (("primary", "dr") if where == "both" else (where.lower(),))}
    declared = {(stack, name): str(parameter.get("Default", "")) for name, parameter in template(stack)["Parameters"].items()}
    assert {key: value for key, value in listed.items() if key[0] == stack} == declared


def test_the_queues_table_has_the_keys_that_the_adapter_uses() -> None:
    template = TEMPLATES["dr"]
    for name in (dynamodb_queue.BY_STATE, dynamodb_queue.BY_VOLUME):
        assert f"IndexName: {name}" in template
        assert f"`{name}`" in CONTRACTS
    assert "AttributeName: pk" in template
    assert "expires_at_epoch" in template
