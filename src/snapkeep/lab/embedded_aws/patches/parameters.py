"""SSM: what Parameter Store refuses to keep (botocore: ssm 2014-11-06, PutParameter: Value and Tier)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.lab.embedded_aws.patches.patching import replace

STANDARD, ADVANCED = "Standard", "Advanced"
LARGEST_BYTES = {STANDARD: 4096, ADVANCED: 8192}
"""What a value may hold in each tier; `Intelligent-Tiering` is the larger one wherever that is needed."""


def install() -> None:
    """Put the seam in place."""
    from ministack.services import ssm

    replace(ssm, "_put_parameter", _refusing)


def refusal(request: Mapping[str, Any], tier_now: str) -> str:
    """Given a PutParameter request and the tier that the parameter has ("" for a new one), return why it is refused, or ""."""
    value, asked = str(request.get("Value", "")), request.get("Tier") or tier_now or STANDARD
    if "{{" in value:
        return "Parameters can't be referenced or nested in the values of other parameters: the value has {{"
    if tier_now == ADVANCED and asked == STANDARD:
        return "An advanced parameter can't be changed to a standard one."
    most = LARGEST_BYTES.get(str(asked), LARGEST_BYTES[ADVANCED])
    if len(value.encode()) > most:
        return f"A parameter of tier {asked} can't hold more than {most} bytes."
    return ""


def _refusing(put: Any) -> Any:
    def put_parameter(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json
        from ministack.services import ssm

        known = ssm._parameters.get(data.get("Name")) or {}
        why = refusal(data, str(known.get("Tier", "")))
        return error_response_json("ValidationException", why, 400) if why else put(data)

    return put_parameter
