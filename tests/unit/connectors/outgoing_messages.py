"""Emails on their way out, as connectors are given them."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from shared.domain.choices import Priority
from shared.domain.email import Address
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ANNA = Address("anna@contoso.example", "Anna Ärmel")
BERT = Address("bert@fabrikam.example", "Bert")
INDEX = b64encode(b"\x01" + bytes(21) + b"fives").decode()
ODD = "a & b < c > d \" ' \x00\x0b\ud800 ]]> Zoë 東京"
"""What no XML carries as it is, or at all."""


def an_outgoing_message(key: str = "k1", **others: object) -> OutgoingMessage:
    defaults: dict[str, object] = {
        "message_id": f"{key}@contoso.example",
        "date": NOON,
        "from_": ANNA,
        "to": (BERT,),
        "subject": "Terms",
        "body_text": "Dear Bert",
    }
    return OutgoingMessage(key=key, **{**defaults, **others})


def a_file(content: bytes = b"terms", name: str = "terms.pdf", size: int | None = None, **others: object) -> OutgoingAttachment:
    """In chunks that no encoding likes."""

    def chunks() -> Iterator[bytes]:
        yield from (content[start : start + 100_001] for start in range(0, len(content), 100_001))

    return OutgoingAttachment(name, "application/pdf", len(content) if size is None else size, chunks, **others)


EVERYTHING = replace(
    an_outgoing_message("k2"),
    subject=ODD,
    body_html=f"<p>{ODD}</p>\r\n",
    sender=BERT,
    from_=Address("sales@contoso.example", ODD),
    cc=(Address("carl@fabrikam.example"), Address("zoë@fabrikam.example", ODD)),
    bcc=(Address("dora@fabrikam.example"),),
    in_reply_to="one&two@fabrikam.example",
    references=("one@fabrikam.example", "one&two@fabrikam.example"),
    conversation_index=INDEX,
    priority=Priority.HIGH,
    read_receipt=True,
    delivery_receipt=True,
)
"""An email that has all there is, but for attachments."""
