"""Outgoing messages for tests: what every one has, and what a test is about."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.connectors.mime import read_message
from shared.connectors.mime.composing import compose
from shared.domain.email import Address, IncomingMessage
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage
from tests.unit.connectors.mime_messages import REF

ANNA = Address("anna@contoso.example", "Anna Adams")
BERT = Address("bert@fabrikam.example", "Bert Baker")
DATE = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def a_message(**fields: Any) -> OutgoingMessage:
    message = OutgoingMessage(
        key="key",
        message_id="0f2c@contoso.example",
        date=DATE,
        from_=ANNA,
        to=(BERT,),
        subject="Offer",
        body_text="Hello\n",
    )
    return replace(message, **fields)


def an_attachment(
    content: bytes, name: str = "offer.pdf", content_type: str = "application/pdf", **others: Any
) -> OutgoingAttachment:
    def chunks() -> Iterator[bytes]:
        for at in range(0, len(content), 1000):
            yield content[at : at + 1000]

    return OutgoingAttachment(name, content_type, len(content), chunks, **others)


def octets(message: OutgoingMessage, **abilities: bool) -> bytes:
    with compose(message, **abilities) as composed:
        written = b"".join(composed.chunks())
        assert composed.size == len(written)
        return written


def read_back(message: OutgoingMessage, **abilities: bool) -> IncomingMessage:
    return read_message(octets(message, **abilities), REF)
