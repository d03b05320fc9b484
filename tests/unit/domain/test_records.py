"""Records compare, hash and show themselves as dataclasses of the standard library do."""

import dataclasses
from dataclasses import field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain import records


def classes(decorator: Any) -> tuple[type, type, type]:
    @decorator(frozen=True, slots=True)
    class Point:
        x: int
        label: str = field(default="", repr=False)
        seen: int = field(default=0, compare=False)

    @decorator(frozen=True, slots=True)
    class Point3(Point):  # type: ignore[misc, valid-type]
        z: int = 0

    @decorator(slots=True, kw_only=True)
    class Empty:
        pass

    return Point, Point3, Empty


OURS, USUAL = classes(records.dataclass), classes(dataclasses.dataclass)
ARGUMENTS = st.lists(st.sampled_from([(1,), (1, "a"), (1, "a", 1), (1, "a", 2), (2, "a", 1)]), min_size=2, max_size=2)


@pytest.mark.parametrize("kind", [0, 1])
@given(arguments=ARGUMENTS)
def test_frozen_records_compare_and_hash_as_usual(kind: int, arguments: list[tuple[Any, ...]]) -> None:
    one, other = (OURS[kind](*values) for values in arguments)
    usual_one, usual_other = (USUAL[kind](*values) for values in arguments)
    assert (one == other) == (usual_one == usual_other)
    assert (hash(one) == hash(other)) == (hash(usual_one) == hash(usual_other))
    assert one != USUAL[kind](*arguments[0])
    assert OURS[0](1) != OURS[1](1)


def test_records_show_their_fields_as_usual() -> None:
    assert [repr(kind(1, "a", 2)) for kind in OURS[:2]] == [repr(kind(1, "a", 2)) for kind in USUAL[:2]]


def test_records_have_slots_and_are_replaced_as_usual() -> None:
    point = OURS[0](1)
    assert dataclasses.replace(point, x=2) == OURS[0](2)
    with pytest.raises(AttributeError):
        point.other = 1
    with pytest.raises(TypeError):
        OURS[2](1)


def test_a_record_that_may_change_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(OURS[2]())
    assert OURS[2]() == OURS[2]()
