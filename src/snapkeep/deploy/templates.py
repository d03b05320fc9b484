"""Templates as data: read with CloudFormation's short tags, artifacts replaced by their uploads, written as JSON.

The same that `aws cloudformation package` does, for the two kinds of resources that our templates hold artifacts in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast, where PyYAML has libyaml
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

from snapkeep.domain.errors import InvalidConfiguration

INFRA = Path(__file__).parents[1] / "infra"

_ARTIFACT_PROPERTY = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::StateMachine": "DefinitionUri"}

MOST_BYTES = 1_000_000
"""The size limit of a template in S3 (CloudFormation quotas: 1 MB)."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """An object in S3."""

    bucket: str
    key: str


class _Loader(SafeLoader):
    """YAML as CloudFormation reads it: short tags become long ones, and a date stays a text."""


def _construct_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    return {name: value}


def _construct_text(loader: _Loader, node: yaml.Node) -> str:
    return str(loader.construct_scalar(cast("yaml.ScalarNode", node)))


_Loader.add_multi_constructor("!", _construct_tag)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)


def read_template(path: Path) -> dict[str, Any]:
    """Return the template of a file, with long function names. Raise InvalidConfiguration if it cannot be read."""
    try:
        template = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - built on SafeLoader
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"template {path}: {' '.join(str(error).split())}") from error
    if not isinstance(template, dict) or "Resources" not in template:
        raise InvalidConfiguration(f"template {path} has no 'Resources'")
    return template


def replace_artifacts(template: dict[str, Any], base: Path, upload: Callable[[Path], S3Location]) -> dict[str, Any]:
    """Return a copy of a template of a folder that names uploaded objects; `upload` uploads a local path."""
    packaged: dict[str, Any] = json.loads(json.dumps(template))
    for properties, key in _holders(packaged):
        local = properties.get(key)
        if isinstance(local, str) and not local.startswith("s3://"):
            location = upload((base / local).resolve())
            definition = {"Bucket": location.bucket, "Key": location.key}
            properties[key] = f"s3://{location.bucket}/{location.key}" if key == "CodeUri" else definition
    return packaged


def to_json(template: dict[str, Any]) -> bytes:
    """Return a template as compact JSON, the same bytes for the same template. Raise InvalidConfiguration if it is too large."""
    document = json.dumps(template, separators=(",", ":"), ensure_ascii=False).encode()
    if len(document) > MOST_BYTES:
        raise InvalidConfiguration(f"the template has {len(document):,} bytes; CloudFormation takes {MOST_BYTES:,}")
    return document


def _holders(template: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every mapping of properties that may name an artifact, with the name of the property."""
    shared = template.get("Globals", {}).get("Function")
    if isinstance(shared, dict):
        yield shared, "CodeUri"
    for resource in template["Resources"].values():
        key = _ARTIFACT_PROPERTY.get(resource.get("Type", ""))
        if key:
            yield resource.setdefault("Properties", {}), key
