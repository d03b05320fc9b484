"""How a request is refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def code_of(action: Any, **params: Any) -> tuple[str, int]:
    """Given a method of a client and its parameters, return the code and the HTTP status that it is refused with."""
    with pytest.raises(ClientError) as caught:
        action(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
