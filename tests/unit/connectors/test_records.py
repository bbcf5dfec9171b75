"""What Exchange writes, and what becomes of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from shared.connectors.connect import Connect
from shared.connectors.exchange.records import Fetched
from shared.connectors.exchange.services import GetItem, SyncFolderItems
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.values import number_of, time_of
from shared.connectors.exchange.xml import MalformedReply
from shared.connectors.message_ids import message_ids
from shared.domain.choices import Priority, SenderOrigin
from shared.domain.email import Address, ChangeKind, ItemRef, ListedItem, Page
from shared.domain.errors import AccessDenied, ItemUnreadable, SyncError, Throttled
from shared.domain.folders import INBOX
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile
from tests.unit.connectors.replies import AUTH_AS, EX_MAILBOX, SMTP_ADDRESS, a_page, an_item_error, assert_valid, items

REF = ItemRef("AAMk", INBOX.id)
ITEM_ID = '<t:ItemId Id="AAMk" ChangeKey="CQ=="/>'
RECEIVED = "<t:DateTimeReceived>2026-11-22T12:00:00Z</t:DateTimeReceived>"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass
class Reading:
    session: Session
    checked: list[bytes] = field(default_factory=list)

    def page(self, changes: str, watermark: str | None = None, **how: str) -> Page:
        operation = SyncFolderItems(self.session)
        reply = a_page(changes, **how)
        return operation.read(operation.messages(reply), INBOX, watermark)

    def listed(self, fields: str, element: str = "Message") -> ListedItem:
        changes = f"<t:Create><t:{element}>{fields}</t:{element}></t:Create>"
        assert_valid(a_page(changes))
        return self.page(changes).items[0]

    def outcome(self, reply: bytes) -> Fetched | SyncError:
        operation = GetItem(self.session)
        return operation.read(operation.messages(reply), [REF])[0]

    def fetched(self, fields: str) -> Fetched:
        outcome = self.outcome(items(f"<t:Message>{fields}</t:Message>"))
        assert isinstance(outcome, Fetched), outcome
        return outcome


@pytest.fixture(scope="module")
def reading() -> Iterator[Reading]:
    connect = Connect(KnownSecrets(), allow_local_servers=False)
    profile = a_profile("https://mail.contoso.example/EWS/Exchange.asmx")
    yield Reading(connect._pools().session(profile, a_mailbox("anna@contoso.example")))
    connect.close()


# ---- pages


def test_a_listed_message_has_its_columns(reading: Reading) -> None:
    item = reading.listed(
        f"{ITEM_ID}<t:ItemClass>IPM.Note</t:ItemClass>{RECEIVED}<t:Size>2048</t:Size><t:IsDraft>false</t:IsDraft>"
        f"<t:IsFromMe>false</t:IsFromMe>{AUTH_AS.format('Anonymous')}"
        "<t:From><t:Mailbox><t:Name>Bert</t:Name><t:EmailAddress>Bert@Fabrikam.example</t:EmailAddress>"
        "<t:RoutingType>SMTP</t:RoutingType></t:Mailbox></t:From>"
        "<t:InternetMessageId>&lt;One@fabrikam.example&gt;</t:InternetMessageId>"
    )
    assert item == ListedItem(
        REF,
        ChangeKind.CREATED,
        message_id="One@fabrikam.example",
        sender="bert@fabrikam.example",
        sender_origin=SenderOrigin.EXTERNAL,
        received=NOON,
        size=2048,
    )


def test_columns_that_are_missing_or_broken_are_left_out(reading: Reading) -> None:
    page = reading.page(
        f"<t:Create><t:Message>{ITEM_ID}<t:DateTimeReceived>yesterday</t:DateTimeReceived><t:Size>large</t:Size>"
        "<t:From/><t:InternetMessageId/></t:Message></t:Create>"
    )
    assert page.items == (ListedItem(REF, ChangeKind.CREATED),)


@pytest.mark.parametrize(
    ("element", "item_class"),
    [
        ("MeetingRequest", "IPM.Schedule.Meeting.Request"),
        ("MeetingCancellation", "IPM.Schedule.Meeting.Canceled"),
        ("Contact", "IPM.Contact"),
        ("PostItem", "IPM.Post"),
        ("Item", "IPM.Note"),
    ],
)
def test_the_element_tells_the_class_where_the_column_is_missing(reading: Reading, element: str, item_class: str) -> None:
    assert reading.listed(ITEM_ID, element).item_class == item_class


def test_an_x500_sender_is_resolved_by_the_items_own_smtp_address(reading: Reading) -> None:
    smtp = SMTP_ADDRESS.format("0x5d02", "Carl@contoso.example")
    assert reading.listed(f"{ITEM_ID}{smtp}<t:From>{EX_MAILBOX}</t:From>").sender == "carl@contoso.example"
    assert reading.listed(f"{ITEM_ID}<t:From>{EX_MAILBOX}</t:From>").sender == "/o=contoso/ou=first/cn=recipients/cn=carl"


@pytest.mark.parametrize(
    ("auth_as", "is_own_copy"), [("", True), (AUTH_AS.format("Internal"), False), (AUTH_AS.format("Anonymous"), False)]
)
def test_only_what_never_went_through_transport_is_an_own_copy(reading: Reading, auth_as: str, is_own_copy: bool) -> None:
    item = reading.listed(f"{ITEM_ID}<t:IsDraft>false</t:IsDraft><t:IsFromMe>true</t:IsFromMe>{auth_as}")
    assert item.is_own_copy is is_own_copy


def test_deletions_and_read_flags_are_known_by_their_id(reading: Reading) -> None:
    changes = f"<t:Delete>{ITEM_ID}</t:Delete><t:ReadFlagChange>{ITEM_ID}<t:IsRead>true</t:IsRead></t:ReadFlagChange>"
    assert_valid(a_page(changes))
    assert reading.page(changes).items == (ListedItem(REF, ChangeKind.DELETED), ListedItem(REF, ChangeKind.READ_FLAG))


@pytest.mark.parametrize(
    ("last", "changes", "state", "more"),
    [
        ("true", "", "new", False),
        ("false", f"<t:Delete>{ITEM_ID}</t:Delete>", "new", True),
        ("false", "", "new", True),
        ("false", "", "old", False),
    ],
)
def test_there_is_more_as_long_as_something_moves(reading: Reading, last: str, changes: str, state: str, more: bool) -> None:
    page = reading.page(changes, "old", state=state, last=last)
    assert (page.watermark, page.more) == (state, more)


@pytest.mark.parametrize("changes", ["<t:Create><t:Message/></t:Create>", "<t:Delete/>", "<t:Surprise/>"])
def test_an_item_without_an_id_is_no_reply_at_all(reading: Reading, changes: str) -> None:
    with pytest.raises(MalformedReply):
        reading.page(changes)


# ---- messages


def test_a_message_has_its_fields(reading: Reading) -> None:
    message = reading.fetched(
        f"{ITEM_ID}<t:Subject>Offer</t:Subject><t:Body BodyType='HTML'>&lt;p&gt;Hello&lt;/p&gt;</t:Body>{RECEIVED}"
        "<t:Size>99</t:Size><t:Importance>Low</t:Importance><t:InReplyTo>&lt;a@b&gt; (Anna)</t:InReplyTo>"
        "<t:DateTimeSent>2026-11-22T12:59:00+01:00</t:DateTimeSent><t:CcRecipients/>"
        f"<t:ToRecipients>{EX_MAILBOX}<t:Mailbox><t:Name>undisclosed</t:Name></t:Mailbox><t:Mailbox/></t:ToRecipients>"
        "<t:ConversationIndex>AQ==</t:ConversationIndex><t:References>&lt;a@b&gt;&lt;c@d&gt;</t:References>"
    ).message
    assert (message.subject, message.body_html, message.body_text) == ("Offer", "<p>Hello</p>", None)
    assert (message.received, message.sent) == (NOON, NOON - timedelta(minutes=1))
    assert (message.in_reply_to, message.references) == ("a@b", ("a@b", "c@d"))
    assert (message.priority, message.size, message.conversation_index) == (Priority.LOW, 99, "AQ==")
    assert message.to == (Address("/O=CONTOSO/OU=FIRST/CN=RECIPIENTS/CN=CARL", "Carl"), Address("undisclosed", "undisclosed"))
    assert (message.sender, message.cc, message.message_id) == (None, (), None)


def test_the_sender_stands_in_for_a_missing_from(reading: Reading) -> None:
    smtp = SMTP_ADDRESS.format("0x5D01", "carl@contoso.example")
    message = reading.fetched(f"{ITEM_ID}{RECEIVED}{smtp}<t:Sender>{EX_MAILBOX}</t:Sender><t:From/>").message
    assert message.sender == Address("carl@contoso.example", "Carl")


def test_an_unknown_time_of_receipt_is_the_time_of_sending(reading: Reading) -> None:
    sent = "<t:DateTimeSent>2026-11-22T12:00:00Z</t:DateTimeSent>"
    assert reading.fetched(f"{ITEM_ID}<t:DateTimeReceived>0</t:DateTimeReceived>{sent}").message.received == NOON


@pytest.mark.parametrize(
    "fields",
    [
        "",
        f"{RECEIVED}<t:Attachments><t:FileAttachment><t:Name>a</t:Name></t:FileAttachment></t:Attachments>",
        f"{RECEIVED}<t:ExtendedProperty/>",
        f"{RECEIVED}{SMTP_ADDRESS.format('sender', 'x')}",
    ],
)
def test_what_breaks_the_schema_makes_that_item_unreadable(reading: Reading, fields: str) -> None:
    outcome = reading.outcome(items(f"<t:Message>{ITEM_ID}{fields}</t:Message>"))
    assert isinstance(outcome, ItemUnreadable)


def test_a_success_without_an_item_is_that_items_error(reading: Reading) -> None:
    assert isinstance(reading.outcome(items("")), ItemUnreadable)


def test_attachments_are_described(reading: Reading) -> None:
    entries = reading.fetched(
        f"{ITEM_ID}{RECEIVED}<t:Attachments><t:FileAttachment><t:AttachmentId Id='A1'/><t:Name>a.png</t:Name>"
        "<t:ContentType>image/png</t:ContentType><t:ContentId>&lt;logo@x&gt;</t:ContentId><t:Size>7</t:Size>"
        "<t:IsInline>true</t:IsInline></t:FileAttachment><t:ReferenceAttachment><t:AttachmentId Id='A2'/><t:Name>b</t:Name>"
        "<t:AttachLongPathName>https://files.example/b</t:AttachLongPathName></t:ReferenceAttachment></t:Attachments>"
    ).attachments
    assert [(entry.id, entry.tag, entry.name, entry.size) for entry in entries] == [
        ("A1", "FileAttachment", "a.png", 7),
        ("A2", "ReferenceAttachment", "b", 0),
    ]
    assert (entries[0].content_id, entries[0].is_inline, entries[1].location) == ("logo@x", True, "https://files.example/b")


# ---- errors


def test_the_back_off_of_one_item_becomes_the_wait(reading: Reading) -> None:
    details = '<m:MessageXml><t:Value Name="BackOffMilliseconds">4500</t:Value></m:MessageXml>'
    assert_valid(an_item_error("ErrorServerBusy", "busy", details))
    outcome = reading.outcome(an_item_error("ErrorServerBusy", "busy", details))
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after == timedelta(seconds=4.5)
    assert outcome.__cause__ is not None


def test_an_inner_error_tells_more_than_the_outer_one(reading: Reading) -> None:
    details = '<m:MessageXml><t:Value Name="InnerErrorResponseCode">ErrorAccessDenied</t:Value></m:MessageXml>'
    assert isinstance(reading.outcome(an_item_error("ErrorInternalServerError", "x", details)), AccessDenied)


# ---- single values


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T12:00:00", NOON),
        ("2026-11-22T12:00:00.5000000Z", NOON + timedelta(seconds=0.5)),
        ("2026-11-22T14:00:00+02:00", NOON),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-13-22T12:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_aware_utc_or_none(text: str | None, moment: datetime | None) -> None:
    assert time_of(text) == moment


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("-1", 0), ("1e3", 0), ("", 0), (None, 0)])
def test_sizes_are_never_negative(text: str | None, number: int) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("<a@b> <c@d>", ("a@b", "c@d")),
        ("<a@b>\r\n\t<c@d>", ("a@b", "c@d")),
        ("a@b c@d", ("a@b", "c@d")),
        ('Message of "Monday" <a@b>', ("a@b",)),
        ("<>", ()),
        ("< >", ()),
        (None, ()),
    ],
)
def test_message_ids_are_normalised(text: str | None, ids: tuple[str, ...]) -> None:
    assert message_ids(text) == ids


def test_references_without_end_are_bounded() -> None:
    assert len(message_ids("<a@b>" * 5000)) == 1000
