"""The ledger of drills in the bucket of a DR region, and their evidence. A write replaces only the version that was read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillEvidence, DrillLedger, evidence_key, evidence_of, hash_of
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.errors import AwsUnavailable, DocumentChanged, DocumentNotFound, InvalidConfiguration
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.records import dataclass
from snapkeep.usecases.recovery.record_ports import Documents, read_version

ATTEMPTS = 20
"""The number of attempts to write: a tick, a sweep, and ending drills may write one ledger at once."""


@dataclass(frozen=True, slots=True)
class LedgerStore:
    """Reads and changes the ledger, and reads evidence."""

    documents: Documents

    def read(self) -> DrillLedger:
        """Return the ledger; an empty one before the first drill. Raise InvalidConfiguration if it cannot be read."""
        return self._read()[0]

    def _read(self) -> tuple[DrillLedger, str]:
        try:
            document = self.documents.get(LEDGER_KEY)
            return from_text(DrillLedger, document.text), document.version
        except DocumentNotFound:
            return DrillLedger(), ""
        except ValueError as error:
            raise _unreadable(LEDGER_KEY, error) from error

    def evidence(self, run_id: str) -> DrillEvidence:
        """Return the evidence of a drill. Raise DocumentNotFound, or InvalidConfiguration if it cannot be read."""
        key = evidence_key(run_id)
        try:
            return from_text(DrillEvidence, self.documents.get(key).text)
        except ValueError as error:
            raise _unreadable(key, error) from error

    def change(self, decide: Callable[[DrillLedger], DrillLedger]) -> DrillLedger:
        """Write the ledger that a decision returns; return it.

        The decision is repeated if others write in between. Raise AwsUnavailable if others keep writing.
        """
        for _ in range(ATTEMPTS):
            ledger, version = self._read()
            changed = decide(ledger)
            if changed == ledger:
                return ledger
            try:
                self.documents.put(LEDGER_KEY, to_text(changed), version)
            except DocumentChanged:
                continue
            return changed
        raise AwsUnavailable(f"{LEDGER_KEY} was written by others {ATTEMPTS} times meanwhile")

    def conclude(self, run: DrillRun, version: str) -> DrillEvidence:
        """Store the evidence of a drill, then its entry in the ledger; return the evidence.

        The call may be repeated. If another execution ends the same drill, the evidence that was written first stays. Raise
        AwsUnavailable if others keep writing.
        """
        key = evidence_key(run.id)
        for _ in range(ATTEMPTS):
            # Evidence is read before the ledger: an execution that replaces it has read a newer ledger, and the entry of the
            # first writer fails.
            kept, kept_version = read_version(self.documents, DrillEvidence, key)
            ledger, ledger_version = self._read()
            entry = ledger.entry(run.id)
            by = kept or evidence_of(run, version, "")
            evidence = evidence_of(by.run, by.version, ledger.previous_of(run.id))
            if entry is not None and entry.sha256 != hash_of(evidence.text):
                continue  # another execution wrote both in the meantime
            with suppress(DocumentChanged):
                if evidence != kept:  # also over one that is damaged
                    self.documents.put(key, evidence.text, kept_version)
                if entry is None:
                    self.documents.put(LEDGER_KEY, to_text(ledger.concluded(evidence)), ledger_version)
                return evidence
        raise AwsUnavailable(f"{LEDGER_KEY} was written by others {ATTEMPTS} times meanwhile")


def _unreadable(key: str, error: ValueError) -> InvalidConfiguration:
    return InvalidConfiguration(f"{key} in the bucket of reports cannot be read: {error}")
