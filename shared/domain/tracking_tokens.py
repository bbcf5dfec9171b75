"""Tracking tokens: what a subject carries so that answers are known whose mail program drops the headers. Pure text.

A token is a prefix, as the organisation chose it, and digits: `SYNC:0012345`.
"""

import hashlib
import re

from shared.domain.choices import CorrelationMethod
from shared.domain.ids import ActivityId
from shared.domain.organisation import OrganisationSettings

_TOKENS = 3
"""Tokens of one subject that count."""


def tokens_in(subject: str, settings: OrganisationSettings) -> tuple[str, ...]:
    """The tracking tokens in a subject, in lower case: a prefix, the present one or a former one, and digits."""
    used = (settings.tracking_prefix, *settings.former_tracking_prefixes)
    prefixes = {prefix.casefold() for prefix in used if prefix.strip()}
    if not prefixes:
        return ()
    names = "|".join(re.escape(prefix) for prefix in sorted(prefixes, key=len, reverse=True))
    found = re.findall(rf"(?<!\w)(?:{names})\d{{1,20}}(?!\w)", subject.casefold())
    return tuple(dict.fromkeys(found))[:_TOKENS]


def token_of(conversation: ActivityId, settings: OrganisationSettings) -> str:
    """The token of a conversation: derived, so that sending again, and every email of the conversation, has the same."""
    number = int.from_bytes(hashlib.sha256(conversation.encode()).digest()[:8])
    digits = settings.tracking_digits
    return f"{settings.tracking_prefix}{number % 10**digits:0{digits}}"


def with_token(subject: str, conversation: ActivityId, settings: OrganisationSettings) -> str:
    """The subject as it is sent: with a token where the settings want one and it has none; cut before the token where it would
    be longer than mail servers take."""
    is_wanted = settings.token_in_subject and CorrelationMethod.TRACKING_TOKEN in settings.correlation_methods
    present = tokens_in(subject, settings)
    if not is_wanted or not settings.tracking_prefix.strip() or (present and len(subject) <= settings.longest_subject):
        return subject
    own = token_of(conversation, settings)
    token = own if not present or own.casefold() in present else present[0]
    for each in present:
        subject = re.sub(re.escape(each), "", subject, flags=re.IGNORECASE)
    room = max(0, settings.longest_subject - len(token) - 1)
    return f"{subject[:room].rstrip()} {token}".lstrip()
