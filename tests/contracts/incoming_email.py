"""The contract of `ports.IncomingEmail`. A connector's test module subclasses it and says how a mailbox is opened.

`ReadsAnyMailbox` needs nothing but a mailbox, so it also runs against live servers; `MailContract` needs a server that does
as it is told (`MailServed`); `IncomingEmailContract` is for servers that tell more than a message says (`Served`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Protocol

import pytest

from shared.domain.choices import Priority, SenderOrigin
from shared.domain.email import Address, ChangeKind, IncomingAttachment, IncomingMessage, ItemRef, ListedItem
from shared.domain.errors import ItemError, ItemGone, WatermarkExpired
from shared.domain.folders import INBOX
from shared.ports import IncomingEmail

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class MailServed(Protocol):
    """The server's side of one mailbox. Messages go by their Message-ID, without angle brackets."""

    def deliver(self, raw: bytes, received: datetime = NOON, *, internal: bool | None = False) -> None:
        """Transport leaves its trace on top of the message, and `internal` None leaves none."""
        ...

    def remove(self, message_id: str) -> None: ...


class Served(MailServed, Protocol):
    """Of a server that knows more of a message than is written in it."""

    def touch(self, message_id: str) -> None: ...

    def mark_read(self, message_id: str) -> None: ...

    def store_own_copy(self, raw: bytes) -> None: ...

    def store_draft(self, raw: bytes) -> None: ...

    def forget_watermarks(self) -> None: ...


def a_message(
    message_id: str = "one@fabrikam.example", *, text: str = "Hello Anna,\r\n\r\nsee you.\r\n", **headers: str
) -> EmailMessage:
    """A plain message; headers by name, with `_` for `-`; an empty value leaves one out."""
    message = EmailMessage()
    standard = {
        "From": "Bert Example <bert@fabrikam.example>",
        "To": "Anna Example <anna@contoso.example>",
        "Subject": "Offer",
        "Date": "Sun, 22 Nov 2026 11:59:00 +0000",
        "Message-ID": f"<{message_id}>",
    }
    for name, value in (standard | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value:
            message[name] = value
    message.set_content(text)
    return message


def everything(incoming: IncomingEmail, watermark: str | None = None, limit: int = 512) -> tuple[list[ListedItem], str]:
    """All changes after `watermark`, and the last watermark."""
    items: list[ListedItem] = []
    while True:
        page = incoming.changes(INBOX, watermark, limit)
        items.extend(page.items)
        watermark = page.watermark
        if not page.more:
            return items, watermark


def fetched(incoming: IncomingEmail, refs: Sequence[ItemRef] | None = None) -> list[IncomingMessage]:
    """The messages of the mailbox (or of `refs`), none of which may fail."""
    wanted = [item.ref for item in everything(incoming)[0]] if refs is None else refs
    outcomes = [outcome for _, outcome in incoming.fetch(wanted)]
    assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, IncomingMessage)]


def content(attachment: IncomingAttachment) -> bytes:
    return b"".join(attachment.chunks())


class ReadsAnyMailbox:
    """What holds for every mailbox, whatever is in it. Changes nothing."""

    @pytest.fixture
    def incoming(self) -> IncomingEmail:
        raise NotImplementedError

    def test_watches_at_least_one_folder(self, incoming: IncomingEmail) -> None:
        assert incoming.folders()

    def test_lists_each_item_once_over_small_pages(self, incoming: IncomingEmail) -> None:
        page = incoming.changes(INBOX, None, limit=3)
        assert len(page.items) <= 3
        following = incoming.changes(INBOX, page.watermark, limit=3)
        assert not {item.ref for item in page.items} & {item.ref for item in following.items}

    def test_a_watermark_that_the_server_never_gave_has_expired(self, incoming: IncomingEmail) -> None:
        with pytest.raises(WatermarkExpired):
            incoming.changes(INBOX, "bm9uc2Vuc2U=")

    def test_fetches_in_the_order_asked_for(self, incoming: IncomingEmail) -> None:
        refs = [item.ref for item in incoming.changes(INBOX, None, limit=5).items][::-1]
        assert [ref for ref, _ in incoming.fetch(refs)] == refs

    def test_the_raw_form_of_a_message_begins_with_its_headers(self, incoming: IncomingEmail) -> None:
        for item in incoming.changes(INBOX, None, limit=1).items:
            assert b":" in b"".join(incoming.raw(item.ref)).partition(b"\n")[0]


