"""Emails on their way out over Exchange."""

from base64 import b64encode
from dataclasses import replace

from shared.domain.choices import Priority
from shared.domain.email import Address
from shared.domain.outgoing import OutgoingMessage
from tests.unit.connectors.outgoing_messages import a_message

INDEX = b64encode(b"\x01" + bytes(21) + b"fives").decode()
ODD = "a & b < c > d \" ' \x00\x0b\ud800 ]]> Zoë 東京"
"""What no XML carries as it is, or at all."""


def keyed(key: str = "k1", **fields: object) -> OutgoingMessage:
    return a_message(key=key, message_id=f"{key}@contoso.example", **fields)


EVERYTHING = replace(
    keyed("k2"),
    subject=ODD,
    body_html=f"<p>{ODD}</p>\r\n",
    sender=Address("bert@contoso.example"),
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
