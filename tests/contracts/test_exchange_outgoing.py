"""`ExchangeOutgoing` fulfils `ports.Drafting`: what arrives of an email, and what is known of a draft."""

from dataclasses import replace
from os import environ

import pytest

from shared.connectors.connect import Connect
from shared.domain.choices import AuthenticationProtocol, Priority
from shared.domain.email import Address
from shared.domain.errors import DelegateAccessMissing, DraftGone, SendAsDenied
from shared.domain.outgoing import Receipt
from shared.ports import Drafting
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    SERVICE,
    KnownSecrets,
    ServedByExchange,
    a_mailbox,
    a_new_mailbox,
    a_profile,
    failure,
)
from tests.contracts.exchange_outgoing import Outbound, opened
from tests.unit.connectors.exchange_messages import INDEX, ODD
from tests.unit.connectors.outgoing_messages import a_message, an_attachment

# ---- what arrives


def test_ten_emails_are_two_requests_and_arrive_in_order(outbound: Outbound) -> None:
    messages = outbound.messages(10)
    outbound.send(*messages)
    assert outbound.asked() == ["CreateItem", "SendItem"]
    assert outbound.accepted() == [message.message_id for message in messages]
    assert (outbound.drafts, outbound.copies) == (0, 10)


def test_an_email_arrives_with_all_that_it_has(outbound: Outbound) -> None:
    message = outbound.message(
        subject="Größe <&> 東京",
        body_html="<p>Zoë &amp; <b>Bert</b></p>",
        to=(Address("bert@fabrikam.example", "Bert Böhm"), Address("carl@fabrikam.example")),
        cc=(Address("dora@fabrikam.example", "Dora, D."),),
        in_reply_to="two@fabrikam.example",
        references=("one@fabrikam.example", "two@fabrikam.example"),
        conversation_index=INDEX,
        priority=Priority.HIGH,
        read_receipt=True,
        delivery_receipt=True,
    )
    outbound.send(message)
    arrived = outbound.arrived()
    assert arrived.message_id == message.message_id
    assert arrived.subject == message.subject
    assert (arrived.body_html or "").strip() == message.body_html
    assert arrived.sender is not None
    assert arrived.sender.address == message.from_.address, "its name is the one that the directory has"
    assert [each.address for each in arrived.to] == [each.address for each in message.to]
    assert (arrived.to[0], arrived.cc) == (message.to[0], message.cc)
    assert (arrived.in_reply_to, arrived.references) == (message.in_reply_to, message.references)
    assert (arrived.conversation_index, arrived.priority) == (INDEX, Priority.HIGH)
    (taken,) = outbound.served.server.accepted()
    asked = bytes(taken.octets[:]).lower()
    assert b"disposition-notification-to" in asked
    assert b"return-receipt-to" in asked


def test_text_alone_arrives_as_text(outbound: Outbound) -> None:
    outbound.send(outbound.message(body_html=None, body_text="Dear Bert\r\n  as agreed\r\n"))
    arrived = outbound.arrived()
    assert not arrived.body_html
    assert (arrived.body_text or "").split() == ["Dear", "Bert", "as", "agreed"]


def test_a_domain_beyond_ascii_is_written_as_dns_has_it(outbound: Outbound) -> None:
    outbound.send(outbound.message(to=(Address("info@bücher.example", "Bücher"),)))
    (taken,) = outbound.served.server.accepted()
    assert taken.recipients == ("info@xn--bcher-kva.example",)


def test_blind_recipients_get_it_and_nobody_reads_of_them(outbound: Outbound) -> None:
    outbound.send(outbound.message(to=(), bcc=(Address("carl@fabrikam.example", "Carl"),)))
    (taken,) = outbound.served.server.accepted()
    assert taken.recipients == ("carl@fabrikam.example",)
    assert b"carl@" not in bytes(taken.octets[:]).lower()


