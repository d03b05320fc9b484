"""Maps of instance recoveries as people write them: YAML or JSON, in a file or on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.cli.errors import WrongUse

if TYPE_CHECKING:
    from snapkeep.domain.recovery.instance_map import InstanceMap


def map_of(text: str, place: str) -> InstanceMap:
    """Return the map in a text; an empty one of an empty text. Raise WrongUse, which names the place and the key."""
    from snapkeep.domain.errors import InvalidConfiguration  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.domain.policy.problem import InvalidPolicy  # noqa: PLC0415
    from snapkeep.domain.recovery.instance_map import InstanceMap, parse_map  # noqa: PLC0415
    from snapkeep.policyfile.load import load_data  # noqa: PLC0415 - imports yaml

    try:
        data = load_data(text) if text.strip() else None
        return InstanceMap() if data is None else parse_map(data)
    except InvalidPolicy as error:  # of the file's reader, which reads policy documents too
        raise WrongUse(f"{place}: {'; '.join(map(str, error.problems))}") from error
    except InvalidConfiguration as error:
        raise WrongUse(f"{place}: {error}") from error
