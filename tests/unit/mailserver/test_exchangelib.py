"""Stock exchangelib, as any program uses it, is content with the server."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    NTLM,
    Account,
    Configuration,
    Credentials,
    EWSTimeZone,
    FileAttachment,
    ItemAttachment,
    Message,
)
from exchangelib import errors as ews
from exchangelib.protocol import close_connections
from exchangelib.version import EXCHANGE_2019, Version

from local.mailserver import FaultKind, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_file, a_message, an_attached_message, with_attachments

FIELDS = ["subject", "sender", "datetime_received", "message_id", "size", "is_draft"]


@pytest.fixture(autouse=True)
def _no_connections_left() -> Iterator[None]:
    yield
    close_connections()


def account(
    server: MailServer,
    username: str = "service",
    password: str = "secret",  # noqa: S107
    address: str = ANNA,
    access: str = IMPERSONATION,
    auth_type: str | None = BASIC,
    version: Version | None = None,
) -> Account:
    configuration = Configuration(
        service_endpoint=server.ews_url, credentials=Credentials(username, password), auth_type=auth_type, version=version
    )
    return Account(address, config=configuration, autodiscover=False, access_type=access, default_timezone=EWSTimeZone("UTC"))


def test_it_synchronizes_and_fetches(server: MailServer) -> None:
    for number in range(5):
        server.deliver(a_message(f"Number {number}"), [ANNA], received=datetime(2026, 11, 2, 12, number, tzinfo=UTC))
    mailbox = account(server)
    changes = list(mailbox.inbox.sync_items(only_fields=FIELDS, max_changes_returned=2))
    assert [(kind, item.subject) for kind, item in changes] == [("create", f"Number {each}") for each in (4, 3, 2, 1, 0)]
    fetched = list(mailbox.fetch([item for _, item in changes]))
    assert [item.text_body for item in fetched] == ["Good morning\r\n"] * 5
    assert {item.sender.email_address for item in fetched} == {"carla@supplier.example"}
    server.mark_read(ANNA, changes[0][1].id)
    server.remove(ANNA, changes[1][1].id)
    following = list(mailbox.inbox.sync_items(sync_state=mailbox.inbox.item_sync_state, only_fields=FIELDS))
    assert [kind for kind, _ in following] == ["read_flag_change", "delete"]


def test_a_plain_program_reads_everything_of_an_inbox(server: MailServer) -> None:
    server.deliver(with_attachments(a_file("a.txt", b"content", "text/plain")), [ANNA])
    mailbox = account(server, ANNA, "anna's password", access=DELEGATE)
    (item,) = mailbox.inbox.all().order_by("-datetime_received")
    assert isinstance(item, Message)
    (attachment,) = item.attachments
    assert isinstance(attachment, FileAttachment)
    assert attachment.content == b"content"
    with attachment.fp as stream:
        assert stream.read() == b"content"
    assert mailbox.inbox.all().count() == 1


def test_filters_select(server: MailServer) -> None:
    server.deliver(a_message("Old"), [ANNA], received=datetime(2025, 1, 1, tzinfo=UTC))
    server.deliver(a_message("New offer"), [ANNA], received=datetime(2026, 1, 1, tzinfo=UTC))
    inbox = account(server).inbox
    assert [item.subject for item in inbox.filter(subject__icontains="OFFER")] == ["New offer"]
    since = datetime(2025, 6, 1, tzinfo=EWSTimeZone("UTC"))
    assert [item.subject for item in inbox.filter(datetime_received__gt=since, is_read=False).only("subject")] == ["New offer"]
    assert [item.subject for item in inbox.all().only("subject").order_by("datetime_received")] == ["Old", "New offer"]


def test_an_attached_message_is_read(server: MailServer) -> None:
    server.deliver(with_attachments(an_attached_message(a_message("Inner", text="inside"))), [ANNA])
    (item,) = account(server).inbox.all()
    (attachment,) = item.attachments
    assert isinstance(attachment, ItemAttachment)
    assert attachment.item.subject == "Inner"
    assert attachment.item.text_body == "inside\r\n"


def test_everything_is_discovered_where_nothing_was_configured(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    mailbox = account(server, ANNA, "anna's password", access=DELEGATE, auth_type=None)
    assert mailbox.protocol.auth_type == NTLM
    assert mailbox.version.build.major_version == 15
    assert len(list(mailbox.inbox.sync_items(only_fields=FIELDS))) == 1


def test_ntlm_proves_the_password(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    good = account(server, "CONTOSO\\service", "secret", auth_type=NTLM)
    assert len(list(good.inbox.sync_items(only_fields=FIELDS))) == 1
    wrong = account(server, "CONTOSO\\service", "wrong", auth_type=NTLM)
    with pytest.raises(ews.UnauthorizedError):
        list(wrong.inbox.sync_items())


def test_a_wrong_password_is_unauthorized(server: MailServer) -> None:
    with pytest.raises(ews.UnauthorizedError):
        list(account(server, password="wrong").inbox.sync_items())


def test_impersonation_has_to_be_allowed(server: MailServer) -> None:
    with pytest.raises(ews.ErrorImpersonateUserDenied):
        list(account(server, BEN, "ben's password").inbox.sync_items())
    server.add_account("limited", "pw", impersonation=[BEN])
    with pytest.raises(ews.ErrorImpersonateUserDenied):
        list(account(server, "limited", "pw").inbox.sync_items())
    assert list(account(server, "limited", "pw", BEN).inbox.sync_items(only_fields=FIELDS)) == []


def test_a_mailbox_that_does_not_exist_is_said_so(server: MailServer) -> None:
    with pytest.raises(ews.ErrorNonExistentMailbox):
        list(account(server, address="nobody@contoso.example").inbox.sync_items())


def test_a_disabled_account_is_said_so(server: MailServer) -> None:
    server.set_account_enabled("service", False)
    with pytest.raises(ews.ErrorAccountDisabled):
        list(account(server, version=Version(EXCHANGE_2019)).inbox.sync_items())


def test_a_busy_server_says_how_long(server: MailServer) -> None:
    mailbox = account(server)
    inbox = mailbox.inbox
    server.faults.add(FaultKind.SERVER_BUSY, ANNA, seconds=297.7, count=1)
    with pytest.raises(ews.ErrorServerBusy) as busy:
        list(inbox.sync_items())
    assert busy.value.back_off == 297.7


@pytest.mark.parametrize("code", ["ErrorMailboxStoreUnavailable", "ErrorInternalServerTransientError"])
def test_any_error_can_be_had(server: MailServer, code: str) -> None:
    inbox = account(server).inbox
    server.faults.add(FaultKind.SOAP_FAULT, ANNA, code=code)
    with pytest.raises(ews.EWSError) as error:
        list(inbox.sync_items())
    assert code in f"{error.value!r}"


def test_an_invalid_state_is_said_so(server: MailServer) -> None:
    inbox = account(server).inbox
    with pytest.raises(ews.ErrorInvalidSyncStateData):
        list(inbox.sync_items(sync_state="bm9uc2Vuc2U="))
