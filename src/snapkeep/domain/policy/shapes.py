"""The form of a policy document: a key, its type of value, an object of keys, patterns. `fields.py` beside it has the keys."""

from __future__ import annotations

from dataclasses import MISSING, fields
from enum import StrEnum
from functools import partial
from typing import Any

from snapkeep.domain.records import dataclass

MOST_SNAPSHOTS = 100_000
"""Snapshots per region, by quota: no count beyond it means anything."""

REGION_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
TIMEZONE_PATTERN = r"^(?!posix/|right/|(localtime|posixrules|Factory)$)[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$"
"""IANA names, of at most three parts, without those that mean something else on another machine (`localtime`, leap seconds)."""
VOLUME_PATTERN = r"^vol-[0-9a-f]+$"
BUDGET_PATTERN = r"^(?!0+(\.0+)? )[0-9]{1,6}(\.[0-9]{1,2})? USD/month$"
HOURLY_PRICE_PATTERN = r"^(?!0+(\.0+)? )[0-9]{1,4}(\.[0-9]{1,4})? USD/hour$"
DRILL_DOCUMENT_PATTERN = r"^snapkeep-drill-[A-Za-z0-9_.-]{1,100}$"
"""Names of documents that the role of Drill may send: `infra/dr.yaml` has the prefix too."""
INSTANCE_TYPE_PATTERN = r"^[a-z0-9-]+\.[a-z0-9-]+$"
ZONE_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+([a-z]|-[a-z]+-[0-9]+[a-z])$"
"""Availability Zones, and Local and Wavelength Zones, such as `us-west-2-lax-1a`."""
INSTANCE_PATTERN = r"^i-[0-9a-f]+$"
KEY_PATTERN = (
    r"^(alias/[A-Za-z0-9/_-]+|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)"
    r"|mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
)


class ValueType(StrEnum):
    """How a value is written."""

    COUNT = "count"
    DURATION = "duration"
    MINUTES = "minutes"
    """A duration that the domain holds in whole minutes."""
    TEXT = "text"
    FLAG = "flag"
    TEXTS = "texts"
    TAGS = "tags"
    NAMES = "names"
    """Names with the names that take their places."""
    OBJECT = "object"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class Field:
    """One key of the document."""

    kind: ValueType
    name: str
    about: str
    attribute: str = ""
    """The attribute of the domain's class, where it has another name."""
    minimum: int = 1
    maximum: int = MOST_SNAPSHOTS
    choices: tuple[str, ...] = ()
    pattern: str = ""
    example: str = ""
    """A right value, for messages."""
    units: str = ""
    """The units of a duration, for messages, where not every unit is valid; or in words what a pattern permits."""
    shape: Shape | None = None
    missing: str = ""
    """The right value in words, where a missing key is an error; empty where the key may be left out."""
    inherited: bool = False
    """Whether another value is its default (the policy's `rpo`, the stack's parameters), so that it is always written."""

    @property
    def required(self) -> bool:
        """Whether a document must have the key."""
        return bool(self.missing)

    @property
    def target(self) -> str:
        """The attribute of the domain's class that this key sets."""
        return self.attribute or self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """An object of the document, and the domain's class that it becomes."""

    of: type[Any]
    about: str
    fields: tuple[Field, ...]

    def default(self, key: Field) -> Any:
        """Return the default of a key in the domain's class; MISSING if it has none."""
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
    """Return the key of the name of a policy, or of another noun."""
    missing = f"give the {noun} a name, such as {example}"
    return text_field("name", about, pattern=NAME_PATTERN, example=example, missing=missing)


def region_field(name: str, about: str, missing: str = "", attribute: str = "") -> Field:
    """Return the required key of a region. Without words for a missing one, the key's description makes them."""
    right = f"name {missing or about[0].lower() + about[1:].rstrip('.')}"
    return text_field(name, about, attribute, pattern=REGION_PATTERN, example="us-east-2", missing=right)


def budget_field(name: str, about: str, dollars: int) -> Field:
    """Return the key of what something may cost in a month."""
    return text_field(name, about, pattern=BUDGET_PATTERN, example=f"{dollars} USD/month")


def timezone_field(about: str) -> Field:
    """Return the key of a time zone."""
    return text_field("timezone", about, pattern=TIMEZONE_PATTERN, example="Europe/Berlin")
