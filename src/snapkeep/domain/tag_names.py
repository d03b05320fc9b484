"""Our tag names. State lives in tags, so that a person, another tool and a restored stack all see the same."""

from __future__ import annotations

MANAGED = "snapkeep:managed"
"""Value: the system's name (`snapkeep` and the stacks' `FunctionNameSuffix`). Without it nothing is changed or deleted."""
POLICY = "snapkeep:policy"
SOURCE_VOLUME = "snapkeep:source-volume"
SOURCE_REGION = "snapkeep:source-region"
SOURCE_SNAPSHOT = "snapkeep:source-snapshot"
SOURCE_START = "snapkeep:source-start"

ORIGINAL_NAME = "AutomatedSnapName"
"""The original system's: `<volume id>_<start time>`."""
ORIGINAL_VOLUME = "OriginalVolumeId"
ORIGINAL_REGION = "OriginalRegion"

OWN_TAGS = frozenset(
    {
        MANAGED,
        POLICY,
        SOURCE_VOLUME,
        SOURCE_REGION,
        SOURCE_SNAPSHOT,
        SOURCE_START,
        ORIGINAL_NAME,
        ORIGINAL_VOLUME,
        ORIGINAL_REGION,
    }
)
