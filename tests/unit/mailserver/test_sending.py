"""Somebody sends mail in a mail client: his copy, what arrives, and the conversation that answers make."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from local.mailserver import MailServer
from local.mailserver.conversation import HEADER, answer_index, new_index
from local.mailserver.message import Message
from local.mailserver.model import NoSuchItem
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_draft, a_message
from tests.unit.mailserver.soap import Answer, SoapClient, field_uri, header_property, tag_property, well_known

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CUSTOMER = "carla@supplier.example"
SENT_ITEMS = well_known("sentitems")

FIELDS = field_uri(
    "item:DateTimeSent",
    "item:DateTimeReceived",
    "item:InReplyTo",
    "item:IsDraft",
    "item:IsFromMe",
    "message:BccRecipients",
    "message:ConversationIndex",
    "message:From",
    "message:InternetMessageId",
    "message:IsRead",
    "message:References",
    "message:ToRecipients",
)
AUTH_AS = header_property("X-MS-Exchange-Organization-AuthAs")


def shown(client: SoapClient, item: str) -> Answer:
    answer = client.get(item, properties=FIELDS + AUTH_AS)
    assert answer.codes == ["NoError"]
    return answer


def index(client: SoapClient, item: str) -> bytes:
    return base64.b64decode(shown(client, item).text("t:ConversationIndex") or "")


def test_the_copy_of_what_was_sent_is_complete_and_never_went_through_transport(server: MailServer, anna: SoapClient) -> None:
    before = anna.sync(folder=SENT_ITEMS)
    sent = server.send(a_draft(CUSTOMER, headers=f"Bcc: {BEN}\r\n"), ANNA, NOON)
    assert anna.sync(before.sync_state, folder=SENT_ITEMS).changes() == [("Create", sent)]
    copy = shown(anna, sent)
    assert copy.texts("t:From/t:Mailbox/t:EmailAddress") == [ANNA]
    assert copy.texts("t:ToRecipients/t:Mailbox/t:EmailAddress") == [CUSTOMER]
    assert copy.texts("t:BccRecipients/t:Mailbox/t:EmailAddress") == [BEN]
    assert copy.text("t:DateTimeSent") == copy.text("t:DateTimeReceived") == "2026-11-02T12:00:00Z"
    flags = [copy.text(f"t:{name}") for name in ("IsDraft", "IsFromMe", "IsRead")]
    assert flags == ["false", "true", "true"]
    assert (copy.text("t:InternetMessageId") or "").endswith("@contoso.example>")
    headers = anna.get(sent, properties=field_uri("item:InternetMessageHeaders") + header_property("Message-ID"))
    assert [headers.text(f"t:{name}") for name in ("InternetMessageHeaders", "ExtendedProperty")] == [None, None]


def test_recipients_here_get_it_as_mail_of_a_colleague_without_the_blind_ones(server: MailServer, service: SoapClient) -> None:
    sent = server.send(a_draft(f"{CUSTOMER}, {ANNA}", headers=f"Bcc: {BEN}\r\n\t<{BEN}>\r\n"), ANNA, NOON)
    (own,) = server.items(ANNA)
    assert own != sent
    service.impersonating = BEN
    (blind,) = server.items(BEN)
    arrived = shown(service, blind)
    assert arrived.texts("t:Value") == ["Internal"]
    assert arrived.texts("t:BccRecipients") == []
    mime = service.get(blind, options="<t:IncludeMimeContent>true</t:IncludeMimeContent>").text("t:MimeContent") or ""
    assert BEN.encode() not in base64.b64decode(mime)
    service.impersonating = ANNA
    assert shown(service, sent).text("t:InternetMessageId") == arrived.text("t:InternetMessageId")


def test_what_the_draft_says_of_itself_stays(server: MailServer, anna: SoapClient) -> None:
    said = "From: Team <team@contoso.example>\r\nMessage-ID: <own@contoso.example>\r\nIn-Reply-To: <other@supplier.example>\r\n"
    copy = shown(anna, server.send(a_draft(CUSTOMER, headers=said), ANNA))
    assert copy.texts("t:From/t:Mailbox/t:EmailAddress") == ["team@contoso.example"]
    assert (copy.text("t:InternetMessageId"), copy.text("t:InReplyTo")) == ("<own@contoso.example>", "<other@supplier.example>")


def test_an_answer_names_what_it_answers(server: MailServer, anna: SoapClient) -> None:
    (first,) = server.deliver(
        a_message(message_id="<1@supplier.example>", headers="References: <0@supplier.example>\r\n"), [ANNA]
    )
    answer = server.send(a_draft(CUSTOMER, "Re: Offer"), ANNA, NOON, answers=first)
    copy = shown(anna, answer)
    assert copy.text("t:InReplyTo") == "<1@supplier.example>"
    assert copy.text("t:References") == "<0@supplier.example> <1@supplier.example>"
    original, answered = index(anna, first), index(anna, answer)
    assert answered.startswith(original)
    assert len(answered) == len(original) + 5
    assert anna.get(answer, properties=tag_property("0x71", "Binary")).text("t:Value") == copy.text("t:ConversationIndex")


def test_answers_to_an_answer_are_in_the_same_conversation(server: MailServer, anna: SoapClient) -> None:
    first = server.send(a_draft(BEN), ANNA, NOON)
    (at_bens,) = server.items(BEN)
    server.send(a_draft(ANNA, "Re: Offer"), BEN, NOON + timedelta(hours=1), answers=at_bens)
    (back,) = server.items(ANNA)
    assert shown(anna, back).text("t:InReplyTo") == shown(anna, first).text("t:InternetMessageId")
    assert index(anna, back)[:HEADER] == index(anna, first) != index(anna, server.send(a_draft(BEN), ANNA, NOON))


def test_nothing_is_sent_as_an_answer_to_what_is_not_there(server: MailServer) -> None:
    with pytest.raises(NoSuchItem):
        server.send(a_draft(BEN), ANNA, answers="nothing")
    assert server.items(ANNA, "sentitems") == server.items(BEN) == []


@pytest.mark.parametrize(
    ("later", "block"),
    [
        (timedelta(0), 0),
        (timedelta(seconds=-5), 0),
        (timedelta(hours=1), 3600 * 10_000_000 >> 18),
        (timedelta(days=1000), (1000 * 86400 * 10_000_000 >> 23) | 1 << 31),
    ],
)
def test_the_block_of_an_answer_tells_how_much_later_it_was_written(later: timedelta, block: int) -> None:
    """[MS-OXOMSG] 2.2.1.3.2: one bit for the scale, 31 bits of the distance."""
    begun = new_index(NOON)
    found = int.from_bytes(answer_index(begun, NOON + later)[HEADER:-1], "big")
    assert abs(found - block) <= 1, "the header keeps the time to 6.5 ms"


def test_the_time_is_in_the_header_of_a_conversation() -> None:
    ticks = int.from_bytes(new_index(NOON)[:6] + b"\0\0", "big")
    assert abs(datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks / 10) - NOON) < timedelta(milliseconds=7)


def test_a_message_without_recipients_here_leaves_only_the_copy(server: MailServer) -> None:
    sent = server.send(a_draft(CUSTOMER), ANNA)
    assert server.items(ANNA) == server.items(BEN) == []
    assert Message(server.store.mailbox(ANNA).item(sent).message.raw).subject == "Offer"


def test_whoever_is_not_here_comes_back_and_all_that_was_sent_is_known(server: MailServer) -> None:
    server.send(a_draft(f"{CUSTOMER}, nobody@contoso.example", headers=f"Bcc: {BEN}\r\n"), ANNA, NOON)
    (report,) = server.items(ANNA)
    assert server.store.mailbox(ANNA).item(report).item_class == "REPORT.IPM.Note.NDR"
    (accepted,) = server.accepted()
    assert (accepted.head, accepted.sender, accepted.username) == ("client", ANNA, ANNA)
    assert accepted.recipients == (CUSTOMER, "nobody@contoso.example", BEN)
    assert Message(accepted.octets).header("Bcc") is None
