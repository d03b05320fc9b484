"""Objects that are made fast. Dataclasses: a function's cold start makes a hundred of them, and a listing a million instances.

To mypy this is `dataclasses.dataclass`, and a change of a frozen instance an error. Python does not check it again: the methods
that would raise FrozenInstanceError take a third of the time that a class takes to be made, and most of an instance's. `==`,
`hash` and `repr` are as usual, from functions that are not compiled anew for each class.
"""

from __future__ import annotations

import dataclasses
import gc
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported
else:

    def dataclass(*, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True) -> Any:
        """Return a decorator as `dataclasses.dataclass` does, without what checks at runtime that nothing is changed."""

        def make(cls: type) -> type:
            made = dataclasses.dataclass(repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
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