def test_who_alone_still_waits_gets_it_alone(outbound: Outbound) -> None:
    bert, carl = Address("bert@fabrikam.example"), Address("carl@fabrikam.example")
    outbound.send(outbound.message(to=(bert, carl), waiting=(1,)))
    (taken,) = outbound.served.server.accepted()
    assert taken.recipients == (carl.address,)


def test_what_no_xml_carries_is_left_out(outbound: Outbound) -> None:
    outbound.send(outbound.message(subject=ODD, body_html=f"<p>{ODD}</p>", to=(Address("bert@fabrikam.example", ODD),)))
    arrived = outbound.arrived()
    assert "Zoë 東京" in arrived.subject
    assert "Zoë 東京" in (arrived.body_html or "")
    assert "Zoë 東京" in arrived.to[0].name


@pytest.mark.parametrize("index", ["", "AQ==", "no base64", "Ag" + INDEX[2:], INDEX[:-4]])
def test_what_is_no_conversation_index_costs_no_email(outbound: Outbound, index: str) -> None:
    outbound.send(outbound.message(conversation_index=index))
    assert outbound.arrived().subject == "Offer"


@pytest.mark.parametrize(("save_copy", "copies"), [(True, 2), (False, 0)])
def test_a_copy_is_kept_where_that_is_wanted(outbound: Outbound, save_copy: bool, copies: int) -> None:
    outbound.drafting.submit(outbound.prepared(outbound.messages(2)), save_copy=save_copy)
    assert (outbound.drafts, outbound.copies, len(outbound.accepted())) == (0, copies, 2)


# ---- in whose name


@pytest.mark.parametrize(("right", "sender"), [("send_as", False), ("send_on_behalf", True)])
def test_an_email_in_the_name_of_somebody_else_says_so_where_it_must(
    connect: Connect, served: ServedByExchange, right: str, sender: bool
) -> None:
    queue = a_new_mailbox(served.server)
    served.server.grant_sending(queue.address, served.address, right)
    with opened(connect, served, a_profile(served.server.ews_url)) as outbound:
        own = Address(served.address, "Anna Adams")
        outbound.send(outbound.message(from_=Address(queue.address, "Sales"), sender=own))
        arrived = outbound.arrived()
        assert arrived.sender is not None
        assert arrived.sender.address == queue.address
        (taken,) = served.server.accepted()
        assert (b"\nsender:" in b"\n" + bytes(taken.octets[:]).lower()) is sender
        assert outbound.copies == 1, "in the mailbox that sent it"


def test_a_name_that_was_not_granted_is_that_emails_refusal(outbound: Outbound) -> None:
    other = a_new_mailbox(outbound.served.server)
    drafts = outbound.prepared([outbound.message("k1", from_=Address(other.address)), outbound.message("k2")])
    refused, receipt = outbound.drafting.submit(drafts, save_copy=True)
    assert isinstance(refused, SendAsDenied)
    assert "ErrorSendAsDenied" in str(refused)
    assert receipt == Receipt()
    assert outbound.accepted() == ["k2@contoso.example"]


# ---- what is known of drafts


