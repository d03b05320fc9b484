"""The policy that stack parameters alone make."""

from __future__ import annotations

import re
from datetime import timedelta

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.policy.model import DEFAULT_RPO, PARAMETERS_POLICY, CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.policy.shapes import REGION_PATTERN


def from_parameters(
    tag_key_value: str,
    dr_region: str,
    retention: int,
    dr_retention: int,
    kms_key: str,
    copy_within_hours: int,
    limits: Limits,
    *,
    region: str = "",
) -> PolicySet:
    """Return the policy of the primary stack's parameters.

    `region` is the stack's own. `tag_key_value`: `none` matches every volume, `Key` volumes with the tag, `Key=Value` volumes
    whose tag has the value (`*` and `?` are wildcards). Raise InvalidConfiguration, naming the parameter and what would be
    right.
    """
    _check_region("DRRegion", dr_region)
    if dr_region == region:
        raise InvalidConfiguration(f"DRRegion: {dr_region} is the primary's own region; name another one")
    _check_count("Retention", retention)
    _check_count("DRRetention", dr_retention)
    _check_count("CopyWithinHours", copy_within_hours)
    copy_within = timedelta(hours=copy_within_hours)
    policy = Policy(
        name=PARAMETERS_POLICY,
        # An RPO shorter than the permitted duration of copies would be missed every day.
        rpo=max(DEFAULT_RPO, copy_within),
        selector=_selector_of(tag_key_value),
        retention=Retention(keep_last=retention),
        copies=(CopyRule(dr_region, kms_key, copy_within, Retention(keep_last=dr_retention)),),
    )
    return PolicySet((policy,), limits, primary_region=region)


def from_dr_parameters(region: str, retention: int, limits: Limits) -> PolicySet:
    """Return the policy for the copies in a DR stack's region, from the stack's parameters.

    Only the primary stack knows which snapshots and volumes are copied. Raise InvalidConfiguration as above.
    """
    _check_region("the stack's region", region)
    _check_count("Retention", retention)
    copies = (CopyRule(region=region, retention=Retention(keep_last=retention)),)
    return PolicySet((Policy(PARAMETERS_POLICY, Selector(), Retention(), copies),), limits)


def _selector_of(tag_key_value: str) -> Selector:
    if tag_key_value == "none":
        return Selector()
    key, equals, value = tag_key_value.partition("=")
    if not key or (equals and not value):
        raise InvalidConfiguration(f"tagKeyValue: '{tag_key_value}' is not 'none', 'Key' or 'Key=Value'")
    return Selector(tags={key: (value or "*",)})


def _check_count(parameter: str, value: int) -> None:
    if value < 1:
        raise InvalidConfiguration(f"{parameter}: {value} is too small; write 1 or more")


def _check_region(parameter: str, value: str) -> None:
    if not re.fullmatch(REGION_PATTERN, value):
        raise InvalidConfiguration(f"{parameter}: '{value}' is not the name of a region, such as us-east-2")
