"""The server in a process of its own does for its client what the one in process does."""

import imaplib
import inspect
import json
import poplib
import signal
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from local.mailserver import FaultKind, Habit, MailServer, MailServerControl
from local.mailserver.control import METHODS
from local.mailserver.faults import Faults
from local.mailserver.journal import Journal
from local.mailserver.model import DistinguishedFolder, FolderExists, FolderLoop, FolderRefused, NoSuchFolder, NoSuchMailbox
from local.mailserver.remote import RemoteFaults, RemoteJournal
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_draft, a_message

ROOT = Path(__file__).parents[3]


@pytest.fixture
def control(server: MailServer) -> Iterator[MailServerControl]:
    with MailServerControl(server.control_url) as control:
        yield control


def signature(function: Callable[..., object]) -> list[tuple[str, object]]:
    return [(name, parameter.default) for name, parameter in inspect.signature(function).parameters.items()]


@pytest.mark.parametrize("name", METHODS)
def test_the_client_has_the_methods_of_the_server(name: str) -> None:
    assert signature(getattr(MailServerControl, name)) == signature(getattr(MailServer, name))


def test_its_faults_and_requests_have_them_too() -> None:
    for name in ("add", "clear"):
        assert signature(getattr(RemoteFaults, name)) == signature(getattr(Faults, name))
    for name in ("of", "count", "clear"):
        assert signature(getattr(RemoteJournal, name)) == signature(getattr(Journal, name))


def test_everything_can_be_done_from_outside(server: MailServer, control: MailServerControl) -> None:
    control.add_mailbox("new@contoso.example", "New", password="pw", aliases=["alias@contoso.example"])
    (first,) = control.deliver(a_message(), ["alias@contoso.example"], datetime(2026, 11, 2, tzinfo=UTC), internal=True)
    draft = control.put(a_message(), "new@contoso.example", "drafts", draft=True)
    assert control.items("new@contoso.example", "drafts") == [draft]
    control.mark_read("new@contoso.example", first)
    control.touch("new@contoso.example", first)
    assert server.store.mailbox("new@contoso.example").item(first).is_read
    moved = control.move("new@contoso.example", first, "archive")
    control.remove("new@contoso.example", moved)
    assert control.items("new@contoso.example") == control.items("new@contoso.example", "archive") == []
    folder = control.add_folder("new@contoso.example", "Project")
    control.rename_folder("new@contoso.example", folder, "Renamed")
    control.move_folder("new@contoso.example", folder, "inbox")
    control.remove_folder("new@contoso.example", folder, to_deleted_items=True)
    control.remove_folder("new@contoso.example", folder)
    sent = control.send(a_draft("alias@contoso.example"), "new@contoso.example", datetime(2026, 11, 3, tzinfo=UTC))
    answer = control.send(a_draft("alias@contoso.example"), "new@contoso.example", answers=sent)
    assert set(control.items("new@contoso.example", "sentitems")) == {sent, answer}
    assert control.categorize("new@contoso.example", sent, add=["Tracked", "tracked", "Red"], remove=["red"]) == ["Tracked"]
    assert control.categories("new@contoso.example", sent) == ["Tracked"]
    control.invalidate_sync_states("new@contoso.example")
    control.set_mailbox_enabled("new@contoso.example", False)
    control.add_account("ops", "pw", impersonation=[ANNA], full_access=["*"])
    control.set_password("ops", "other")
    control.set_account_enabled("ops", False)
    control.add_application("app", "secret")
    control.add_managed_identity()
    control.revoke_tokens()
    control.revoke_consents("ops", expired=True)
    control.set_token_lifetime(60)
    assert server.accounts.token_lifetime == 60
    before = server.store.mailbox(ANNA).folder("archive").uid_validity
    control.renumber_folder(ANNA, "archive")
    assert server.store.mailbox(ANNA).folder("archive").uid_validity > before
    control.set_habits([Habit.POP3_WITHOUT_UIDL, "imap_without_move"])
    assert Habit.IMAP_WITHOUT_MOVE in server.habits
    control.set_habits()
    assert Habit.IMAP_WITHOUT_MOVE not in server.habits
    with pytest.raises(ValueError, match="nonsense"):
        control.set_habits(["nonsense"])
    assert server.accounts.sign_in("ops", "other") is not None


