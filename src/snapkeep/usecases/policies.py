"""The policy document in force: read by the functions; pushed, shown and rolled back by users.

It is stored as compact JSON with its earlier versions. Protection always continues: if a document cannot be used, the last
usable one stays in force, and a notice is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from snapkeep.domain.errors import AwsUnavailable, DocumentAbsent, InvalidConfiguration
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import PolicySet, Retention
from snapkeep.domain.policy.problem import InvalidPolicy, PolicyProblem
from snapkeep.domain.policy.source import PolicySource, SourceKind
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import Clock, Notice, Notices

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
"""The size of an SSM parameter in the standard tier, and in the advanced tier, which is charged (SSM: parameter tiers)."""

NOTHING = "{}"
"""The version that `policy remove` stores: there is no document, and the stack's parameters are the policy."""

FRESH = timedelta(seconds=60)
"""The age up to which a function uses the document that it read. After this time a new one is in force everywhere."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One stored version of the document."""

    version: int
    text: str
    at: datetime
    author: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether this version means that there is no document."""
        return self.text.strip() == NOTHING


class PolicyStore(Protocol):
    """Stores the document of one region with its versions."""

    @property
    def region(self) -> str:
        """The region of the document."""

    def current(self) -> StoredDocument:
        """Return the newest version. Raise DocumentAbsent if there is none."""

    def history(self) -> list[StoredDocument]:
        """Return all stored versions, newest first, empty ones included."""

    def put(self, text: str, *, advanced: bool) -> int:
        """Store a new version and return its number; `advanced` allows more than 4 KB."""

    def remove(self) -> None:
        """Store an empty version: the stack's parameters are the policy again."""


def parse_stored(stored: StoredDocument, parameters: PolicySet) -> PolicySet:
    """Return the policies of a stored version.

    Raise InvalidPolicy. The stack's parameters have the limits if the document has none, and in the primary region the region
    that cannot be a destination.
    """
    from snapkeep.domain.policy.document import parse_document  # noqa: PLC0415 - most systems have no document

    source = PolicySource(SourceKind.DOCUMENT, stored.version)
    try:
        # JSON allows a key twice, and the last one wins: with two limits, the intended one would not be known.
        data = json.loads(stored.text, object_pairs_hook=_each_key_once)
        return parse_document(data, region=parameters.primary_region, source=source, limits=parameters.limits)
    except ValueError as error:
        raise _not_readable(stored, f"not readable as JSON: {error}") from error
    except RecursionError as error:  # the maximum depth differs between versions of Python
        raise _not_readable(stored, "it is nested deeper than any policy document") from error


def _not_readable(stored: StoredDocument, why: str) -> InvalidPolicy:
    return InvalidPolicy([PolicyProblem("document", f"version {stored.version}", why)])


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("an object has a key twice")
    return mapping


def stored_text(document: object) -> str:
    """Return a checked document as the text to store, in compact JSON.

    SSM refuses a value with `{{` (PutParameter: Value). It occurs only within strings, in which JSON has an escape for it.
    Raise InvalidPolicy if the text is larger than a parameter.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).replace("{{", "{\\u007b")
    size = len(text.encode())
    if size > ADVANCED_BYTES:
        right = f"a parameter holds {ADVANCED_BYTES}: merge policies, or select by tag where volume ids are listed"
        raise InvalidPolicy([PolicyProblem("document", f"{size} bytes", right)])
    return text


def keep_everything(policies: PolicySet) -> PolicySet:
    """Return the policies without their retention rules: nothing is deleted while the correct rules are not known."""
    keeping = tuple(
        replace(
            policy, retention=Retention(), gone=None, copies=tuple(replace(rule, retention=Retention()) for rule in policy.copies)
        )
        for policy in policies.policies
    )
    return replace(policies, policies=keeping, source=replace(policies.source, keeps_everything=True))


@dataclass(slots=True, kw_only=True)
class PoliciesInForce:
    """Returns the policies in force when called. An instance lives as long as the function's process."""

    store: PolicyStore
    parameters: PolicySet
    """The policies of the stack's parameters, in force while there is no document."""
    clock: Clock
    notices: Notices
    _known: PolicySet | None = field(default=None, init=False)
    _read_at: datetime | None = field(default=None, init=False)
    _notified_version: int = field(default=0, init=False)

    def __call__(self) -> PolicySet:
        """Return the policies in force, at most a minute old.

        If a document cannot be used, the last usable version stays in force. If none is usable, the copies by the parameters
        continue, and nothing is deleted. Raise AwsUnavailable only while the store cannot be read and nothing was read before.
        """
        now = self.clock.now()
        # A clock that was set back must not make the cached document valid for ever.
        if self._known is not None and self._read_at is not None and timedelta(0) <= now - self._read_at < FRESH:
            return self._known
        try:
            self._known = in_force(self.store, self.parameters, self._fall_back)
        except AwsUnavailable:
            if self._known is None:
                raise
            return self._known
        self._read_at = now
        return self._known

    def expect(self, version: int) -> None:
        """Read the document again at the next call, unless this version or a later one is known."""
        if self._known is not None and self._known.source.version < version:
            self._read_at = None

    def _fall_back(self, stored: StoredDocument, broken: InvalidPolicy, fallback: PolicySet) -> None:
        """Send a notice for an unusable version once. Raise AwsUnavailable: then the next read sends it."""
        # This precedes the notice: if the notice cannot be sent, the fallback is in force nevertheless.
        self._known = fallback
        if self._notified_version == stored.version:
            return
        cause = f"the policy document cannot be used; in force is: {fallback.source.label}"
        subject = f"policy document, version {stored.version}"
        notice = Notice(InvalidPolicy.__name__, cause, subject, str(broken), self.store.region, self.clock.now())
        self.notices.add(notice)
        # This follows the notice, so that the next read sends a failed one.
        self._notified_version = stored.version


