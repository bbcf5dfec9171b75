"""Stock exchangelib sends mail through the server: at once, from drafts, with attachments, in the name of others."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from exchangelib import ExtendedProperty, FileAttachment, HTMLBody, Mailbox, Message, Q
from exchangelib import errors as ews
from exchangelib.protocol import close_connections

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.test_exchangelib import account

PICTURE = b"\x89PNG picture"


class Key(ExtendedProperty):  # type: ignore[misc]  # exchangelib has no types
    property_set_id: ClassVar[str] = "b4ecf4c0-5a0e-4c9e-9c5d-2f4f1a9e2b11"
    property_name: ClassVar[str] = "SidesyncKey"
    property_type: ClassVar[str] = "String"


class Index(ExtendedProperty):  # type: ignore[misc]  # exchangelib has no types
    property_tag: ClassVar[int] = 0x71
    property_type: ClassVar[str] = "Binary"


@pytest.fixture(autouse=True)
def _own_properties() -> Iterator[None]:
    Message.register("sidesync_key", Key)
    Message.register("index", Index)
    yield
    Message.deregister("sidesync_key")
    Message.deregister("index")
    close_connections()


def a_message(server: MailServer, **fields: object) -> Message:
    mailbox = account(server)
    stated = {"subject": "Angebot für Köln", "body": HTMLBody("<p>Good morning</p>"), "to_recipients": [BEN]} | fields
    return Message(account=mailbox, folder=mailbox.drafts, **stated)


def arrived(server: MailServer, address: str = BEN) -> list[Message]:
    return list(account(server, address=address).inbox.all().order_by("datetime_received"))


def test_a_message_is_sent_without_a_copy(server: MailServer) -> None:
    message = a_message(
        server, message_id="<offer-1@contoso.example>", cc_recipients=[Mailbox(name="Jürgen, B.", email_address=ANNA)]
    )
    message.folder = None
    message.send(save_copy=False)
    (got,) = arrived(server)
    assert got.subject == "Angebot für Köln"
    assert got.body == "<p>Good morning</p>"
    assert got.text_body == "Good morning"
    assert got.author.email_address == ANNA
    assert got.message_id == "<offer-1@contoso.example>"
    assert [each.name for each in got.cc_recipients] == ["Jürgen, B."]
    assert not got.is_draft
    assert server.items(ANNA, "sentitems") == server.items(ANNA, "drafts") == []


def test_a_message_is_sent_and_kept(server: MailServer) -> None:
    message = a_message(server, bcc_recipients=[ANNA], in_reply_to="<1@x.example>", references="<0@x.example> <1@x.example>")
    message.folder = message.account.sent
    message.send_and_save()
    (copy,) = account(server).sent.all()
    (got,) = arrived(server)
    assert got.message_id == copy.message_id
    assert [each.email_address for each in copy.bcc_recipients] == [ANNA]
    assert not got.bcc_recipients
    assert len(server.items(ANNA)) == 1
    assert (got.in_reply_to, got.references) == ("<1@x.example>", "<0@x.example> <1@x.example>")
    assert not copy.is_draft
    assert copy.is_read


def test_a_draft_with_attachments_is_written_found_and_sent(server: MailServer) -> None:
    message = a_message(server, sidesync_key="k-1", importance="High", index=bytes(22))
    message.attach(FileAttachment(name="Übersicht.txt", content=b"plain \xff", content_type="text/plain"))
    message.save()
    first_key = message.changekey
    message.attach(
        FileAttachment(name="logo.png", content=PICTURE, content_type="image/png", is_inline=True, content_id="logo@1")
    )
    assert message.changekey != first_key
    drafts = account(server).drafts
    (found,) = drafts.filter(Q(sidesync_key="k-1") | Q(sidesync_key="k-2"))
    assert (found.id, found.changekey, found.is_draft) == (message.id, message.changekey, True)
    assert list(drafts.filter(sidesync_key="k-2")) == []
    assert server.items(BEN) == []
    message.send()
    assert server.items(ANNA, "drafts") == []
    (copy,) = account(server).sent.filter(sidesync_key="k-1")
    assert copy.id != found.id
    (got,) = arrived(server)
    assert got.importance == "High"
    assert got.index == bytes(22)
    assert got.sidesync_key is None, "own properties are not mailed"
    assert [(each.name, each.content, each.is_inline, each.content_id) for each in got.attachments] == [
        ("Übersicht.txt", b"plain \xff", False, None),
        ("logo.png", PICTURE, True, "logo@1"),
    ]
    assert got.body == "<p>Good morning</p>"


def test_several_are_drafted_and_sent_by_one_request_each(server: MailServer) -> None:
    mailbox = account(server)
    written = [a_message(server, subject=f"Number {number}", sidesync_key=f"k-{number}") for number in range(3)]
    saved = mailbox.bulk_create(mailbox.drafts, written)
    server.remove(ANNA, saved[1].id)
    outcome = mailbox.bulk_send([(each.id, each.changekey) for each in saved])
    assert outcome[0] is outcome[2] is True
    assert isinstance(outcome[1], ews.ErrorItemNotFound)
    assert [each.subject for each in arrived(server)] == ["Number 0", "Number 2"]
    assert server.requests.count("CreateItem") == server.requests.count("SendItem") == 1


def test_a_draft_that_is_not_wanted_is_deleted(server: MailServer) -> None:
    message = a_message(server)
    message.save()
    message.delete()
    assert server.items(ANNA, "drafts") == server.items(BEN) == []


def test_sending_in_anothers_name_needs_his_leave(server: MailServer) -> None:
    with pytest.raises(ews.ErrorSendAsDenied):
        a_message(server, author=BEN, to_recipients=[ANNA]).send()
    server.grant_sending(BEN, ANNA)
    a_message(server, author=BEN, to_recipients=[ANNA]).send()
    server.grant_sending(BEN, ANNA, "send_on_behalf")
    a_message(server, author=BEN, to_recipients=[ANNA]).send()
    sent_as, on_behalf = arrived(server, ANNA)
    assert (sent_as.author.email_address, sent_as.sender.email_address) == (BEN, BEN)
    assert (on_behalf.author.email_address, on_behalf.sender.email_address) == (BEN, ANNA)
    server.revoke_sending(BEN, ANNA)
    with pytest.raises(ews.ErrorSendAsDenied):
        a_message(server, author=BEN, to_recipients=[ANNA]).send()
