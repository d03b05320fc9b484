"""The errors of refused requests."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def code_of(action: Any, **params: Any) -> tuple[str, int]:
    """Return the code and the HTTP status of the refusal of a call."""
    with pytest.raises(ClientError) as caught:
        action(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
