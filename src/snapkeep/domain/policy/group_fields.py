"""The keys of a recovery group in a policy document."""

from __future__ import annotations

from snapkeep.domain.policy.model import GroupMembers, GroupWait, RecoveryGroup
from snapkeep.domain.policy.shapes import Shape, name_field, object_field, tags_field, text_field, texts_field

GROUP_MEMBERS = Shape(
    GroupMembers,
    "An instance is a member if its recovery record has every one of these tags.",
    (
        tags_field(
            "tags",
            "Tag keys with the value, or the list of values, that an instance must have. `*` and `?` match.",
            missing="write tag keys with values, such as {App: shop}",
        ),
    ),
)

GROUP = Shape(
    RecoveryGroup,
    "Instances that `snapkeep recover group` recovers together, to one moment.",
    (
        name_field("group", "The group's name.", "shop"),
        object_field(
            "instances",
            "Which instances belong to it.",
            shape=GROUP_MEMBERS,
            missing="write which instances belong to it, such as {tags: {App: shop}}",
        ),
        texts_field(
            "order",
            "Values of the tag `Name`, those first that are launched first; `*` and `?` match. All others come last.",
            example="db",
        ),
        text_field(
            "wait",
            "Condition of each stage before the next one begins: it runs, or its status checks pass.",
            choices=tuple(GroupWait),
        ),
    ),
)
