"""Objects that are made fast. Dataclasses: a function's cold start makes a hundred of them, and a listing a million instances.

To mypy this is `dataclasses.dataclass`, and a change of a frozen instance an error. Python does not check it again: the methods
that would raise FrozenInstanceError take a third of the time that a class takes to be made, and most of an instance's. `==`,
`hash` and `repr` are as usual, from functions that are not compiled anew for each class. `__init__`, most of the rest, is made
for the first instance: a cold start makes instances of few of its classes. `replace` takes a fifth of the time of
`dataclasses.replace`: every step of an entry of the queue is one.
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported
    from dataclasses import replace as replace  # noqa: PLC0414
else:

    def replace(record: Any, **changes: Any) -> Any:
        """Return a copy of a record with these fields changed."""
        copy = _copier(record.__class__)
        if copy is None:
            return dataclasses.replace(record, **changes)
        changed = copy(record)
        for name, value in changes.items():
            setattr(changed, name, value)
        return changed

    def dataclass(*, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True) -> Any:
        """Return a decorator as `dataclasses.dataclass` does, without what checks at runtime that nothing is changed."""

        def make(cls: type) -> type:
            cls.__doc__ = cls.__doc__ or cls.__name__  # or else it would be made of the signature
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            made.__init__ = _init_when_used(made)
            made.__repr__ = _text
            if eq:
                _compare_by_fields(made, hashed=frozen)
            return made

        return make


def collect_rarely() -> None:
    """Let Python look for cycles of objects once in 100,000 new ones.

    A listing is hundreds of thousands of objects without a cycle. By default, 700 to 2,000 by version, the collector walks them
    again and again, which takes longer than reading them.
    """
    gc.set_threshold(100_000)


@cache
def _copier(cls: type) -> Callable[[Any], Any] | None:
    """Return the function that copies records of a class whose fields are all given by position; None for any other class."""
    fields = dataclasses.fields(cls)
    # Without slots a misspelt field would become an attribute; one that is checked when it is set, or after, goes the long way.
    plain = hasattr(cls, "__slots__") and "__setattr__" not in vars(cls) and not hasattr(cls, "__post_init__")
    if not plain or len(fields) == 1 or any(field.kw_only or not field.init for field in fields):
        return None
    values = attrgetter(*[field.name for field in fields])
    return lambda record: cls(*values(record))


def _init_when_used(cls: Any) -> Callable[..., None]:
    """Return an `__init__` that makes the usual one when the first instance is made."""

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        same = ("default", "default_factory", "init", "kw_only")
        fields = [
            (field.name, Any, dataclasses.field(**{name: getattr(field, name) for name in same}))
            for field in dataclasses.fields(cls)
        ]
        after = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
        slots = hasattr(cls, "__slots__")
        usual = dataclasses.make_dataclass(cls.__name__, fields, repr=False, eq=False, slots=slots, namespace=after)
        cls.__init__ = vars(usual)["__init__"]
        cls.__init__(self, *arguments, **named)

    return init


def _compare_by_fields(cls: Any, *, hashed: bool) -> None:
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    values = attrgetter(*names) if names else lambda _: ()

    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hash_of(self: Any) -> int:
        return hash(values(self))

    cls.__eq__ = equal
    cls.__hash__ = hash_of if hashed else None


def _text(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"
