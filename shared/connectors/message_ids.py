"""Message-IDs as headers list them, whichever server they came from."""

import re

from shared.domain.ids import normalised_message_id

_MOST_REFERENCES = 1000
_ANGLE_BRACKETED = re.compile(r"<([^<>]+)>")


def message_ids(text: str | None) -> tuple[str, ...]:
    """The Message-IDs of In-Reply-To or References, normalised, in order. A thousand at most, the last ones."""
    if not text:
        return ()
    found = _ANGLE_BRACKETED.findall(text) or text.split()
    normalised = (normalised_message_id(each) for each in found[-_MOST_REFERENCES:])
    return tuple(each for each in normalised if each)
