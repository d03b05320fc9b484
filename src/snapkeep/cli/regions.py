"""The regions that the installed botocore knows."""

from __future__ import annotations

from difflib import get_close_matches

from snapkeep.cli.errors import WrongUse


def known_partitions() -> dict[str, str]:
    """Return the partition of each region that has EC2, by botocore's endpoint data. Calls nothing."""
    from botocore.session import get_session  # noqa: PLC0415 - imports botocore

    session = get_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }


def require_region(region: str, known: dict[str, str]) -> None:
    """Raise WrongUse with the nearest name if there is no such region."""
    if region not in known:
        nearest = get_close_matches(region, known, 1, cutoff=0)
        raise WrongUse(f"--region {region}: there is no such region; the nearest name is {nearest[0]}")
