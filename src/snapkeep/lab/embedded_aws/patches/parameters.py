"""SSM: values that Parameter Store refuses (botocore: ssm 2014-11-06, PutParameter: Value and Tier)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace

STANDARD, ADVANCED = "Standard", "Advanced"
LARGEST_BYTES = {STANDARD: 4096, ADVANCED: 8192}
"""The largest value in each tier. `Intelligent-Tiering` takes the larger tier if a value needs it."""


def apply() -> None:
    """Apply the patch."""
    from ministack.services import ssm

    replace(ssm, "_put_parameter", _refusing)


def refusal(request: Mapping[str, Any], tier_now: str) -> str:
    """Return why a PutParameter request is refused, or "". `tier_now` is the parameter's tier ("" for a new one)."""
    value, tier = str(request.get("Value", "")), request.get("Tier") or tier_now or STANDARD
    if "{{" in value:
        return "Parameters can't be referenced or nested in the values of other parameters: the value has {{"
    if tier_now == ADVANCED and tier == STANDARD:
        return "An advanced parameter can't be changed to a standard one."
    most = LARGEST_BYTES.get(str(tier), LARGEST_BYTES[ADVANCED])
    if len(value.encode()) > most:
        return f"A parameter of tier {tier} can't hold more than {most} bytes."
    return ""


def _refusing(put: Any) -> Any:
    def put_parameter(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json
        from ministack.services import ssm

        known = ssm._parameters.get(data.get("Name")) or {}
        why = refusal(data, str(known.get("Tier", "")))
        return error_response_json("ValidationException", why, 400) if why else put(data)

    return put_parameter
