"""Emails that are written here: drafts, their attachments, what sending asks of them, and their lists.

Knows nothing of mail servers: what was announced in the outbox, a run sends. Every change of an email after its creation is one
step under its ETag (`Activities.advance`); rows of lists are hints, written before the email and confirmed against it.
"""

from shared.administration.auditing import Auditing
from shared.administration.outgoing.drafts import Drafts
from shared.administration.outgoing.lists import OutgoingLists
from shared.administration.outgoing.sending import Sending
from shared.administration.outgoing.uploads import Uploads
from shared.ports import Clock, Stores


class Outgoing:
    """The use cases of emails that are written here, by what they are about."""

    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self.drafts = Drafts(stores, clock, auditing)
        self.uploads = Uploads(stores, auditing)
        self.sending = Sending(stores, clock, auditing)
        self.lists = OutgoingLists(stores, clock)
