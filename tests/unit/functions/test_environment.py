"""Every variable that a template sets is read by a typed property, and every property has a template that sets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.system import StackKind
from snapkeep.functions.environment import Environment, Variable
from support.templates import template

PROPERTIES = [name for name, value in vars(Environment).items() if isinstance(value, (property, Variable))]
VALUES = {
    "SNAPKEEP_TAG_KEY_VALUE": "Backup=yes",
    "SNAPKEEP_DR_REGION": "us-east-2",
    "SNAPKEEP_ADOPT_HISTORY": "no",
    "SNAPKEEP_ALLOW_COMPLIANCE_LOCKS": "no",
    "SNAPKEEP_HOLD_ON_SIGNALS": "no",
    "SNAPKEEP_METRICS_PER_VOLUME": "no",
}


class Variables(Mapping[str, str]):
    """Notes which variables are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_by_name = values
        self.names_read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        value = self.values_by_name[name]
        self.names_read.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def variables_of(stack: str) -> dict[str, str]:
    shared = template(stack)["Globals"]["Function"]
    functions = [
        resource["Properties"]
        for resource in template(stack)["Resources"].values()
        if "Handler" in resource.get("Properties", {})
    ]
    names = {name for properties in [shared, *functions] for name in properties.get("Environment", {}).get("Variables", {})}
    values = {name: VALUES.get(name, "20") for name in names if name.startswith("SNAPKEEP_")}
    return values | {"SNAPKEEP_STACK": stack, "AWS_REGION": "us-east-1"}


def readable(environment: Environment) -> set[str]:
    """The properties whose variables are all set."""
    names = set()
    for name in PROPERTIES:
        try:
            getattr(environment, name)
        except InvalidConfiguration:
            continue
        names.add(name)
    return names


@pytest.mark.parametrize("stack", [StackKind.PRIMARY, StackKind.DR])
def test_every_variable_that_a_template_sets_is_read(stack: str) -> None:
    variables = Variables(variables_of(stack))
    readable(Environment(variables))
    assert set(variables) - variables.names_read == set()


def test_every_property_has_a_template_that_sets_its_variables() -> None:
    stacks = (StackKind.PRIMARY, StackKind.DR, StackKind.VAULT)
    assert set(PROPERTIES).difference(*(readable(Environment(variables_of(stack))) for stack in stacks)) == set()


def test_the_benchmark_of_cold_starts_sets_every_variable() -> None:
    bench = (Path(__file__).parents[3] / "bench" / "bench_cold_start.py").read_text(encoding="utf-8")
    names = {value._name for value in vars(Environment).values() if isinstance(value, Variable)}
    assert len(names) > 20
    assert [name for name in sorted(names) if f'"{name}": ' not in bench] == []


@pytest.mark.parametrize("value", ["true", "YES", "1", ""])
def test_only_yes_is_consent_to_adopt(value: str) -> None:
    with pytest.raises(InvalidConfiguration, match="SNAPKEEP_ADOPT_HISTORY"):
        _ = Environment({"SNAPKEEP_ADOPT_HISTORY": value}).adopt_history
    assert not Environment({"SNAPKEEP_ADOPT_HISTORY": "no"}).adopt_history


def test_no_former_system_is_an_empty_name() -> None:
    """The parameter is empty for every system that was not renamed, and Lambda lacks a variable that an older stack did not set."""
    assert Environment({}).former_system == Environment({"SNAPKEEP_FORMER_SYSTEM": ""}).former_system == ""
    assert Environment({"SNAPKEEP_FORMER_SYSTEM": "snapkeep-old"}).former_system == "snapkeep-old"


def defaults_of(stack: str, function: str) -> dict[str, str]:
    """Return a function's variables as they are after a deployment by default parameters; what a resource gives is `made`."""
    document = template(stack)
    defaults = {name: str(rule.get("Default", "made")) for name, rule in document["Parameters"].items()}
    properties = document["Resources"][function]["Properties"]
    declared = {**document["Globals"]["Function"]["Environment"]["Variables"], **properties["Environment"]["Variables"]}
    return {
        name: str(defaults.get(value["Ref"], "made") if isinstance(value, dict) and "Ref" in value else value)
        for name, value in declared.items()
    }


@pytest.mark.parametrize("stack", ["primary", "dr"])
def test_every_variable_can_be_read_after_a_deployment_by_defaults(stack: str) -> None:
    """A parameter that is empty by default was read as missing, and every sweep failed."""
    variables = defaults_of(stack, "Sweep")
    empty = [name for name, value in variables.items() if not value]
    assert "SNAPKEEP_FORMER_SYSTEM" in empty
    required = {known._name for known in vars(Environment).values() if isinstance(known, Variable)}
    assert required.intersection(empty) == set()
