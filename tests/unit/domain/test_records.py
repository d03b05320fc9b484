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


@pytest.mark.parametrize("replace", [dataclasses.replace, records.replace])
@pytest.mark.parametrize("decorator", [records.dataclass, dataclasses.dataclass])
def test_replacing_fields_leaves_the_record_and_its_other_fields(replace: Any, decorator: Any) -> None:
    for kind in classes(decorator)[:2]:
        point = kind(1, "a", 3)
        changed = replace(point, x=2, label="b")
        assert (changed.x, changed.label, changed.seen, type(changed)) == (2, "b", 3, kind)
        assert (point.x, point.label) == (1, "a")
        with pytest.raises((TypeError, AttributeError)):
            replace(point, other=1)


def test_records_that_check_or_make_their_fields_do_so_when_replaced() -> None:
    @records.dataclass(slots=True, kw_only=True)
    class Checked:
        count: int
        name: str = ""

        def __post_init__(self) -> None:
            if self.count < 0:
                raise ValueError("negative")

    assert records.replace(Checked(count=1, name="a"), count=2) == Checked(count=2, name="a")
    with pytest.raises(ValueError, match="negative"):
        records.replace(Checked(count=1), count=-1)


def test_records_are_made_as_usual_for_the_first_time_and_later() -> None:
    @records.dataclass(slots=True)
    class Base:
        name: str
        parts: list[str] = field(default_factory=list)
        made: int = field(default=3, init=False)

    @records.dataclass(slots=True, kw_only=True)
    class Derived(Base):
        size: int = 1

        def __post_init__(self) -> None:
            self.made = self.size

    for _ in range(2):
        derived, base = Derived("d", size=2), Base("b")
        assert (derived.name, derived.parts, derived.made, derived.size) == ("d", [], 2, 2)
        assert (base.name, base.parts, base.made) == ("b", [], 3)
        assert base.parts is not Base("b").parts
        with pytest.raises(TypeError, match="argument"):
            Derived()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="argument"):
            Derived("d", [], 5)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="other"):
            Base("b", other=1)  # type: ignore[call-arg]


def test_records_have_slots() -> None:
    point = OURS[0](1)
    with pytest.raises(AttributeError):
        point.other = 1
    with pytest.raises(TypeError):
        OURS[2](1)


def test_a_record_that_may_change_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(OURS[2]())
    assert OURS[2]() == OURS[2]()