def test_a_draft_is_there_until_it_is_sent(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    assert (outbound.drafts, outbound.accepted()) == (3, [])
    assert outbound.drafting.find(drafts) == drafts
    outbound.drafting.submit(drafts[1:2], save_copy=True)
    assert outbound.drafting.find(drafts) == [drafts[0], None, drafts[2]]
    assert outbound.drafting.find([]) == []


def test_a_draft_that_was_sent_before_is_not_sent_again(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.drafting.submit(drafts[:2], save_copy=False)
    outcomes = outbound.drafting.submit(drafts, save_copy=False)
    assert [type(outcome) for outcome in outcomes] == [DraftGone, DraftGone, Receipt]
    assert len(outbound.accepted()) == 3


def test_a_draft_that_changed_since_is_sent_as_it_is_now(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    server, address = outbound.served.server, outbound.served.address
    server.touch(address, drafts[1].split()[0])
    present = outbound.drafting.find(drafts)
    assert [old == new for old, new in zip(drafts, present, strict=True)] == [True, False, True]
    assert outbound.drafting.submit(drafts, save_copy=True) == [Receipt()] * 3
    assert sorted(outbound.accepted()) == [f"k{number}@contoso.example" for number in range(3)]


def test_withdrawing_takes_the_drafts_of_these_keys_and_no_others(outbound: Outbound) -> None:
    messages = [*outbound.messages(45), outbound.message("k1"), outbound.message("a&b<\"'>")]
    drafts = outbound.prepared(messages)
    gone = {message.key for message in messages} - {"k0", "k44"}
    for _ in range(2):
        outbound.drafting.withdraw(gone)
        assert outbound.drafts == 2
    assert [place for place, found in enumerate(outbound.drafting.find(drafts)) if found] == [0, 44]
    outbound.drafting.withdraw([])
    outbound.drafting.withdraw(["never there"])
    assert outbound.drafts == 2


def test_what_carries_the_key_and_was_sent_is_not_withdrawn(outbound: Outbound) -> None:
    outbound.send(outbound.message("k1"))
    outbound.drafting.withdraw(["k1"])
    assert (outbound.copies, outbound.accepted()) == (1, ["k1@contoso.example"])


def test_many_emails_are_prepared_in_requests_of_25_and_of_four_mebibytes(outbound: Outbound) -> None:
    large = "x" * (1 << 20)
    messages = [replace(each, body_text=large if number > 27 else "") for number, each in enumerate(outbound.messages(35))]
    outbound.send(*messages)
    assert outbound.asked().count("CreateItem") == 3, "25, then 3 empty and 4 large ones, then 3"
    assert outbound.accepted() == [message.message_id for message in messages]


# ---- check


def test_a_check_asks_one_question_and_changes_nothing(outbound: Outbound) -> None:
    outbound.drafting.check()
    assert outbound.asked() == ["GetFolder"]
    assert outbound.drafts == 0


def test_a_check_says_that_the_drafts_are_not_open_to_a_delegate(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_account(SERVICE, PASSWORD)
    with opened(connect, served, a_profile(served.server.ews_url, use_impersonation=False)) as outbound:
        assert isinstance(failure(outbound.drafting.check), DelegateAccessMissing)


@pytest.mark.skipif("SIDESYNC_LIVE_EWS_URL" not in environ, reason="no live server is named")
def test_a_live_server_drafts_sends_and_knows_what_it_sent() -> None:
    address = environ["SIDESYNC_LIVE_EWS_MAILBOX"]
    profile = a_profile(
        environ["SIDESYNC_LIVE_EWS_URL"],
        username=environ["SIDESYNC_LIVE_EWS_USERNAME"],
        secret=environ["SIDESYNC_LIVE_EWS_PASSWORD"],
        authentication=AuthenticationProtocol.AUTO_DETECT,
        use_impersonation=False,
    )
    connecting = Connect(KnownSecrets(), allow_local_servers=True)
    with connecting.outgoing(profile, a_mailbox(address)) as drafting:
        assert isinstance(drafting, Drafting)
        drafting.check()
        files = (an_attachment(b"small"), an_attachment(bytes(600 << 10), "large.bin"))
        own = Address(address)
        messages = [a_message(key=key, message_id=f"{key}@{address}", from_=own, to=(own,)) for key in ("live-1", "live-2")]
        drafting.withdraw(["live-1", "live-2"])
        drafts = drafting.prepare([replace(messages[0], attachments=files), messages[1]])
        assert drafting.find([str(draft) for draft in drafts]) == drafts
        assert drafting.submit([str(drafts[0])], save_copy=False) == [Receipt()]
        drafting.withdraw(["live-2"])
        assert drafting.find([str(draft) for draft in drafts]) == [None, None]
    connecting.close()
