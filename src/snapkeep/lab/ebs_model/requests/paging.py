"""Pages: MaxResults and NextToken over items with a fixed order number.

A token names the last item of a page, not a position: items that are made or deleted between two pages neither repeat nor hide
others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from snapkeep.lab.ebs_model.errors import ApiError

Item = TypeVar("Item")


def encode(last: int) -> str:
    """Return the token of the page after an order number."""
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode()


def decode(token: str) -> int:
    """Return the order number after which a token continues. Raise InvalidNextToken."""
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        return int(text.removeprefix("after:"))
    except (ValueError, binascii.Error) as error:
        raise ApiError("InvalidNextToken", f"The token '{token}' is invalid") from error


def limits(params: Mapping[str, Any], *, least: int = 5, most: int = 1000) -> tuple[int, int]:
    """Return the order number after which the page begins, and the most items in it (0 for all).

    Raise InvalidParameterValue if MaxResults is below the minimum. A value above the maximum is reduced to it [EC2 API
    reference: DescribeSnapshots, between 5 and 1,000; larger values return 1,000].
    """
    after = decode(params["NextToken"]) if params.get("NextToken") else -1
    maximum = params.get("MaxResults")
    if maximum is None:
        # A token without MaxResults continues in pages of the largest size.
        return after, most if after >= 0 else 0
    if int(maximum) < least:
        raise ApiError(
            "InvalidParameterValue",
            f"Value ( {maximum} ) for parameter maxResults is invalid. Expecting a value greater than {least}.",
        )
    return after, min(int(maximum), most)


def page(
    items: Iterable[Item], order: Callable[[Item], int], params: Mapping[str, Any], *, least: int = 5, most: int = 1000
) -> tuple[list[Item], dict[str, str]]:
    """Return the items of the requested page, and the NextToken to merge into the answer (or nothing)."""
    after, size = limits(params, least=least, most=most)
    remaining = sorted((item for item in items if order(item) > after), key=order)
    if not size or len(remaining) <= size:
        return remaining, {}
    return remaining[:size], {"NextToken": encode(order(remaining[size - 1]))}
