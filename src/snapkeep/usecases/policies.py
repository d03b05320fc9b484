"""The policy document in force: read by the functions, pushed, shown and rolled back by people.

It is kept as compact JSON with its former versions. Whatever stands there, protection goes on: a document that cannot be used
leaves the last good one in force, and somebody is told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from snapkeep.domain.errors import AwsUnavailable, DocumentAbsent, InvalidConfiguration
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.document import InvalidPolicy, parse_document
from snapkeep.domain.policy.model import PolicySet, Retention
from snapkeep.domain.policy.problem import PolicyProblem
from snapkeep.usecases.ports import Clock, Notice, Notices

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
"""What an SSM parameter holds, in its standard and in its advanced tier, which costs (SSM: parameter tiers)."""

NOTHING = "{}"
"""A version that says that there is no document: the stack's parameters are the policy, as they are after `policy remove`."""

FRESH = timedelta(seconds=60)
"""How long a function goes by what it read: a new document is in force everywhere after this."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One version of the document, as it is kept."""

    version: int
    text: str
    at: datetime
    author: str = ""

    @property
    def says_nothing(self) -> bool:
        """Whether it says that there is no document."""
        return self.text.strip() == NOTHING


class PolicyStore(Protocol):
    """Keeps the document of one region with its versions."""

    @property
    def region(self) -> str:
        """The region that it is kept in."""
        ...

    def current(self) -> StoredDocument:
        """Return the newest version. Raise DocumentAbsent if there is none."""
        ...

    def history(self) -> list[StoredDocument]:
        """Return all versions that are kept, newest first, those that say nothing too; none is an empty list."""
        ...

    def put(self, text: str, *, advanced: bool) -> int:
        """Keep a new version and return its number; `advanced` asks for room beyond 4 KB."""
        ...

    def remove(self) -> None:
        """Keep a version that says nothing: the stack's parameters are the policy again."""
        ...


def parse_stored(stored: StoredDocument, parameters: PolicySet) -> PolicySet:
    """Given a stored version, and what the parameters say, return its policies. Raise InvalidPolicy.

    The parameters say which limits hold where it names none, and in the primary region which region no copy may go to.
    """
    source = f"document, version {stored.version}"
    try:
        data = json.loads(stored.text, object_pairs_hook=_each_key_once)
        return parse_document(data, region=parameters.primary_region, source=source, limits=parameters.limits)
    except ValueError as error:
        raise _not_readable(stored, f"not readable as JSON: {error}") from error
    except RecursionError as error:  # how deep is too deep differs between Python's versions
        raise _not_readable(stored, "it is nested deeper than any policy document") from error


def _not_readable(stored: StoredDocument, why: str) -> InvalidPolicy:
    return InvalidPolicy([PolicyProblem("document", f"version {stored.version}", why)])


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def stored_text(document: object) -> str:
    """Given a document that was checked, return the text to keep: exactly what it says, in as few characters as it takes.

    SSM refuses a value with `{{` (PutParameter: Value), which stands in texts alone, where JSON can spell it in another way.
    Raise InvalidPolicy if it is larger than a parameter can be.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).replace("{{", "{\\u007b")
    size = len(text.encode())
    if size > ADVANCED_BYTES:
        right = f"a parameter holds {ADVANCED_BYTES}: merge policies, or select by tag where volume ids are listed"
        raise InvalidPolicy([PolicyProblem("document", f"{size} bytes", right)])
    return text


def keep_everything(policies: PolicySet) -> PolicySet:
    """Given policies, return them without a rule that could delete: what holds while nobody knows the right rules."""
    nothing_goes = tuple(
        replace(
            policy,
            retention=Retention(),
            copies=tuple(replace(rule, retention=Retention()) for rule in policy.copies),
        )
        for policy in policies.policies
    )
    return replace(policies, policies=nothing_goes, source=f"{policies.source}, keeping everything: no document is usable")


@dataclass(slots=True, kw_only=True)
class PoliciesInForce:
    """What a function goes by; call it for the policies. One lives as long as the function's process."""

    store: PolicyStore
    parameters: PolicySet
    """What the stack's parameters say: in force while there is no document."""
    clock: Clock
    notices: Notices
    _known: PolicySet | None = field(default=None, init=False)
    _read_at: datetime | None = field(default=None, init=False)
    _told: int = field(default=0, init=False)

    def __call__(self) -> PolicySet:
        """Return the policies in force, at most a minute old.

        A broken document leaves the last good version in force; where none is good, the parameters' copies go on and
        nothing is deleted. Raise AwsUnavailable only while the store cannot be asked and nothing was read before.
        """
        now = self.clock.now()
        if self._known is not None and self._read_at is not None and timedelta(0) <= now - self._read_at < FRESH:
            return self._known
        try:
            self._known = self._read(now)
        except AwsUnavailable:
            if self._known is None:
                raise
            return self._known
        self._read_at = now
        return self._known

    def _read(self, now: datetime) -> PolicySet:
        try:
            current = self.store.current()
        except DocumentAbsent:
            return self.parameters
        try:
            return parse_stored(current, self.parameters)
        except InvalidPolicy as broken:
            self._known = instead = _instead_of(current, broken, self.store, self.parameters)
            self._tell(current, broken, instead, now)
            return instead

    def _tell(self, stored: StoredDocument, broken: InvalidPolicy, in_force: PolicySet, now: datetime) -> None:
        """Tell somebody of a version once. Raise AwsUnavailable: it is told at the next reading then; nothing waits."""
        if self._told == stored.version:
            return
        self.notices.add(
            Notice(
                kind=InvalidPolicy.__name__,
                cause=f"the policy document cannot be used; in force is: {in_force.source}",
                subject=f"policy document, version {stored.version}",
                detail=str(broken),
                region=self.store.region,
                at=now,
            )
        )
        self._told = stored.version


