"""Where drafts went that are not there any more: sent, taken by somebody with a mail program, or nobody knows."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from exchangelib import IMPERSONATION, Account
from exchangelib import Credentials as SignIn
from exchangelib.configuration import Configuration
from exchangelib.protocol import close_connections

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.errors import AuthenticationFailed, ConnectionRefused, NotGiven
from shared.domain.outgoing import Receipt, Trace
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    SERVICE,
    ServedByExchange,
    a_profile,
)
from tests.contracts.exchange_outgoing import Outbound, opened

KEYS = ["k0", "k1", "k2"]


def moved(outbound: Outbound, item: str, folder: str) -> None:
    outbound.served.server.move(outbound.served.address, item.split()[0], folder)


def traced(outbound: Outbound, *, has_copies: bool = True) -> dict[str, Trace]:
    return dict(outbound.drafting.trace(KEYS, has_copies=has_copies))


@pytest.mark.parametrize("has_copies", [True, False])
def test_what_was_sent_is_told_from_what_somebody_discarded(outbound: Outbound, has_copies: bool) -> None:
    drafts = outbound.prepared(outbound.messages(3))
    outbound.drafting.submit(drafts[:1], save_copy=True)
    moved(outbound, drafts[1], "deleteditems")
    assert outbound.drafting.find(drafts) == [None, None, drafts[2]]
    assert traced(outbound, has_copies=has_copies) == {"k0": Trace.SENT, "k1": Trace.TAKEN, "k2": Trace.TAKEN}


def test_nothing_is_known_of_what_was_sent_without_a_copy_or_deleted_for_good(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(2))
    outbound.drafting.submit(drafts[:1], save_copy=False)
    outbound.served.server.remove(outbound.served.address, drafts[1].split()[0])
    assert traced(outbound) == {}


def test_what_leaves_a_copy_is_searched_for_everywhere_and_nothing_else(outbound: Outbound) -> None:
    server, address = outbound.served.server, outbound.served.address
    for number in range(30):
        server.add_folder(address, f"Project {number}")
    server.add_folder(address, "Kept", parent="sentitems")
    drafts = outbound.prepared(outbound.messages(2))
    outbound.drafting.submit(drafts[:1], save_copy=True)
    (copy,) = server.items(address, "sentitems")
    moved(outbound, copy, "Kept")
    moved(outbound, drafts[1], "Project 29")
    assert traced(outbound, has_copies=False) == {}
    before = len(outbound.asked())
    assert traced(outbound) == {"k0": Trace.SENT, "k1": Trace.TAKEN}
    assert outbound.asked()[before:] == ["FindItem", "FindFolder", "FindItem", "FindItem"]


def test_a_copy_as_sent_outweighs_a_copy_of_the_draft(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(1))
    outbound.send(outbound.message("k0"))
    moved(outbound, drafts[0], "deleteditems")
    assert traced(outbound) == {"k0": Trace.SENT}


def test_many_are_traced_twenty_in_a_request(outbound: Outbound) -> None:
    messages = outbound.messages(45)
    drafts = outbound.prepared(messages)
    for draft in drafts:
        moved(outbound, draft, "deleteditems")
    before = len(outbound.asked())
    found = outbound.drafting.trace([message.key for message in messages], has_copies=False)
    assert (set(found.values()), len(found)) == ({Trace.TAKEN}, 45)
    assert outbound.asked()[before:] == ["FindItem"] * 3
    assert outbound.drafting.trace([], has_copies=False) == {}


@pytest.fixture
def anna(served: ServedByExchange) -> Iterator[Account]:
    """Her mail program."""
    sign_in = Configuration(service_endpoint=served.server.ews_url, credentials=SignIn("phone", PASSWORD), auth_type="basic")
    served.server.add_account("phone", PASSWORD, impersonation=[served.address])
    yield Account(served.address, config=sign_in, access_type=IMPERSONATION, autodiscover=False)
    close_connections()


DEEDS: list[tuple[Callable[[Account], None], dict[str, Trace]]] = [
    (lambda anna: anna.drafts.all().delete(delete_type="MoveToDeletedItems"), {"k0": Trace.TAKEN}),
    (lambda anna: anna.drafts.all().move(to_folder=anna.inbox), {"k0": Trace.TAKEN}),
    (lambda anna: anna.drafts.all().send(), {"k0": Trace.SENT}),
    (lambda anna: anna.drafts.all().delete(), {}),
]


@pytest.mark.parametrize(("deed", "expected"), DEEDS, ids=["discards", "moves", "sends", "destroys"])
def test_what_a_person_does_to_a_draft_with_a_mail_program_is_told(
    outbound: Outbound, anna: Account, deed: Callable[[Account], None], expected: dict[str, Trace]
) -> None:
    (draft,) = outbound.prepared(outbound.messages(1))
    deed(anna)
    assert outbound.drafting.find([draft]) == [None]
    assert traced(outbound) == expected


# ---- a server that is not reached


def kinds(outcomes: Sequence[object]) -> set[tuple[type, type]]:
    """Each with what caused it."""
    return {(type(outcome), type(getattr(outcome, "__cause__", None))) for outcome in outcomes}


@pytest.mark.parametrize("answered", [0, 1])
def test_what_a_server_that_is_not_reached_any_more_was_not_given_is_told_apart(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, answered: int
) -> None:
    """Between the requests of one call."""
    drafts = outbound.prepared(outbound.messages(40))
    session = type(outbound.drafting._session)  # type: ignore[attr-defined]  # of Exchange
    reply, left = session.reply, [answered]

    def refuses(self: object, *request: object) -> object:
        if not left[0]:
            raise ConnectionRefused("SendItem: ConnectionRefusedError")
        left[0] -= 1
        return reply(self, *request)

    monkeypatch.setattr(session, "reply", refuses)
    outcomes = outbound.drafting.submit(drafts, save_copy=True)
    given = 25 * answered
    assert outcomes[:given] == [Receipt()] * given
    assert kinds(outcomes[given:]) == {(NotGiven, ConnectionRefused)}
    assert len(outbound.accepted()) == given


def test_nothing_was_given_to_a_server_that_refuses_the_password(outbound: Outbound) -> None:
    drafts = outbound.prepared(outbound.messages(40))
    outbound.fault("unauthorized", operation="SendItem")
    outcomes = outbound.drafting.submit(drafts, save_copy=True)
    assert kinds(outcomes) == {(NotGiven, AuthenticationFailed)}
    assert outbound.asked().count("SendItem") == 0, "nobody was let in"


def test_nothing_was_given_to_a_server_that_is_gone(connect: Connect) -> None:
    with MailServer() as server:
        server.add_mailbox("anna@contoso.example")
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        served, location = ServedByExchange(server, "anna@contoso.example"), server.ews_url
        with opened(connect, served, a_profile(location)) as outbound:
            drafts = outbound.prepared(outbound.messages(2))
    with opened(connect, served, a_profile(location)) as outbound:
        outcomes = outbound.drafting.submit(drafts, save_copy=True)
    assert kinds(outcomes) == {(NotGiven, ConnectionRefused)}
