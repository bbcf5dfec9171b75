"""Follows the conversation that an email was stored with to the one that it belongs to now.

An answer that was stored before what it answers begins a conversation of its own: a fragment. Once the original is there, the
answer is joined to its conversation. Emails of the fragment that were not written anew since still name the answer, and lead
over it to the beginning. Refuses to know where emails are looked up.
"""

from collections.abc import Callable

from shared.domain.email import EmailActivity
from shared.domain.ids import ActivityId

LONGEST_PATH = 50
"""Conversations that are followed at most: fragments join fragments, but nobody waits for one without end."""

type Known = Callable[[ActivityId], EmailActivity | None]
"""The email of an id, as far as it is known."""


def path_of(conversation: ActivityId, known: Known, *, is_fragment: bool) -> tuple[ActivityId, ...]:
    """The conversations that lead from one that was stored to the present one, which comes last.

    Strangers may write two emails that answer each other. Whichever of a ring is followed first, the same one of it is the end.
    """
    path = [conversation]
    while is_fragment and len(path) < LONGEST_PATH and (email := known(path[-1])) is not None:
        following, is_fragment = email.conversation or email.id, email.is_fragment
        if following in path:
            end = min(path[path.index(following) :])
            return tuple(path) if end == path[-1] else (*path, end)
        path.append(following)
    return tuple(path)


def conversation_of(email: EmailActivity, known: Known) -> ActivityId:
    """The conversation that `email` belongs to now."""
    return path_of(email.conversation or email.id, known, is_fragment=email.is_fragment)[-1]
