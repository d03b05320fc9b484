"""Ids in AWS's form, from a seed."""

from __future__ import annotations

import random
import re

_SHAPE = re.compile(r"^[a-z]+-(?:[0-9a-f]{8}|[0-9a-f]{17})$")


class Ids:
    """Makes resource ids and UUIDs; the same seed makes the same ids."""

    __slots__ = ("random",)

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - ids of a model, not secrets

    def resource(self, prefix: str) -> str:
        """Return a new id with 17 hexadecimal digits; the prefix is `snap`, `vol`, `i` or another."""
        return f"{prefix}-{self.random.getrandbits(68):017x}"

    def uuid(self) -> str:
        """Return a new UUID in text form."""
        digits = f"{self.random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def well_formed(resource_id: str, prefix: str) -> bool:
    """Return whether a text has the form of an id with this prefix."""
    return resource_id.startswith(prefix + "-") and _SHAPE.match(resource_id) is not None
