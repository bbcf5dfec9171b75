"""How the connections of one identity are divided among the workers that use it: pure, the stores keep the claims.

Nobody is ever given what another one still holds; what a newcomer should have comes free when the others renew, because a
renewal gives no more than a fair share. Fair is max-min: who wants less than an equal part gets it all, the rest is divided
equally among the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker wants and what it was given, until `until`. One that was given nothing keeps its wish."""

    wanted: int
    given: int
    until: datetime


_MOST_CLAIMS = 250
"""Of one identity: they stand in one column, of 32 Ki characters."""

type Claims = Mapping[str, Claim]
"""By worker."""


def claimed(
    claims: Claims, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int = 0
) -> tuple[Claims, int]:
    """The claims from now on, and how many connections `worker` is given. Claims that ran out are left out. A worker keeps
    what it has `in_use`: nobody can close a connection in the middle of a call."""
    others = {name: claim for name, claim in claims.items() if name != worker and claim.until > now}
    if len(others) >= _MOST_CLAIMS:
        others = {name: claim for name, claim in others.items() if claim.given}
    if wanted < 1 or len(others) >= _MOST_CLAIMS:
        return others, 0
    free = max(0, limit - sum(claim.given for claim in others.values()))
    wishes = {**{name: claim.wanted for name, claim in others.items()}, worker: wanted}
    given = min(free, max(_fair_shares(wishes, limit)[worker], in_use))
    return {**others, worker: Claim(wanted, given, until)}, given


def _fair_shares(wishes: Mapping[str, int], limit: int) -> Mapping[str, int]:
    """Smallest wishes first, each at most an equal part of what is left."""
    shares: dict[str, int] = {}
    left = max(0, limit)
    for place, (wish, name) in enumerate(sorted((wish, name) for name, wish in wishes.items())):
        shares[name] = min(wish, left // (len(wishes) - place))
        left -= shares[name]
    return shares
