"""Mail that comes over POP3: to a person whose mailbox is on another server, and to a forward mailbox that collects for one.

Each letter is there for one verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

from local.samples.people import CORRESPONDENTS, DOMAIN, Correspondent, Person
from local.samples.writing import Letter, write
from shared.domain.choices import Reason, Verdict

PAUL = Person("Paul Vogt", f"paul@{DOMAIN}")
"""His mailbox is a maildrop; he accepts all mail."""
RITA = Person("Rita Lang", f"rita@{DOMAIN}")
"""A rule on her server forwards her mail as attachments; she accepts all mail."""
COLLECTION = Person("Collection", f"collection@{DOMAIN}")
"""The forward mailbox, a maildrop that is emptied."""

_CUSTOMER = CORRESPONDENTS[0]
_OTHER = CORRESPONDENTS[2]


@dataclass(frozen=True, slots=True)
class Collected:
    """A letter, and what is to become of it."""

    name: str
    """How the checks call it."""
    to: Person
    """Whose maildrop it is put into."""
    raw: bytes
    message_id: str
    """Of the message in the maildrop: what `explain` is asked about."""
    verdict: Verdict
    reason: Reason


def collected(now: datetime) -> Sequence[Collected]:
    """All of it, in the order of delivery."""
    price = _letter(now, _CUSTOMER, PAUL, "Price of ten pumps", "price@northwind.example")
    umlauts = _letter(now, _OTHER, PAUL, "Grüße aus der Werkstatt", "gruesse@weissundsohn.example")
    complaint = _letter(now, _CUSTOMER, RITA, "The pumps are late", "late@northwind.example")
    thanks = _letter(now, _OTHER, RITA, "Danke für die Pumpen", "danke@weissundsohn.example")
    plain = _letter(now, Correspondent(RITA.name, RITA.address, "en"), COLLECTION, "Have you seen this?", f"plain@{DOMAIN}")
    stranger = _letter(now, _CUSTOMER, COLLECTION, "Attached: an order", "stranger@northwind.example")
    tracked, left = Verdict.PROMOTED, Verdict.SKIPPED
    return (
        Collected("a customer's letter in a maildrop", PAUL, write(price), "price@northwind.example", tracked, Reason.RELEVANT),
        Collected("one with umlauts", PAUL, write(umlauts), "gruesse@weissundsohn.example", tracked, Reason.RELEVANT),
        Collected(
            "a forward of one letter", COLLECTION, _forward(now, 1, complaint), f"forward-1@{DOMAIN}", tracked, Reason.RELEVANT
        ),
        Collected(
            "a forward of two", COLLECTION, _forward(now, 2, complaint, thanks), f"forward-2@{DOMAIN}", tracked, Reason.RELEVANT
        ),
        Collected("a letter that is no forward", COLLECTION, write(plain), f"plain@{DOMAIN}", left, Reason.PLAIN_FORWARD),
        Collected(
            "what a stranger attached",
            COLLECTION,
            _attached(stranger, write(complaint)),
            "stranger@northwind.example",
            left,
            Reason.UNKNOWN_FORWARDER,
        ),
    )


SUBJECTS = {
    PAUL: ("Grüße aus der Werkstatt", "Price of ten pumps"),
    COLLECTION: ("Danke für die Pumpen", "The pumps are late"),
}
"""Of the emails that come of it, by the mailbox that brings them."""


def _letter(now: datetime, sender: Correspondent, to: Person, subject: str, message_id: str) -> Letter:
    return Letter((sender.name, sender.address), [(to.name, to.address)], subject, f"{subject}.", now, message_id)


def _forward(now: datetime, number: int, *originals: Letter) -> bytes:
    """As a rule of Rita's server writes it."""
    letter = Letter(
        (RITA.name, RITA.address),
        [(COLLECTION.name, COLLECTION.address)],
        f"FW: {originals[0].subject}",
        "",
        now,
        f"forward-{number}@{DOMAIN}",
    )
    return _attached(letter, *(write(original) for original in originals))


def _attached(letter: Letter, *originals: bytes) -> bytes:
    boundary = f"=_{letter.message_id}"
    head = EmailMessage(policy=SMTP)
    head["From"], head["To"] = formataddr(letter.sender), ", ".join(formataddr(one) for one in letter.to)
    head["Subject"], head["Date"], head["Message-ID"] = letter.subject, format_datetime(letter.sent), f"<{letter.message_id}>"
    head["MIME-Version"], head["Content-Type"] = "1.0", f'multipart/mixed; boundary="{boundary}"'
    text = f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{letter.text}\r\n".encode()
    parts = [f"--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n".encode() + original + b"\r\n" for original in originals]
    headers, blank, _ = head.as_bytes().partition(b"\r\n\r\n")
    return headers + blank + text + b"".join(parts) + f"--{boundary}--\r\n".encode()