class MailContract(ReadsAnyMailbox):
    """What every server that does as it is told can show, whatever protocol it speaks."""

    @pytest.fixture
    def served(self) -> "MailServed":
        raise NotImplementedError

    # ---- listing

    def test_an_empty_mailbox_is_an_empty_page_with_a_watermark(self, incoming: IncomingEmail) -> None:
        page = incoming.changes(INBOX, None)
        assert (page.items, page.more) == ((), False)
        assert incoming.changes(INBOX, page.watermark).items == ()

    def test_the_first_listing_gives_everything_in_pages(self, incoming: IncomingEmail, served: MailServed) -> None:
        for number in range(25):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")))
        first = incoming.changes(INBOX, None, limit=10)
        assert (len(first.items), first.more) == (10, True)
        items, _ = everything(incoming, limit=10)
        assert sorted(item.message_id or "" for item in items) == sorted(f"{number}@fabrikam.example" for number in range(25))
        assert {item.kind for item in items} == {ChangeKind.CREATED}

    def test_a_watermark_in_the_middle_continues_there(self, incoming: IncomingEmail, served: MailServed) -> None:
        for number in range(6):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")))
        first = incoming.changes(INBOX, None, limit=4)
        rest, _ = everything(incoming, first.watermark)
        assert len({item.ref for item in (*first.items, *rest)}) == 6

    def test_afterwards_only_what_is_new_is_listed(self, incoming: IncomingEmail, served: MailServed) -> None:
        served.deliver(bytes(a_message("old@fabrikam.example")))
        _, watermark = everything(incoming)
        served.deliver(bytes(a_message("new@fabrikam.example")))
        items, watermark = everything(incoming, watermark)
        assert [item.message_id for item in items] == ["new@fabrikam.example"]
        assert everything(incoming, watermark)[0] == []

    def test_the_same_watermark_gives_the_same_page_again(self, incoming: IncomingEmail, served: MailServed) -> None:
        _, watermark = everything(incoming)
        served.deliver(bytes(a_message()))
        assert incoming.changes(INBOX, watermark).items == incoming.changes(INBOX, watermark).items != ()

    def test_a_listed_item_carries_what_decisions_need(self, incoming: IncomingEmail, served: MailServed) -> None:
        served.deliver(bytes(a_message("One@fabrikam.example", From='"Example, Bert" <Bert@Fabrikam.example>')), NOON)
        (item,), _ = everything(incoming)
        assert (item.message_id, item.sender, item.received) == ("One@fabrikam.example", "bert@fabrikam.example", NOON)
        assert (item.item_class, item.is_draft, item.is_own_copy) == ("IPM.Note", False, False)
        assert item.size > 0

    # ---- fetching

    def test_a_message_comes_with_all_its_fields(self, incoming: IncomingEmail, served: MailServed) -> None:
        message = a_message(
            "two@fabrikam.example",
            Cc="Carl <carl@contoso.example>, dora@contoso.example",
            In_Reply_To="<one@contoso.example>",
            References="<zero@contoso.example> <one@contoso.example>",
            Importance="high",
        )
        served.deliver(bytes(message), NOON)
        (got,) = fetched(incoming)
        assert (got.message_id, got.subject) == ("two@fabrikam.example", "Offer")
        assert (got.in_reply_to, got.references) == ("one@contoso.example", ("zero@contoso.example", "one@contoso.example"))
        assert got.sender == Address("bert@fabrikam.example", "Bert Example")
        assert got.to == (Address("anna@contoso.example", "Anna Example"),)
        assert [each.address for each in got.cc] == ["carl@contoso.example", "dora@contoso.example"]
        assert (got.received, got.sent) == (NOON, NOON - timedelta(minutes=1))
        assert got.priority is Priority.HIGH
        assert (got.body_text or "").split() == ["Hello", "Anna,", "see", "you."]
        assert got.body_html is None
        assert (got.attachments, got.reply_to) == ((), ())
        assert got.size > 0

    def test_where_answers_are_wanted_is_told(self, incoming: IncomingEmail, served: MailServed) -> None:
        wanted = "Łukasz <answers@fabrikam.example>, list@fabrikam.example"
        inner = a_message("inner@fabrikam.example", Reply_To=wanted)
        outer = a_message("outer@fabrikam.example", Reply_To=wanted)
        outer.add_attachment(inner)
        served.deliver(bytes(outer))
        (got,) = fetched(incoming)
        (attached,) = got.attachments
        assert attached.message is not None
        expected = (Address("answers@fabrikam.example", "Łukasz"), Address("list@fabrikam.example", "list@fabrikam.example"))
        assert (got.reply_to, attached.message().reply_to) == (expected, expected)

    def test_html_stays_html(self, incoming: IncomingEmail, served: MailServed) -> None:
        message = a_message(text="Hello")
        message.add_alternative("<p>Hello <b>Anna</b></p>", subtype="html")
        served.deliver(bytes(message))
        (got,) = fetched(incoming)
        assert "<b>Anna</b>" in (got.body_html or "")

    def test_every_alphabet_arrives_unharmed(self, incoming: IncomingEmail, served: MailServed) -> None:
        message = a_message(
            Subject="Angebot für 東京 🙂", From='"Ünal, Łukasz \\"Ł\\"" <lukasz@fabrikam.example>', text="Grüße, 東京 🙂\r\n"
        )
        served.deliver(bytes(message))
        (got,) = fetched(incoming)
        assert got.subject == "Angebot für 東京 🙂"
        assert got.sender == Address("lukasz@fabrikam.example", 'Ünal, Łukasz "Ł"')
        assert (got.body_text or "").strip() == "Grüße, 東京 🙂"

    def test_the_conversation_index_is_kept(self, incoming: IncomingEmail, served: MailServed) -> None:
        index = "AQHbPKJ0Yv9q0Xr5REmM3sQk1Wn4Lg=="
        served.deliver(bytes(a_message(Thread_Index=index)))
        assert [message.conversation_index for message in fetched(incoming)] == [index]

    def test_a_message_without_the_usual_headers_is_still_a_message(self, incoming: IncomingEmail, served: MailServed) -> None:
        served.deliver(b"Date: yesterday, or so\r\nX-Odd: 1\r\n\r\nHello\r\n", NOON)
        (got,) = fetched(incoming)
        assert (got.subject, got.sender, got.to, got.received) == ("", None, (), NOON)
        assert (got.body_text or "").strip() == "Hello"

    def test_a_long_list_of_recipients_is_complete(self, incoming: IncomingEmail, served: MailServed) -> None:
        addresses = [f"person{number}@contoso.example" for number in range(600)]
        served.deliver(bytes(a_message(To=", ".join(addresses))))
        assert [each.address for each in fetched(incoming)[0].to] == addresses

    def test_an_item_that_is_gone_is_told_in_its_place(self, incoming: IncomingEmail, served: MailServed) -> None:
        for name in ("a", "b", "c"):
            served.deliver(bytes(a_message(f"{name}@fabrikam.example")))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        served.remove("b@fabrikam.example")
        asked = [refs["a@fabrikam.example"], refs["b@fabrikam.example"], refs["c@fabrikam.example"]]
        outcomes = list(incoming.fetch(asked))
        assert [ref for ref, _ in outcomes] == asked
        assert [isinstance(outcome, ItemGone) for _, outcome in outcomes] == [False, True, False]

    def test_an_id_that_is_none_is_that_items_error(self, incoming: IncomingEmail, served: MailServed) -> None:
        served.deliver(bytes(a_message()))
        (item,), _ = everything(incoming)
        outcomes = [outcome for _, outcome in incoming.fetch([ItemRef("bm9uZQ==", INBOX.id), item.ref])]
        assert isinstance(outcomes[0], ItemError)
        assert isinstance(outcomes[1], IncomingMessage)

    # ---- attachments

    def test_attachments_arrive_byte_for_byte(self, incoming: IncomingEmail, served: MailServed) -> None:
        contents = {"a.bin": bytes(range(256)) * 40, "empty.txt": b"", "b.pdf": b"%PDF-1.7\n" + b"\x00\xff" * 300_000}
        message = a_message()
        for name, data in contents.items():
            message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        served.deliver(bytes(message))
        (got,) = fetched(incoming)
        assert {each.name: content(each) for each in got.attachments} == contents
        assert {each.name: content(each) for each in got.attachments} == contents, "a second reading gives the same"

    def test_inline_pictures_are_told_from_attachments(self, incoming: IncomingEmail, served: MailServed) -> None:
        message = a_message(text="Hello")
        message.add_alternative('<p>Hello <img src="cid:logo@fabrikam"></p>', subtype="html")
        html = message.get_payload(1)
        assert isinstance(html, EmailMessage)
        html.add_related(b"\x89PNG\r\n", "image", "png", cid="<logo@fabrikam>", filename="logo.png", disposition="inline")
        message.add_attachment(b"terms", maintype="text", subtype="plain", filename="Bedingungen für Ü.txt")
        served.deliver(bytes(message))
        (got,) = fetched(incoming)
        by_name = {each.name: each for each in got.attachments}
        assert (by_name["logo.png"].is_inline, by_name["logo.png"].content_id) == (True, "logo@fabrikam")
        assert by_name["logo.png"].content_type == "image/png"
        assert not by_name["Bedingungen für Ü.txt"].is_inline

    @pytest.mark.parametrize("padding", [0, 600_000], ids=["small", "large"])
    def test_an_attached_message_is_known_by_its_own_identity(
        self, incoming: IncomingEmail, served: MailServed, padding: int
    ) -> None:
        inner = a_message("inner@fabrikam.example", Subject="Inside", text="inside\r\n" * (1 + padding // 8))
        outer = a_message("outer@fabrikam.example")
        outer.add_attachment(inner)
        served.deliver(bytes(outer))
        (attached,) = fetched(incoming)[0].attachments
        assert (attached.is_message, attached.identity) == (True, "inner@fabrikam.example")
        assert attached.content_type == "message/rfc822"
        assert b"Subject: Inside" in content(attached)

    def test_an_attached_message_without_an_id_is_known_by_sender_date_and_subject(
        self, incoming: IncomingEmail, served: MailServed
    ) -> None:
        inner = a_message(Subject="Inside", Message_ID="")
        for name in ("outer@fabrikam.example", "other@fabrikam.example"):
            outer = a_message(name)
            outer.add_attachment(inner)
            served.deliver(bytes(outer))
        identities = {attached.identity or "" for message in fetched(incoming) for attached in message.attachments}
        assert len(identities) == 1
        assert "Inside" in identities.pop()

    @pytest.mark.slow
    def test_a_large_attachment_arrives_byte_for_byte(self, incoming: IncomingEmail, served: MailServed) -> None:
        data = b"0123456789abcde\n" * (20 << 16)
        message = a_message()
        message.add_attachment(data, maintype="application", subtype="zip", filename="large.zip")
        served.deliver(bytes(message))
        (attachment,) = fetched(incoming)[0].attachments
        chunks = list(attachment.chunks())
        assert b"".join(chunks) == data
        assert max(len(chunk) for chunk in chunks) <= 1 << 20

    # ---- the raw form, discarding

    def test_the_raw_form_is_what_was_delivered(self, incoming: IncomingEmail, served: MailServed) -> None:
        raw = bytes(a_message(text="Grüße\r\n")).replace(b"\n", b"\r\n")
        served.deliver(raw)
        (item,), _ = everything(incoming)
        assert b"".join(incoming.raw(item.ref)).endswith(raw)

    def test_the_raw_form_of_what_is_gone_is_an_item_error(self, incoming: IncomingEmail, served: MailServed) -> None:
        served.deliver(bytes(a_message()))
        (item,), _ = everything(incoming)
        served.remove("one@fabrikam.example")
        with pytest.raises(ItemGone):
            list(incoming.raw(item.ref))

    def test_discarding_removes_the_item_and_may_be_repeated(self, incoming: IncomingEmail, served: MailServed) -> None:
        for name in ("one@fabrikam.example", "two@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        assert incoming.discard([refs["one@fabrikam.example"]]) == {}
        assert incoming.discard([refs["one@fabrikam.example"]]) == {}
        assert [item.ref for item in everything(incoming)[0]] == [refs["two@fabrikam.example"]]


class IncomingEmailContract(MailContract):
    @pytest.fixture
    def served(self) -> Served:
        raise NotImplementedError

    def test_updates_read_flags_and_deletions_are_told_apart(self, incoming: IncomingEmail, served: Served) -> None:
        for name in ("changed", "read", "removed"):
            served.deliver(bytes(a_message(f"{name}@fabrikam.example")))
        items, watermark = everything(incoming)
        refs = {item.message_id: item.ref for item in items}
        served.touch("changed@fabrikam.example")
        served.mark_read("read@fabrikam.example")
        served.remove("removed@fabrikam.example")
        changes, _ = everything(incoming, watermark)
        assert {(item.ref, item.kind) for item in changes} == {
            (refs["changed@fabrikam.example"], ChangeKind.UPDATED),
            (refs["read@fabrikam.example"], ChangeKind.READ_FLAG),
            (refs["removed@fabrikam.example"], ChangeKind.DELETED),
        }

    def test_drafts_and_own_copies_are_marked(self, incoming: IncomingEmail, served: Served) -> None:
        served.store_draft(bytes(a_message("draft@contoso.example", From="anna@contoso.example")))
        served.store_own_copy(bytes(a_message("copy@contoso.example", From="anna@contoso.example")))
        items = {item.message_id: item for item in everything(incoming)[0]}
        assert items["draft@contoso.example"].is_draft
        assert items["copy@contoso.example"].is_own_copy
        assert not items["copy@contoso.example"].is_draft

    @pytest.mark.parametrize(
        ("internal", "origin"),
        [(True, SenderOrigin.INTERNAL), (False, SenderOrigin.EXTERNAL), (None, SenderOrigin.UNKNOWN)],
    )
    def test_the_server_vouches_for_its_own_senders_only(
        self, incoming: IncomingEmail, served: Served, internal: bool | None, origin: SenderOrigin
    ) -> None:
        forged = a_message(From="carl@contoso.example", X_MS_Exchange_Organization_AuthAs="")
        served.deliver(bytes(forged), internal=internal)
        items, _ = everything(incoming)
        assert [item.sender_origin for item in items] == [origin]
        assert [message.sender_origin for message in fetched(incoming)] == [origin]

    def test_a_watermark_that_the_server_forgot_has_expired(self, incoming: IncomingEmail, served: Served) -> None:
        served.deliver(bytes(a_message()))
        _, watermark = everything(incoming)
        served.forget_watermarks()
        with pytest.raises(WatermarkExpired):
            incoming.changes(INBOX, watermark)
        assert len(everything(incoming)[0]) == 1

    def test_html_comes_without_a_text_beside_it(self, incoming: IncomingEmail, served: Served) -> None:
        message = a_message(text="Hello")
        message.add_alternative("<p>Hello <b>Anna</b></p>", subtype="html")
        served.deliver(bytes(message))
        assert [got.body_text for got in fetched(incoming)] == [None]

    def test_what_was_discarded_is_listed_as_deleted(self, incoming: IncomingEmail, served: Served) -> None:
        served.deliver(bytes(a_message()))
        (item,), watermark = everything(incoming)
        incoming.discard([item.ref])
        assert [(each.ref, each.kind) for each in everything(incoming, watermark)[0]] == [(item.ref, ChangeKind.DELETED)]
