"""The faults of the original system that stand in templates and definitions, each by its number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from support.templates import template

INFRA = Path(__file__).parents[2] / "src/snapkeep/infra"
STACKS = ("primary", "dr")


class Strict(yaml.SafeLoader):
    """Refuses a mapping in which a key stands twice: YAML's own loader lets the last one win in silence."""


def _mapping(loader: Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"twice in one mapping: {sorted(map(str, twice))}, {node.start_mark}")
    return loader.construct_mapping(node, deep=True)


def _anything(loader: Strict, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else str(node.value)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
Strict.add_multi_constructor("!", _anything)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("stack", STACKS)
def test_fault_11_retention_is_given_in_one_place_alone(stack: str) -> None:
    text = (INFRA / f"{stack}.yaml").read_text()
    assert re.findall(r"^ *(\w+): !Ref Retention$", text, re.MULTILINE) == ["SNAPKEEP_RETENTION"]
    assert "${Retention}" not in text
    for definition in (INFRA / "statemachines").glob("*.asl.json"):
        assert not re.search(r"\$\{Retention|NumericGreaterThan|retention_count", definition.read_text()), definition.name


@pytest.mark.parametrize("stack", STACKS)
def test_fault_13_no_resource_is_defined_twice(stack: str) -> None:
    text = (INFRA / f"{stack}.yaml").read_text()
    assert yaml.load(text, Strict)["Resources"]  # noqa: S506 - a SafeLoader
    with pytest.raises(ValueError, match="twice in one mapping"):
        yaml.load("Resources:\n  A: {Type: x}\n  A: {Type: y}\n", Strict)  # noqa: S506


@pytest.mark.parametrize("stack", STACKS)
def test_fault_13_the_runtime_is_alive(stack: str) -> None:
    """Lambda's own model lists the runtime; python3.13 is supported until 2029 (Lambda runtimes page)."""
    model = botocore.session.Session().get_service_model("lambda")
    runtime = template(stack)["Globals"]["Function"]["Runtime"]
    assert runtime in model.shape_for("Runtime").enum  # type: ignore[attr-defined]
    assert runtime == "python3.13"
