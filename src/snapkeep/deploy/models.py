"""botocore's data, cut down to the operations that are used.

Creating a client parses the whole service model, and for ec2 that is most of a cold start. The trimmed data has the same
form, so that botocore reads it as its own.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

WHOLE_FILES = ("_retry.json", "partitions.json", "sdk-default-configuration.json")
"""Read by every client, and small."""


class UnknownOperation(ValueError):
    """A service or an operation that botocore has no model of."""


def trim_service(model: Mapping[str, Any], operations: Collection[str]) -> dict[str, Any]:
    """Return a service model (`service-2`) with these operations, the shapes that they reach, and no prose.

    Raise UnknownOperation for an operation that the model does not have.
    """
    missing = sorted(set(operations) - set(model["operations"]))
    if missing:
        raise UnknownOperation(f"{model['metadata']['serviceId']} has no operation {', '.join(missing)}")
    kept = {name: model["operations"][name] for name in sorted(operations)}
    trimmed = {**model, "operations": kept, "shapes": _reachable(model["shapes"], kept)}
    bare: dict[str, Any] = dict(_without_prose(trimmed))
    for parameter in bare.get("clientContextParams", {}).values():
        parameter["documentation"] = ""  # botocore reads it (s3 has such parameters)
    return bare


def trim_by_operation(document: Mapping[str, Any], key: str, operations: Collection[str]) -> dict[str, Any]:
    """Return `paginators-1` (key `pagination`) or `waiters-2` (key `waiters`) for these operations alone."""
    entries = document[key]
    kept = {name: entry for name, entry in entries.items() if entry.get("operation", name) in operations}
    return {**document, key: kept}


def trim_endpoints(endpoints: Mapping[str, Any], prefixes: Collection[str]) -> dict[str, Any]:
    """Return `endpoints` with these services alone (by endpoint prefix, such as `states`), in every partition."""
    partitions = [
        {**partition, "services": {name: entry for name, entry in partition["services"].items() if name in prefixes}}
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def write_trimmed_data(source: Path, target: Path, operations: Mapping[str, Collection[str]]) -> None:
    """Write the part of botocore's data folder that these operations need to `target`. Raise UnknownOperation."""
    prefixes = set()
    for service, names in sorted(operations.items()):
        model = _write_service(source, target, service, names)
        prefixes.add(model["metadata"]["endpointPrefix"])
    _write(target / "endpoints.json", trim_endpoints(_read(source, "endpoints"), prefixes))
    for name in WHOLE_FILES:
        _write(target / name, json.loads((source / name).read_text(encoding="utf-8")))


def _write_service(source: Path, target: Path, service: str, operations: Collection[str]) -> Mapping[str, Any]:
    if not (source / service).is_dir():
        raise UnknownOperation(f"botocore has no service '{service}'")
    version = max(path.name for path in (source / service).iterdir() if path.is_dir())
    folder = source / service / version
    model: Mapping[str, Any] = _read(folder, "service-2")
    written = target / service / version
    _write(written / "service-2.json", trim_service(model, operations))
    _write(written / "endpoint-rule-set-1.json", _read(folder, "endpoint-rule-set-1"))
    for name, key in (("paginators-1", "pagination"), ("waiters-2", "waiters")):
        if _find(folder, name):
            _write(written / f"{name}.json", trim_by_operation(_read(folder, name), key, operations))
    return model


def _reachable(shapes: Mapping[str, Any], operations: Mapping[str, Any]) -> dict[str, Any]:
    reached: dict[str, Any] = {}
    waiting = list(_references(operations))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = shapes[name]
            waiting.extend(_references(shapes[name]))
    return dict(sorted(reached.items()))


def _references(node: Any) -> Iterator[str]:
    """Yield every shape named below a node. A member that is itself called `shape` has a mapping for its value, not a text."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _without_prose(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _without_prose(value)
            for key, value in node.items()
            if not (key in ("documentation", "documentationUrl") and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_without_prose(item) for item in node]
    return node


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.json", folder / f"{name}.json.gz") if path.exists()), None)


def _read(folder: Path, name: str) -> Any:
    path = _find(folder, name)
    if path is None:
        raise UnknownOperation(f"{folder} has no {name}.json; is this botocore's data?")
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