def test_faults_and_requests_are_reached_from_outside(server: MailServer, control: MailServerControl) -> None:
    number = control.faults.add(FaultKind.UNAVAILABLE, operation="", seconds=7, count=2)
    reply = requests.post(server.ews_url, b"", timeout=20)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "7")
    control.faults.clear(number)
    requests.post(server.ews_url, b"", timeout=20)
    assert [asked.status for asked in control.requests.of(head="ews")] == [503, 401]
    control.requests.clear()
    assert control.requests.count() == 0


def test_what_does_not_exist_is_said_so(control: MailServerControl) -> None:
    with pytest.raises(NoSuchMailbox):
        control.deliver(a_message(), ["nobody@contoso.example"])
    with pytest.raises(NoSuchFolder):
        control.items(ANNA, "nowhere")
    with pytest.raises(TypeError):
        control.call("add_folder", wrong=1)


def test_what_is_refused_is_said_so(control: MailServerControl) -> None:
    outer = control.add_folder(ANNA, "Outer")
    with pytest.raises(FolderExists):
        control.add_folder(ANNA, "outer")
    with pytest.raises(FolderLoop):
        control.move_folder(ANNA, outer, outer)
    with pytest.raises(DistinguishedFolder):
        control.remove_folder(ANNA, "inbox")
    with pytest.raises(FolderRefused):
        control.rename_folder(ANNA, outer, "")


def test_reset_empties_everything(server: MailServer, control: MailServerControl) -> None:
    control.reset()
    assert list(server.store) == []
    with pytest.raises(NoSuchMailbox):
        control.items(ANNA)


def test_what_was_accepted_is_told_as_it_is_and_rights_and_limits_are_set(
    server: MailServer, control: MailServerControl
) -> None:
    assert signature(MailServerControl.accepted) == signature(MailServer.accepted)
    server.send(a_draft(f"{ANNA}, carla@supplier.example", headers="Message-ID: <1@contoso.example>\r\n"), ANNA)
    server.send(a_draft(ANNA, text="x" * 2_000_000), ANNA)
    first, large = control.accepted()
    assert first == server.accepted()[0]
    assert bytes(large.octets) == bytes(server.accepted()[1].octets[:])
    assert control.accepted("<1@contoso.example>") == [first]
    control.grant_sending(BEN, ANNA, "send_on_behalf")
    control.set_limits(largest_message=2000)
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "2000"
    control.revoke_sending(BEN, ANNA)
    with pytest.raises(ValueError, match="as somebody"):
        control.grant_sending(BEN, ANNA, "as somebody")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_addresses_serves_and_stops_cleanly(end: signal.Signals) -> None:
    ports = [part for name in ("ews", "smtp", "pop3", "imap") for part in (f"--{name}-port", "0")]
    command = [sys.executable, "-m", "local.mailserver", *ports, "--tls"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  # this very program
        assert process.stdout is not None
        assert process.stderr is not None
        addresses = json.loads(process.stdout.readline())
        with MailServerControl(addresses["control_url"]) as control:
            control.add_mailbox(ANNA, password="pw")
            assert len(control.deliver(a_message(), [ANNA])) == 1
        context = ssl.create_default_context(cafile=addresses["certificate_file"])
        pop3s = poplib.POP3_SSL("localhost", addresses["pop3s_port"], context=context, timeout=20)
        for pop3 in (pop3s, poplib.POP3("localhost", addresses["pop3_port"], timeout=20)):
            pop3.user(ANNA)
            pop3.pass_("pw")
            assert pop3.stat()[0] == 1
            pop3.quit()
        with (
            imaplib.IMAP4_SSL("localhost", addresses["imaps_port"], ssl_context=context, timeout=20) as imaps,
            imaplib.IMAP4("localhost", addresses["imap_port"], timeout=20) as imap,
        ):
            for client in (imaps, imap):
                client.login(ANNA, "pw")
                assert client.select() == ("OK", [b"1"])
        process.send_signal(end)
        assert process.wait(timeout=15) == 0
        assert process.stderr.read() == ""
