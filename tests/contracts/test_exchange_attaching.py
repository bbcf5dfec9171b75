"""Attachments of emails that Exchange sends: along with the draft where they are small, streamed to it where they are not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import Mock

import pytest
from exchangelib.version import Version
from lxml import etree

from local.mailserver import web
from local.mailserver.ews import creating
from local.mailserver.ews.drafts import Draft as DescribedDraft
from local.mailserver.ews.drafts import draft_of
from local.mailserver.ews.endpoint import EwsEndpoint
from local.mailserver.ews.envelope import NAMES
from local.mailserver.message import Address
from shared.connectors.connect import Connect
from shared.connectors.exchange.outgoing import ALONG, ExchangeOutgoing
from shared.domain.choices import AuthenticationProtocol
from shared.domain.errors import (
    AttachmentLost,
    AuthenticationFailed,
    Busy,
    DeliveryError,
    DeliveryPostponed,
    DeliveryRefused,
    EmailTooLarge,
    Throttled,
    TransientError,
    Unreachable,
)
from shared.domain.outgoing import OutgoingAttachment, Receipt
from tests.contracts.exchange_mailboxes import SERVICE, ServedByExchange, Symptoms, a_profile, failure
from tests.contracts.exchange_outgoing import Outbound, opened
from tests.contracts.incoming_email import content
from tests.contracts.test_exchange_tokens import APPLICATION, APPLICATION_SECRET, an_application_profile
from tests.unit.connectors.outgoing_messages import an_attachment

SMALL = an_attachment(b"\x00\xff terms", "Größe & <terms>.pdf")
PICTURE = an_attachment(b"\x89PNG", "logo.png", "image/png", content_id="logo@contoso.example", is_inline=True)
LARGE = an_attachment(bytes(range(256)) * (ALONG // 256) + b"and more", "large.bin", "application/octet-stream")
HTML = '<p><img src="cid:logo@contoso.example"></p>'


@pytest.fixture
def outbound(connect: Connect, served: ServedByExchange) -> Iterator[Outbound]:
    with opened(connect, served, a_profile(served.server.ews_url)) as found:
        yield found


def arrived(outbound: Outbound) -> list[tuple[str, str, str | None, bool, bytes]]:
    return [
        (each.name, each.content_type, each.content_id, each.is_inline, content(each))
        for each in outbound.arrived().attachments
    ]


def given(*attachments: OutgoingAttachment) -> list[tuple[str, str, str | None, bool, bytes]]:
    return [(each.name, each.content_type, each.content_id, each.is_inline, b"".join(each.chunks())) for each in attachments]


# ---- what arrives


def test_small_attachments_and_pictures_of_the_body_go_along(outbound: Outbound) -> None:
    empty = an_attachment(b"", "empty.txt", "text/plain")
    outbound.send(outbound.message(body_html=HTML, attachments=(PICTURE, SMALL, empty)))
    assert outbound.asked() == ["CreateItem", "SendItem"]
    assert sorted(arrived(outbound)) == sorted(given(PICTURE, SMALL, empty))
    assert (outbound.arrived().body_html or "").strip() == HTML


def test_what_is_large_and_what_comes_behind_it_follows_in_order(outbound: Outbound) -> None:
    outbound.send(outbound.message(attachments=(SMALL, LARGE, replace(SMALL, name="last.pdf"))))
    assert outbound.asked() == ["CreateItem", "CreateAttachment", "CreateAttachment", "SendItem"]
    assert arrived(outbound) == given(SMALL, LARGE, replace(SMALL, name="last.pdf"))


def test_many_small_ones_go_along_as_far_as_they_are_small_together(outbound: Outbound) -> None:
    files = tuple(an_attachment(bytes(20_000), f"{number}.bin", "application/x-thing") for number in range(60))
    outbound.send(outbound.message(attachments=files))
    assert outbound.asked().count("CreateAttachment") == 60 - ALONG // 20_000
    assert arrived(outbound) == given(*files)


def test_each_email_of_a_request_gets_its_own(outbound: Outbound) -> None:
    messages = [
        replace(each, attachments=(an_attachment(each.key.encode()), *((LARGE,) if number % 2 else ())))
        for number, each in enumerate(outbound.messages(4))
    ]
    outbound.send(*messages)
    assert outbound.asked() == ["CreateItem", "CreateAttachment", "CreateAttachment", "SendItem"]
    for message in messages:
        (taken,) = outbound.served.server.accepted(f"<{message.message_id}>")
        assert (LARGE.name.encode() in bytes(taken.octets[:])) is (LARGE in message.attachments)


def test_an_older_server_gets_all_of_them_afterwards(outbound: Outbound) -> None:
    assert isinstance(outbound.drafting, ExchangeOutgoing)
    outbound.drafting._session.version = Version(build=None, api_version="Exchange2010_SP2")
    outbound.send(outbound.message(body_html=HTML, attachments=(PICTURE, SMALL)))
    assert outbound.asked() == ["CreateItem", "CreateAttachment", "CreateAttachment", "SendItem"]
    assert sorted(arrived(outbound)) == sorted(given(PICTURE, SMALL))


def test_a_server_that_leaves_out_what_went_along_gets_it_afterwards(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_attachments(element: etree._Element, owner: Address) -> DescribedDraft:
        for attachments in element.iterfind("t:Attachments", NAMES):
            element.remove(attachments)
        return draft_of(element, owner)

    monkeypatch.setattr(creating, "draft_of", without_attachments)
    bare, full = outbound.message("k1"), outbound.message("k2", attachments=(SMALL, PICTURE))
    drafts = outbound.prepared([bare, full])
    assert outbound.drafts == 2
    assert outbound.drafting.submit(drafts, save_copy=True) == [Receipt(), Receipt()]
    (taken,) = outbound.served.server.accepted("<k2@contoso.example>")
    assert all(name in bytes(taken.octets[:]) for name in (b"logo.png", b"application/pdf"))


# ---- signing in while a body is on its way


@pytest.mark.parametrize("authentication", [AuthenticationProtocol.NTLM, AuthenticationProtocol.NEGOTIATE])
def test_a_connection_that_has_to_sign_in_first_does_so_before_the_content_is_sent(
    connect: Connect, served: ServedByExchange, authentication: AuthenticationProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Mock(side_effect=LARGE.chunks)
    with opened(connect, served, a_profile(served.server.ews_url, authentication=authentication)) as outbound:
        before_each_upload(monkeypatch, connect._pools().close)
        outbound.send(outbound.message(attachments=(replace(LARGE, chunks=reading),)))
        assert served.server.requests.count("CreateAttachment") == reading.call_count == 1
        assert arrived(outbound) == given(LARGE)


@pytest.mark.parametrize("authentication", [AuthenticationProtocol.NTLM, AuthenticationProtocol.BASIC])
def test_a_password_that_is_refused_meanwhile_is_no_emails_error(
    connect: Connect, served: ServedByExchange, authentication: AuthenticationProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(connect, served, a_profile(served.server.ews_url, authentication=authentication)) as outbound:

        def change_password() -> None:
            connect._pools().close()
            served.server.add_account(SERVICE, "another", impersonation=True)

        before_each_upload(monkeypatch, change_password)
        error = failure(lambda: outbound.drafting.prepare([outbound.message(attachments=(LARGE,))]))
        assert isinstance(error, AuthenticationFailed)


@pytest.mark.usefixtures("trusting")
def test_a_token_that_is_refused_meanwhile_is_replaced_and_the_content_sent_again(
    connect: Connect, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.server.add_application(APPLICATION, APPLICATION_SECRET)
    with opened(connect, served, an_application_profile(served.server)) as outbound:
        refuse_once: Symptoms = {"operation": "CreateAttachment", "count": 1}
        before_each_upload(monkeypatch, lambda: outbound.fault("unauthorized", **refuse_once))
        outbound.send(outbound.message(attachments=(LARGE,)))
        assert served.server.requests.count("Token") == 2
        assert arrived(outbound) == given(LARGE)


def before_each_upload(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    from shared.connectors.exchange.drafts import Draft
    from shared.connectors.exchange.uploading import CreateAttachment

    attach = CreateAttachment.attach

    def acting(uploads: CreateAttachment, draft: Draft, attachment: OutgoingAttachment) -> Draft:
        act()
        return attach(uploads, draft, attachment)

    monkeypatch.setattr(CreateAttachment, "attach", acting)


# ---- what goes wrong


def lost() -> Iterator[bytes]:
    yield b"half"
    raise KeyError("blob")


def unavailable() -> Iterator[bytes]:
    yield b"half"
    raise Busy("the store is busy")


BAD = {
    "gone": (lambda file: replace(file, chunks=lost), AttachmentLost),
    "shorter": (lambda file: replace(file, size=file.size + 1), AttachmentLost),
    "longer": (lambda file: replace(file, size=file.size - 1), AttachmentLost),
}


@pytest.mark.parametrize("file", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("spoil", "expected"), BAD.values(), ids=BAD)
def test_content_that_is_not_there_is_that_emails_error(
    outbound: Outbound,
    file: OutgoingAttachment,
    spoil: Callable[[OutgoingAttachment], OutgoingAttachment],
    expected: type[DeliveryError],
) -> None:
    bad = outbound.message("bad", attachments=(SMALL, spoil(file)))
    outcomes = outbound.drafting.prepare([outbound.message("k1"), bad, outbound.message("k2", attachments=(LARGE,))])
    assert [type(outcome) for outcome in outcomes] == [str, expected, str]
    assert outbound.drafts == 2, "nothing is left of what cannot be sent"
    outbound.drafting.submit([each for each in outcomes if isinstance(each, str)], save_copy=False)
    assert outbound.accepted() == ["k1@contoso.example", "k2@contoso.example"]


def test_a_store_that_cannot_be_read_now_costs_the_others_nothing(outbound: Outbound) -> None:
    bad = outbound.message("bad", attachments=(replace(LARGE, chunks=unavailable),))
    postponed, draft = outbound.drafting.prepare([bad, outbound.message("k1")])
    assert type(postponed) is DeliveryPostponed
    assert isinstance(draft, str)


def test_an_email_that_is_too_large_says_so_and_leaves_no_draft(outbound: Outbound) -> None:
    outbound.served.server.set_limits(largest_message=1 << 20)
    files = (replace(LARGE, name="1.bin"), replace(LARGE, name="2.bin"))
    outcome, draft = outbound.drafting.prepare([outbound.message("bad", attachments=files), outbound.message("k1")])
    assert isinstance(outcome, EmailTooLarge)
    assert isinstance(draft, str)
    assert outbound.drafts == 1


@pytest.mark.parametrize(
    ("status", "expected"), [(413, EmailTooLarge), (404, EmailTooLarge), (400, DeliveryRefused), (500, DeliveryPostponed)]
)
def test_what_the_web_server_refuses_to_read_is_that_emails_error(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, status: int, expected: type[DeliveryError]
) -> None:
    answer_uploads(monkeypatch, status)
    outcome, draft = outbound.drafting.prepare([outbound.message("bad", attachments=(LARGE,)), outbound.message("k1")])
    assert type(outcome) is expected
    assert isinstance(draft, str)
    assert outbound.drafts == 1


def answer_uploads(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    handle = EwsEndpoint.handle

    def refusing(endpoint: EwsEndpoint, request: web.Request) -> web.Reply:
        return web.Reply(status) if b"<m:CreateAttachment" in request.body else handle(endpoint, request)

    monkeypatch.setattr(EwsEndpoint, "handle", refusing)


@pytest.mark.parametrize("kind", ["connection_reset", "reply_lost", "truncated_reply", "nonsense_reply"])
def test_an_upload_that_breaks_off_while_the_server_answers_otherwise_is_tried_again_later(
    outbound: Outbound, kind: str
) -> None:
    outbound.fault(kind, operation="CreateAttachment", count=1)
    messages = [outbound.message("bad", attachments=(LARGE,)), outbound.message("k1", attachments=(LARGE,))]
    postponed, draft = outbound.drafting.prepare(messages)
    assert isinstance(postponed, DeliveryError)
    assert isinstance(draft, str)
    assert outbound.drafts == 1


def test_an_upload_to_a_server_that_is_down_is_no_emails_error(outbound: Outbound) -> None:
    outbound.fault("connection_reset", operation="CreateAttachment")
    outbound.fault("connection_reset", operation="GetFolder")
    error = failure(lambda: outbound.drafting.prepare([outbound.message(attachments=(LARGE,))]))
    assert isinstance(error, Unreachable)
    outbound.clear()
    outbound.drafting.withdraw(["k1"])
    assert outbound.drafts == 0


@pytest.mark.parametrize(
    ("kind", "expected"), [("server_busy", Throttled), ("too_many_requests", Throttled), ("unavailable", TransientError)]
)
def test_a_server_that_asks_to_slow_down_while_attaching_is_obeyed(
    outbound: Outbound, kind: str, expected: type[TransientError]
) -> None:
    outbound.fault(kind, operation="CreateAttachment", seconds=90)
    error = failure(lambda: outbound.drafting.prepare([outbound.message(attachments=(LARGE,))]))
    assert isinstance(error, expected)
    assert error.retry_after is not None


def test_a_draft_that_somebody_removes_meanwhile_counts_as_not_sent(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, address = outbound.served.server, outbound.served.address
    before_each_upload(monkeypatch, lambda: server.remove(address, server.items(address, "drafts")[0]))
    (outcome,) = outbound.drafting.prepare([outbound.message(attachments=(LARGE,))])
    assert type(outcome) is DeliveryPostponed
