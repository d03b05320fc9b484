"""Objects that are made fast. Dataclasses: a function's cold start makes a hundred of them, and a listing a million instances.

To mypy this is `dataclasses.dataclass`, and a change of a frozen instance an error. Python does not check it again: the methods
that would raise FrozenInstanceError take a third of the time that a class takes to be made, and most of an instance's. `==`,
`hash` and `repr` are as usual, from functions that are not compiled anew for each class. Fields, `__init__`, `==` and `hash`,
most of the rest, are made at their first use: a cold start makes instances of few of its classes. No field may be a ClassVar or
an InitVar. `replace` takes a fifth of the time of `dataclasses.replace`: every step of an entry of the queue is one.
"""

from __future__ import annotations

import dataclasses
import gc
import inspect
from collections.abc import Callable
from functools import cache, partial
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
            usual = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)
            made = _slotted(cls, usual) if slots else usual(cls)
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
    """Return what copies records of a class whose fields are all given by position; None for any other class."""
    fields = dataclasses.fields(cls)
    # Without slots a misspelt field would become an attribute; one that is checked when it is set, or after, goes the long way.
    plain = hasattr(cls, "__slots__") and "__setattr__" not in vars(cls) and not hasattr(cls, "__post_init__")
    if not plain or len(fields) == 1 or any(field.kw_only or not field.init for field in fields):
        return None
    values = attrgetter(*[field.name for field in fields])
    return lambda record: cls(*values(record))


class _WhenAsked:
    """An attribute of a class that is made when somebody asks for it."""

    def __init__(self, value: Callable[[], Any]) -> None:
        self.value = value

    def __get__(self, record: Any, cls: type) -> Any:
        return self.value()


_MADE_WHEN_ASKED = ("__dataclass_fields__", "__dataclass_params__", "__match_args__")


def _slotted(cls: Any, usual: Callable[[type], type]) -> Any:
    """Return a class with slots for its fields; `usual` makes the rest of it when somebody asks."""
    kept = dict(vars(cls))
    names = inspect.get_annotations(cls)
    for name in ("__dict__", "__weakref__", *names):
        kept.pop(name, None)
    inherited = {name for base in cls.__mro__[1:-1] for name in getattr(base, "__slots__", ())}
    kept["__slots__"], kept["__qualname__"] = tuple(name for name in names if name not in inherited), cls.__qualname__
    made = type(cls)(cls.__name__, cls.__bases__, kept)

    def ask(name: str) -> Any:
        facts = vars(usual(cls))
        for fact in _MADE_WHEN_ASKED:
            setattr(made, fact, facts[fact])
        return facts[name]

    for name in _MADE_WHEN_ASKED:
        setattr(made, name, _WhenAsked(partial(ask, name)))
    return made


def _init_when_used(cls: Any) -> Callable[..., None]:
    """Return an `__init__` that makes the usual one when the first instance is made."""

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        cls.__init__ = _usual_init(cls)
        cls.__init__(self, *arguments, **named)

    return init


def _usual_init(cls: Any) -> Any:
    """Return the `__init__` of a class. `dataclasses` makes it only with a whole class, which takes three times as long."""
    known: dict[str, Any] = {"_not_given": object()}
    places, named, lines = ["self"], ["*"], [" pass"]
    for field in dataclasses.fields(cls):
        name, parameter, value, default = field.name, field.name, field.name, f"_default_{field.name}"
        if field.default_factory is not dataclasses.MISSING:
            known[default], default = field.default_factory, f"{default}()"
            parameter, value = f"{name}=_not_given", f"{default} if {name} is _not_given else {name}"
        elif field.default is not dataclasses.MISSING:
            known[default], parameter = field.default, f"{name}={default}"
        if field.init:
            (named if field.kw_only else places).append(parameter)
        elif parameter != name:
            value = default
        else:
            continue  # `__post_init__` makes it
        lines.append(f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    signature = ", ".join(places + (named if len(named) > 1 else []))
    code = "\n".join([f"def __init__({signature}):", *lines])
    exec(code, known)  # noqa: S102 - as `dataclasses` does, of the names of fields
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return known["__init__"]


def _compare_by_fields(cls: Any, *, hashed: bool) -> None:
    def prepare() -> None:
        names = [field.name for field in dataclasses.fields(cls) if field.compare]
        values = attrgetter(*names) if names else lambda _: ()

        def equal(self: Any, other: object) -> bool:
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        cls.__eq__ = equal
        cls.__hash__ = (lambda self: hash(values(self))) if hashed else None

    def first_equal(self: Any, other: object) -> Any:
        prepare()
        return cls.__eq__(self, other)

    def first_hash(self: Any) -> Any:
        prepare()
        return cls.__hash__(self)

    cls.__eq__ = first_equal
    cls.__hash__ = first_hash if hashed else None


def _text(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"
