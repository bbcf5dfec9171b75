"""Which incoming mail an owner accepts in the end: its own choice, within the ceiling of the organisation."""

from shared.domain.choices import IncomingFilteringMethod

WIDEST_FIRST = (
    IncomingFilteringMethod.ALL,
    IncomingFilteringMethod.EMAIL_ENABLED_RECORDS,
    IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS,
    IncomingFilteringMethod.RESPONSES,
    IncomingFilteringMethod.NONE,
)
"""How much mail each accepts; the model's integers are in another order."""


def exceeds(method: IncomingFilteringMethod, ceiling: IncomingFilteringMethod | None) -> bool:
    """Whether `method` accepts more than the organisation allows; without a ceiling nothing does."""
    return ceiling is not None and WIDEST_FIRST.index(method) < WIDEST_FIRST.index(ceiling)


def effective(method: IncomingFilteringMethod, ceiling: IncomingFilteringMethod | None) -> IncomingFilteringMethod:
    """The narrower of both: a ceiling that is lowered later rewrites no record."""
    return ceiling if ceiling is not None and exceeds(method, ceiling) else method
