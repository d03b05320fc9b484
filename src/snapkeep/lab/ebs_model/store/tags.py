"""Tags: rules, and their compact form.

A resource has its tags as a flat tuple (key, value, key, value …). This takes a third of a dict's memory, and most resources of
a large world have a few tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError

FlatTags = tuple[str, ...]
BACKUP_TAG = "aws:backup:source-resource"
"""The system tag on snapshots of AWS Backup; no other caller can write it."""
KEY_LENGTH = 128
VALUE_LENGTH = 256


def flat(tags: Mapping[str, str]) -> FlatTags:
    """Return tags in their compact form."""
    parts: list[str] = []
    for key, value in tags.items():
        parts.append(intern(key))
        parts.append(value)
    return tuple(parts)


def as_dict(tags: FlatTags) -> dict[str, str]:
    """Return compact tags as a dict."""
    return dict(zip(tags[::2], tags[1::2], strict=True))


def value_of(tags: FlatTags, key: str) -> str | None:
    """Return the value of a tag, or None if it is absent."""
    for index in range(0, len(tags), 2):
        if tags[index] == key:
            return tags[index + 1]
    return None


def as_list(tags: FlatTags) -> list[dict[str, str]]:
    """Return tags as the list of Key and Value in answers."""
    texts = iter(tags)
    return [{"Key": key, "Value": value} for key, value in zip(texts, texts, strict=True)]


def checked(pairs: Iterable[Mapping[str, Any]], limit: int) -> dict[str, str]:
    """Return the Key and Value pairs of a request as a dict. Raise ApiError on a pair that AWS refuses.

    Source: [EC2 user guide: tag restrictions]: at most 50 tags, keys of 1 to 128 and values of up to 256 characters,
    the prefix `aws:` is reserved.
    """
    tags: dict[str, str] = {}
    for pair in pairs:
        key, value = str(pair.get("Key", "")), str(pair.get("Value") or "")
        if not key:
            raise ApiError("InvalidParameterValue", "Tag key cannot be empty.")
        if key.lower().startswith("aws:"):
            raise ApiError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > KEY_LENGTH:
            raise ApiError("InvalidParameterValue", f"Tag key exceeds the maximum length of {KEY_LENGTH} characters")
        if len(value) > VALUE_LENGTH:
            raise ApiError("InvalidParameterValue", f"Tag value exceeds the maximum length of {VALUE_LENGTH} characters")
        if key in tags:
            raise ApiError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        tags[key] = value
    return limited(tags, limit)


def limited(tags: dict[str, str], limit: int) -> dict[str, str]:
    """Return the new tags of a resource. Raise TagLimitExceeded above the limit.

    System tags (`aws:`) do not count towards it [EC2 user guide: tag restrictions].
    """
    if len(tags) > limit and sum(not key.startswith("aws:") for key in tags) > limit:
        raise ApiError("TagLimitExceeded", f"The maximum number of tags ({limit}) for this resource has been reached.")
    return tags


def from_specifications(params: Mapping[str, Any], resource_type: str, limit: int) -> dict[str, str]:
    """Return the tags in a request for the kind of resource that it makes. Raise ApiError."""
    specifications = params.get("TagSpecifications")
    if not specifications:
        return {}
    pairs: list[Mapping[str, Any]] = []
    for specification in specifications:
        if specification.get("ResourceType") != resource_type:
            raise ApiError(
                "InvalidParameterValue",
                f"'{specification.get('ResourceType')}' is not a valid taggable resource type for this operation.",
            )
        pairs.extend(specification.get("Tags") or ())
    return checked(pairs, limit)


def request_tags(action: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags in a request (for `aws:RequestTag`), unchecked."""
    pairs: list[Mapping[str, Any]] = []
    if action == "CreateTags":
        pairs.extend(params.get("Tags") or ())
    for specification in params.get("TagSpecifications") or ():
        pairs.extend(specification.get("Tags") or ())
    return {str(pair.get("Key", "")): str(pair.get("Value") or "") for pair in pairs}
