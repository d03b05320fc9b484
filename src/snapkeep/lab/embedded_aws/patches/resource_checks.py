"""The questions to IAM when CloudFormation makes, changes or deletes a resource (`resource_types` has the actions)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snapkeep.lab.embedded_aws.aws.authorization import AccessCheck
from snapkeep.lab.embedded_aws.patches.resource_types import OF_NO_RESOURCE, Actions, Properties, ResourceType


def checks_of_creation(resource_type: ResourceType, new_id: str, properties: Properties) -> list[AccessCheck]:
    """Return the checks of a resource's creation; `new_id` stands for the name of one that the template does not name."""
    own = [action for name, action in resource_type.sets.items() if _is_set(properties, name)]
    tagging = resource_type.tags[:1] if _own_tags(properties) else ()
    further = resource_type.further(properties) if resource_type.further else ()
    return [*_checks(resource_type, (*resource_type.create, *own, *tagging), properties, new_id), *further]


def checks_of_update(resource_type: ResourceType, physical_id: str, old: Properties, new: Properties) -> list[AccessCheck]:
    """Return the checks of a resource's update: none where its properties stay."""
    changed = sorted(name for name in (old.keys() | new.keys()) - {"Tags"} if old.get(name) != new.get(name))
    actions = [action for name in changed for action in _actions_of_change(resource_type, name, new)]
    further = resource_type.further(new) if resource_type.further and changed else ()
    tagging = _actions_of_tags(resource_type, _own_tags(old), _own_tags(new))
    return [*_checks(resource_type, (*actions, *tagging), new, physical_id), *further]


def checks_of_deletion(resource_type: ResourceType, physical_id: str, properties: Properties) -> list[AccessCheck]:
    """Return the checks of a resource's deletion."""
    return _checks(resource_type, resource_type.delete, properties, physical_id)


def filled_in(text: str, name: str) -> str:
    """Return an ARN, or a key of ministack's stores, with a name and the account and region of the request."""
    from ministack.core.responses import get_account_id, get_region

    return text.format(account=get_account_id(), region=get_region(), name=name, path=name.lstrip("/"))


def _own_tags(properties: Properties) -> dict[str, Any]:
    """Return a resource's tags without those of CloudFormation, which need no permission of the caller."""
    tags = properties.get("Tags") or {}
    pairs = tags.items() if isinstance(tags, Mapping) else ((tag["Key"], tag["Value"]) for tag in tags)
    return {key: value for key, value in pairs if not key.startswith("aws:")}


def _is_set(properties: Properties, name: str) -> bool:
    """Return whether a resource has a property; a template may say `false` as a boolean or as text."""
    return bool(properties.get(name)) and str(properties[name]).lower() != "false"


def _actions_of_change(resource_type: ResourceType, name: str, new: Properties) -> Actions:
    if name in resource_type.removes and not _is_set(new, name):
        return (resource_type.removes[name],)
    if name in resource_type.changes:
        return resource_type.changes[name]
    return (resource_type.sets[name],) if name in resource_type.sets else resource_type.update


def _actions_of_tags(resource_type: ResourceType, old: Mapping[str, Any], new: Mapping[str, Any]) -> Actions:
    if not resource_type.tags:
        return ()
    tag, untag = resource_type.tags
    written = any(key not in old or old[key] != value for key, value in new.items())
    return (*([tag] if written else []), *([untag] if old.keys() - new.keys() else []))


def _checks(resource_type: ResourceType, actions: Iterable[str], properties: Properties, physical_id: str) -> list[AccessCheck]:
    """Return the checks of actions on the resource, or on what it belongs to."""
    about = [(resource_type.arn, properties.get(resource_type.name_property) or physical_id)]
    if resource_type.second:
        arn, name_property = resource_type.second
        about.append((arn, properties.get(name_property)))
    arns = [filled_in(arn, _name_in(str(id_))) for arn, ids in about for id_ in (ids if isinstance(ids, list) else [ids])]
    return [
        AccessCheck(action, arn) for action in dict.fromkeys(actions) for arn in (["*"] if action in OF_NO_RESOURCE else arns)
    ]


def _name_in(physical_id: str) -> str:
    """Return the name in an ARN or a queue's URL; any other physical id is the name."""
    if not physical_id.startswith(("arn:", "https://", "http://")):
        return physical_id
    return physical_id.rpartition("/")[2].rpartition(":")[2]
