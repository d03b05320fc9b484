"""Policies from the text of a document."""

from __future__ import annotations

from snapkeep.domain.policy.document import parse_document
from snapkeep.domain.policy.model import PolicySet
from snapkeep.policyfile.load import load_data


def load_text(text: str, *, name: str = "document", region: str = "") -> PolicySet:
    """Return the policies of YAML or JSON. Raise InvalidPolicy with every error; messages use `name` for the document.

    `region` is the primary region, which no copy may go to.
    """
    return parse_document(load_data(text, name), region=region, source=name)
