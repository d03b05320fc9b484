"""Dataclasses that are made fast: a cold start defines a hundred classes, and a listing makes a million instances.

mypy sees `dataclasses.dataclass`, and reports a change of a frozen instance as an error. There is no check at runtime: the
methods that raise FrozenInstanceError take a third of the time to make a class, and most of the time to make an instance. `==`,
`hash` and `repr` are as usual, but their functions are not compiled for each class. `__init__` takes most of the remaining
time. It is made with the first instance, because a cold start makes instances of few classes. `replace` takes a fifth of the
time of `dataclasses.replace`: every step of a queue entry calls it.
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
        """Return a decorator like that of `dataclasses.dataclass`, without runtime checks that instances are not changed."""

        def make(cls: type) -> type:
            cls.__doc__ = cls.__doc__ or cls.__name__  # without it, the docstring would be made from the signature
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            made.__init__ = _init_when_used(made)
            made.__repr__ = _text
            if eq:
                _compare_by_fields(made, hashed=frozen)
            return made

        return make


def collect_rarely() -> None:
    """Let Python search for cycles of objects once per 100,000 new objects.

    A listing has hundreds of thousands of objects without a cycle. With the default threshold (700 to 2,000 by version), the
    collector walks them again and again, which takes longer than reading them.
    """
    gc.set_threshold(100_000)


@cache
def _copier(cls: type) -> Callable[[Any], Any] | None:
    """Return the function that copies records of a class whose `__init__` takes all fields by position; None otherwise."""
    fields = dataclasses.fields(cls)
    # Without slots, a misspelt field would become an attribute. A class with checks of its own takes the slow way.
    plain = hasattr(cls, "__slots__") and "__setattr__" not in vars(cls) and not hasattr(cls, "__post_init__")
    if not plain or len(fields) == 1 or any(field.kw_only or not field.init for field in fields):
        return None
    values = attrgetter(*[field.name for field in fields])
    return lambda record: cls(*values(record))


def _init_when_used(cls: Any) -> Callable[..., None]:
    """Return an `__init__` that compiles the usual one when the first instance is made."""

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