@dataclass(frozen=True, slots=True)
class ShowResult:
    """One version of the document: its policies, or the reason why it cannot be used."""

    stored: StoredDocument
    policies: PolicySet | None
    """The policies that it puts in force; for an empty version, those of the parameters."""
    problems: tuple[PolicyProblem, ...] = ()
    in_force: bool = False
    """Whether this is the newest usable version, which the functions use."""


@dataclass(frozen=True, slots=True)
class FormerVersion:
    """An earlier version and its policies."""

    stored: StoredDocument
    policies: PolicySet


@dataclass(frozen=True, slots=True)
class PushResult:
    """The result of a push to one region; `overtaken` if a concurrent push made a version too."""

    region: str
    version: int
    overtaken: bool = False
    unchanged: bool = False


def in_force(
    store: PolicyStore,
    parameters: PolicySet,
    fall_back: Callable[[StoredDocument, InvalidPolicy, PolicySet], None] = lambda *_: None,
) -> PolicySet:
    """Return the policies that the functions use now; `parameters` are those of the stack.

    If the newest document cannot be used, the last usable one is returned with a `problem`, and `fall_back` is called.
    """
    try:
        current = store.current()
    except DocumentAbsent:
        return parameters
    try:
        return parse_stored(current, parameters)
    except InvalidPolicy as broken:
        fallback = _fallback(current, broken, store, parameters)
        fall_back(current, broken, fallback)
        return fallback


def _fallback(stored: StoredDocument, broken: InvalidPolicy, store: PolicyStore, parameters: PolicySet) -> PolicySet:
    """Return the policies in force instead of an unusable version, with the problem in words."""
    fallback = last_good(store, parameters)
    problem = (
        f"version {stored.version} of the policy document in {store.region} cannot be used "
        f"({counted(len(broken.problems), 'error')}, first: {broken.problems[0]}); in force is: {fallback.source.label}"
    )
    return replace(fallback, problem=problem)


def last_good(store: PolicyStore, parameters: PolicySet) -> PolicySet:
    """Return the policies of the newest usable version; without one, policies that delete nothing.

    An empty version is usable: since then the parameters are the policy, not the removed document.
    """
    usable = (version.policies for version in history(store, parameters) if version.in_force)
    return next(filter(None, usable), keep_everything(parameters))


def regions_known(store: PolicyStore, parameters: PolicySet) -> set[str]:
    """Return every region to which the parameters or any usable version copy."""
    policy_sets = [parameters, *(version.policies for version in history(store, parameters) if version.policies)]
    return {region for policy_set in policy_sets for region in policy_set.copy_regions}


def history(store: PolicyStore, parameters: PolicySet) -> list[ShowResult]:
    """Return all stored versions, newest first."""
    versions = [_parsed(stored, parameters) for stored in store.history()]
    newest_usable = next((version for version in versions if version.policies), None)
    return [replace(version, in_force=version is newest_usable) for version in versions]


def _parsed(stored: StoredDocument, parameters: PolicySet) -> ShowResult:
    if stored.is_empty:
        return ShowResult(stored, parameters)
    try:
        return ShowResult(stored, parse_stored(stored, parameters))
    except InvalidPolicy as broken:
        return ShowResult(stored, None, broken.problems)


def push(stores: Sequence[PolicyStore], text: str) -> list[PushResult]:
    """Put a text from `stored_text` in force in each store, in this order.

    A store that already has it stays unchanged. Callers put the DR regions first, so that no copy arrives there under an
    unknown policy. The primary region follows. Last are the regions to which the text no longer copies: it deletes nothing
    there, and a failure stops no other region.
    """
    return [_put(store, text) for store in stores]


def _put(store: PolicyStore, text: str) -> PushResult:
    current = None
    with suppress(DocumentAbsent):
        current = store.current()
    # A repeated push makes no version: SSM keeps 100 of them.
    if current and current.text == text:
        return PushResult(store.region, current.version, unchanged=True)
    version = store.put(text, advanced=len(text.encode()) > STANDARD_BYTES)
    return PushResult(store.region, version, overtaken=current is not None and version != current.version + 1)


def version_to_restore(store: PolicyStore, parameters: PolicySet, version: int = 0) -> FormerVersion:
    """Return the version to push again; 0 is the newest usable document that differs from the current one.

    Empty versions do not count. Raise InvalidConfiguration if there is none, InvalidPolicy if the named version cannot be used.
    """
    versions = store.history()
    if version:
        return _named(versions, parameters, version)
    if not versions:
        raise InvalidConfiguration("no policy document has been pushed: there is no version to compare or to restore")
    current = versions[0]
    for candidate in (_parsed(stored, parameters) for stored in versions[1:] if not stored.is_empty):
        if candidate.policies and candidate.stored.text != current.text:
            return FormerVersion(candidate.stored, candidate.policies)
    raise InvalidConfiguration("there is no usable version before the one in force; `policy history` lists what is kept")


def _named(versions: Sequence[StoredDocument], parameters: PolicySet, version: int) -> FormerVersion:
    stored = next((stored for stored in versions if stored.version == version), None)
    if stored is None:
        known = ", ".join(str(stored.version) for stored in versions) or "none"
        raise InvalidConfiguration(f"there is no version {version} of the policy document; there are: {known}")
    if stored.is_empty:
        raise InvalidConfiguration(f"version {version} is empty: `policy remove` puts the stacks' parameters in force")
    return FormerVersion(stored, parse_stored(stored, parameters))
