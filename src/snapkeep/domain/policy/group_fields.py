"""The keys of a recovery group in a policy document."""

from __future__ import annotations

from snapkeep.domain.policy.model import GroupMembers, GroupWait, RecoveryGroup
from snapkeep.domain.policy.shapes import NAME_PATTERN, Field, Shape, ValueType

GROUP_MEMBERS = Shape(
    GroupMembers,
    "An instance is a member if its recovery record has every one of these tags.",
    (
        Field(
            "tags",
            ValueType.TAGS,
            "Tag keys with the value, or the list of values, that an instance must have. `*` and `?` match.",
            missing="write tag keys with values, such as {App: shop}",
        ),
    ),
)

GROUP = Shape(
    RecoveryGroup,
    "Instances that `snapkeep recover group` recovers together, to one moment.",
    (
        Field(
            "name",
            ValueType.TEXT,
            "The group's name.",
            pattern=NAME_PATTERN,
            example="shop",
            missing="give the group a name, such as shop",
        ),
        Field(
            "instances",
            ValueType.OBJECT,
            "Which instances belong to it.",
            shape=GROUP_MEMBERS,
            missing="write which instances belong to it, such as {tags: {App: shop}}",
        ),
        Field(
            "order",
            ValueType.TEXTS,
            "Values of the tag `Name`, those first that are launched first; `*` and `?` match. All others come last.",
            example="db",
        ),
        Field(
            "wait",
            ValueType.TEXT,
            "Condition of each stage before the next one begins: it runs, or its status checks pass.",
            choices=tuple(GroupWait),
        ),
    ),
)
