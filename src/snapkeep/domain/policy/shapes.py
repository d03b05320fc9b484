"""The form of a policy document: keys, types of values, objects of keys, and patterns. `fields.py` has the keys."""

from __future__ import annotations

from dataclasses import MISSING, fields
from enum import StrEnum
from functools import partial
from typing import Any

from snapkeep.domain.records import dataclass

MOST_SNAPSHOTS = 100_000
"""The quota of snapshots per region, and therefore the greatest useful count."""

REGION_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
TIMEZONE_PATTERN = r"^(?!posix/|right/|(localtime|posixrules|Factory)$)[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$"
"""IANA names, of at most three parts, without those that depend on the machine (`localtime`, leap seconds)."""
VOLUME_PATTERN = r"^vol-[0-9a-f]+$"
BUDGET_PATTERN = r"^(?!0+(\.0+)? )[0-9]{1,6}(\.[0-9]{1,2})? USD/month$"
HOURLY_PRICE_PATTERN = r"^(?!0+(\.0+)? )[0-9]{1,4}(\.[0-9]{1,4})? USD/hour$"
DRILL_DOCUMENT_PATTERN = r"^snapkeep-drill-[A-Za-z0-9_.-]{1,100}$"
"""The names of documents that the role of Drill may send: `infra/dr.yaml` has the prefix too."""
INSTANCE_TYPE_PATTERN = r"^[a-z0-9-]+\.[a-z0-9-]+$"
ZONE_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+([a-z]|-[a-z]+-[0-9]+[a-z])$"
"""Availability Zones, and Local and Wavelength Zones, such as `us-west-2-lax-1a`."""
INSTANCE_PATTERN = r"^i-[0-9a-f]+$"
KEY_PATTERN = (
    r"^(alias/[A-Za-z0-9/_-]+|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)"
    r"|mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
)


class ValueType(StrEnum):
    """The form of a value."""

    COUNT = "count"
    DURATION = "duration"
    MINUTES = "minutes"
    """A duration that the domain stores in whole minutes."""
    TEXT = "text"
    FLAG = "flag"
    TEXTS = "texts"
    TAGS = "tags"
    NAMES = "names"
    """Names, and the names that replace them."""
    OBJECT = "object"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class Field:
    """One key of the document."""

    kind: ValueType
    name: str
    about: str
    attribute: str = ""
    """The attribute of the domain class, if it has another name."""
    minimum: int = 1
    maximum: int = MOST_SNAPSHOTS
    choices: tuple[str, ...] = ()
    pattern: str = ""
    example: str = ""
    """A valid value, for messages."""
    units: str = ""
    """The units of a duration, for messages, if not every unit is valid; or the values that a pattern permits, in words."""
    shape: Shape | None = None
    missing: str = ""
    """The valid value in words, if a missing key is an error; empty if the key may be left out."""
    inherited: bool = False
    """Whether the default is another value (the policy's `rpo`, the stack's parameters), so that the key is always written."""

    @property
    def required(self) -> bool:
        """Whether a document must have the key."""
        return bool(self.missing)

    @property
    def target(self) -> str:
        """The attribute of the domain class that this key sets."""
        return self.attribute or self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """An object of the document, and the domain class that represents it."""

    of: type[Any]
    about: str
    fields: tuple[Field, ...]

    def default(self, key: Field) -> Any:
        """Return the default of a key in the domain class; MISSING if it has none."""
        for known in fields(self.of):
            if known.name == key.target:
                return known.default_factory() if known.default_factory is not MISSING else known.default
        return MISSING


count_field = partial(Field, ValueType.COUNT)
duration_field = partial(Field, ValueType.DURATION)
minutes_field = partial(Field, ValueType.MINUTES)
text_field = partial(Field, ValueType.TEXT)
flag_field = partial(Field, ValueType.FLAG)
texts_field = partial(Field, ValueType.TEXTS)
tags_field = partial(Field, ValueType.TAGS)
names_field = partial(Field, ValueType.NAMES)
object_field = partial(Field, ValueType.OBJECT)
objects_field = partial(Field, ValueType.OBJECTS)


def long_duration(
    name: str,
    about: str,
    *,
    example: str,
    units: str,
    most_days: int,
    least_hours: int = 1,
    attribute: str = "",
    missing: str = "",
) -> Field:
    """Return the key of a duration without minutes.

    restic's and borg's `m` is a month there, and a month must not become a minute.
    """
    return duration_field(
        name,
        about,
        attribute=attribute,
        minimum=least_hours * 60,
        maximum=most_days * 24 * 60,
        pattern=r"^[0-9]+[hdw]$",
        example=example,
        units=units,
        missing=missing,
    )


def name_field(noun: str, about: str, example: str) -> Field:
    """Return the key for the name of a policy, or of another object."""
    missing = f"give the {noun} a name, such as {example}"
    return text_field("name", about, pattern=NAME_PATTERN, example=example, missing=missing)


def region_field(name: str, about: str, missing: str = "", attribute: str = "") -> Field:
    """Return the required key of a region. The message for a missing key defaults to the key's description."""
    right = f"name {missing or about[0].lower() + about[1:].rstrip('.')}"
    return text_field(name, about, attribute, pattern=REGION_PATTERN, example="us-east-2", missing=right)


def budget_field(name: str, about: str, dollars: int) -> Field:
    """Return the key of a budget for a month."""
    return text_field(name, about, pattern=BUDGET_PATTERN, example=f"{dollars} USD/month")


def timezone_field(about: str) -> Field:
    """Return the key of a time zone."""
    return text_field("timezone", about, pattern=TIMEZONE_PATTERN, example="Europe/Berlin")
