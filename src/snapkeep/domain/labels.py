"""Enums whose values machines read, with a label for people beside each."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class LabelledEnum(StrEnum):
    """An enum of identifiers. A member is written as its identifier and its label; only the identifier is its value."""

    label: str

    def __new__(cls, identifier: str, *_: object) -> Self:
        """Make a member whose value is the identifier alone."""
        member = str.__new__(cls, identifier)
        member._value_ = identifier
        return member

    def __init__(self, _: str, label: str = "") -> None:
        self.label = label