@dataclass(frozen=True, slots=True)
class ShowResult:
    """One version of the document for people: what it says, or why it cannot be used."""

    stored: StoredDocument
    policies: PolicySet | None
    """What it puts in force: of a version that says nothing, the parameters."""
    problems: tuple[PolicyProblem, ...] = ()
    in_force: bool = False
    """Whether the functions go by this version: the newest one that can be used."""


@dataclass(frozen=True, slots=True)
class Restorable:
    """A former version, and what it says."""

    stored: StoredDocument
    policies: PolicySet


@dataclass(frozen=True, slots=True)
class PushResult:
    """How one region took a new version. `overtaken` when somebody else pushed at the same time: theirs is a version too."""

    region: str
    version: int
    overtaken: bool = False
    unchanged: bool = False


def in_force(store: PolicyStore, parameters: PolicySet) -> PolicySet:
    """Given a store and what the parameters say, return what the functions go by now.

    Where a document is broken that is the last good one, and `problem` says so.
    """
    try:
        current = store.current()
    except DocumentAbsent:
        return parameters
    try:
        return parse_stored(current, parameters)
    except InvalidPolicy as broken:
        return _instead_of(current, broken, store, parameters)


def _instead_of(stored: StoredDocument, broken: InvalidPolicy, store: PolicyStore, parameters: PolicySet) -> PolicySet:
    """Given a version that cannot be used, and why, return what is in force in its place, with the problem in words."""
    instead = last_good(store, parameters)
    problem = (
        f"version {stored.version} of the policy document in {store.region} cannot be used "
        f"({counted(len(broken.problems), 'error')}, first: {broken.problems[0]}); in force is: {instead.source}"
    )
    return replace(instead, problem=problem)


def last_good(store: PolicyStore, parameters: PolicySet) -> PolicySet:
    """Given a store and what the parameters say, return the newest usable version; where none is, what deletes nothing.

    A version that says nothing is usable: since then the parameters are the policy, and not the document that was removed.
    """
    usable = (shown.policies for shown in history(store, parameters) if shown.in_force)
    return next(filter(None, usable), keep_everything(parameters))


def regions_known(store: PolicyStore, parameters: PolicySet) -> set[str]:
    """Given a store and what the parameters say, return every region that these, or any usable version, copy to."""
    known = [parameters, *(shown.policies for shown in history(store, parameters) if shown.policies)]
    return {rule.region for one in known for policy in one.policies for rule in policy.copies}


def history(store: PolicyStore, parameters: PolicySet) -> list[ShowResult]:
    """Given a store and what the parameters say, return all versions that it keeps, newest first."""
    versions = [_shown(stored, parameters) for stored in store.history()]
    newest_usable = next((shown for shown in versions if shown.policies), None)
    return [replace(shown, in_force=shown is newest_usable) for shown in versions]


def _shown(stored: StoredDocument, parameters: PolicySet) -> ShowResult:
    if stored.says_nothing:
        return ShowResult(stored, parameters)
    try:
        return ShowResult(stored, parse_stored(stored, parameters))
    except InvalidPolicy as broken:
        return ShowResult(stored, None, broken.problems)


def push(stores: Sequence[PolicyStore], text: str) -> list[PushResult]:
    """Given the stores, put a text of `stored_text` in force in each, in this order. Who has it is left as it is.

    The DR regions come first, so that no copy arrives there under a policy that nobody there knows; then the primary. Last come
    the regions that the text does not copy to any more: there it deletes nothing, and one that fails keeps up nobody.
    """
    return [_put(store, text) for store in stores]


def _put(store: PolicyStore, text: str) -> PushResult:
    try:
        current = store.current()
    except DocumentAbsent:
        return PushResult(store.region, store.put(text, advanced=len(text.encode()) > STANDARD_BYTES))
    if current.text == text:
        return PushResult(store.region, current.version, unchanged=True)
    version = store.put(text, advanced=len(text.encode()) > STANDARD_BYTES)
    return PushResult(store.region, version, overtaken=version != current.version + 1)


def version_to_restore(store: PolicyStore, parameters: PolicySet, version: int = 0) -> Restorable:
    """Given a store, what the parameters say, and a version, return what to push again.

    0 is the newest usable document that says something else than what stands there now. Versions that say nothing are none.
    Raise InvalidConfiguration if there is none, InvalidPolicy if the version that was named cannot be used.
    """
    versions = store.history()
    if version:
        return _named(versions, parameters, version)
    now = versions[0] if versions else None
    for shown in (_shown(stored, parameters) for stored in versions[1:] if not stored.says_nothing):
        if now and shown.policies and shown.stored.text != now.text:
            return Restorable(shown.stored, shown.policies)
    raise InvalidConfiguration("there is no usable version before the one in force; `policy history` lists what is kept")


def _named(versions: Sequence[StoredDocument], parameters: PolicySet, version: int) -> Restorable:
    stored = next((one for one in versions if one.version == version), None)
    if stored is None:
        kept = ", ".join(str(one.version) for one in versions) or "none"
        raise InvalidConfiguration(f"there is no version {version} of the policy document; kept are: {kept}")
    if stored.says_nothing:
        raise InvalidConfiguration(
            f"version {version} says that there is no document: `policy remove` puts the stacks' parameters in force"
        )
    return Restorable(stored, parse_stored(stored, parameters))
