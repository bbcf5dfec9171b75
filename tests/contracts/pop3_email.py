"""The contract of POP3: what holds of a maildrop beside what holds of all mail over the internet."""

import poplib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from shared.connectors.pop3.mail import open_pop3
from shared.domain.choices import AuthenticationProtocol, ServerType
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.email import Envelope, IncomingMessage, ItemRef, Page
from shared.domain.errors import Busy, ItemError, ItemGone, TransientError, WatermarkExpired
from shared.domain.folders import INBOX, Folder
from shared.ports import PAGE_ITEMS, FolderTree, IncomingEmail, Marking
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, failure
from tests.contracts.incoming_email import a_message, everything
from tests.contracts.internet_email import InternetMailContract, Opening
from tests.contracts.internet_failures import InternetFailures
from tests.contracts.internet_mailboxes import InternetMailServed, Place, Ports
from tests.tap import Tap


class OverPop3:
    module = "shared.connectors.pop3.mail"
    server_type = ServerType.POP3_SMTP

    def ports_of(self, place: Place) -> Ports:
        return place.pop3

    def opened(self, profile: EmailServerProfile, mailbox: Mailbox, *, allow_local_servers: bool = True) -> Opening:
        return open_pop3(profile, mailbox, KnownSecrets(), allow_local_servers=allow_local_servers)


@contextmanager
def signed_in(place: Place, address: str) -> Iterator[poplib.POP3]:
    """Somebody else's session."""
    other = poplib.POP3("127.0.0.1", place.pop3.plain)
    try:
        other.user(address)
        other.pass_(place.password)
        yield other
    finally:
        other.quit()


@dataclass(frozen=True, slots=True)
class SessionEach:
    """Opens the mailbox anew for each call: within a session a maildrop stays as it was when that began."""

    open: Callable[[], Opening]

    @property
    def source(self) -> str:
        with self.open() as mail:
            return mail.source

    def folders(self) -> Sequence[Folder]:
        with self.open() as mail:
            return mail.folders()

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        with self.open() as mail:
            return mail.changes(folder, watermark, limit)

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        with self.open() as mail:
            yield from mail.envelopes(refs)

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        with self.open() as mail:
            return mail.latest(folder, count)

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        with self.open() as mail:
            yield from mail.fetch(refs)

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        with self.open() as mail:
            yield from mail.raw(ref)

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        with self.open() as mail:
            return mail.discard(refs)


class Pop3Contract(OverPop3, InternetMailContract):
    @pytest.fixture
    def incoming(self, profile: EmailServerProfile, served: InternetMailServed) -> IncomingEmail:
        return SessionEach(lambda: self.opened(profile, a_mailbox(served.address)))

    def test_the_watermark_of_another_mailbox_has_expired(self, place: Place, incoming: IncomingEmail) -> None:
        other = place.new_mailbox()
        for_other = self.profile_of(place, other)
        other.deliver(bytes(a_message()))
        watermark = self.in_one_session(for_other, other, lambda opened: everything(opened)[1])
        with pytest.raises(WatermarkExpired):
            incoming.changes(INBOX, watermark)

    def test_what_goes_while_a_session_lasts_harms_no_other_and_is_gone_in_the_next(
        self, profile: EmailServerProfile, served: InternetMailServed
    ) -> None:
        for name in ("a@fabrikam.example", "b@fabrikam.example", "c@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        with self.opened(profile, a_mailbox(served.address)) as incoming:
            refs = {item.message_id: item.ref for item in everything(incoming)[0]}
            gone = refs.pop("b@fabrikam.example")
            served.remove("b@fabrikam.example")
            outcomes = dict(incoming.fetch([gone, *refs.values()]))
        assert isinstance(outcomes[gone], IncomingMessage | ItemError)
        assert all(isinstance(outcomes[ref], IncomingMessage) for ref in refs.values())
        ((_, outcome),) = self.in_one_session(profile, served, lambda mail: list(mail.fetch([gone])))
        assert isinstance(outcome, ItemGone)

    def test_there_is_one_folder_and_nothing_can_be_marked(self, incoming: IncomingEmail) -> None:
        assert list(incoming.folders()) == [INBOX]
        assert not isinstance(incoming, FolderTree)
        assert not isinstance(incoming, Marking)

    def test_the_same_messages_with_other_uidls_are_listed_again(
        self, profile: EmailServerProfile, served: InternetMailServed
    ) -> None:
        for name in ("a@fabrikam.example", "b@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        watermark = self.in_one_session(profile, served, lambda mail: everything(mail)[1])
        served.forget_identities()
        items = self.in_one_session(profile, served, lambda mail: everything(mail, watermark)[0])
        assert {item.message_id for item in items if item.message_id} == {"a@fabrikam.example", "b@fabrikam.example"}

    @pytest.mark.slow
    def test_a_maildrop_that_somebody_else_has_is_tried_again(
        self, place: Place, profile: EmailServerProfile, served: InternetMailServed
    ) -> None:
        """Dovecot waits a while for it to come free."""
        with signed_in(place, served.address):
            error = failure(lambda: self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, None)))
        assert isinstance(error, Busy)
        assert self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, None)).items == ()

    def test_the_maildrop_is_free_when_the_mailbox_is_closed(
        self, place: Place, profile: EmailServerProfile, served: InternetMailServed
    ) -> None:
        self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, None))
        with signed_in(place, served.address) as other:
            assert other.stat() == (0, 0)


class Pop3Failures(OverPop3, InternetFailures):
    sign_ins = (b"PASS ", b"APOP ", b"AUTH ")
    upgrade = b"STLS"
    idle_round_trips = 6

    def refusal(self, line: bytes) -> bytes:  # noqa: ARG002 - all are refused alike
        return b"-ERR not now\r\n"

    def test_in_the_clear_a_server_that_takes_digests_hears_no_password(
        self, place: Place, served: InternetMailServed, tap: Tap
    ) -> None:
        """APOP (RFC 1939 section 7), unless the profile says Basic."""
        protocol = AuthenticationProtocol.AUTO_DETECT
        profile = self.profile_of(place, served, incoming_port=tap.port, authentication=protocol)
        assert self.listed(profile, served) == []
        assert any(line.startswith(b"APOP ") for line in tap.said)
        assert not any(place.password.encode() in line for line in tap.said)

    def test_nothing_is_deleted_before_the_session_is_ended(
        self, through_tap: EmailServerProfile, served: InternetMailServed, tap: Tap
    ) -> None:
        for name in ("a@fabrikam.example", "b@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        with self.opened(through_tap, a_mailbox(served.address)) as incoming:
            refs = [item.ref for item in everything(incoming)[0]]
            tap.break_before(b"QUIT")
            with pytest.raises(TransientError):
                incoming.discard(refs)
        assert sum(line.startswith(b"DELE") for line in tap.said) == 2
        assert served.count() == 2
        tap.reset()
        assert self.in_one_session(through_tap, served, lambda mail: mail.discard(refs)) == {}
        assert served.count() == 0

    def test_whether_the_lost_answer_to_the_end_was_good_is_found_out_by_asking_again(
        self, place: Place, served: InternetMailServed, tap: Tap
    ) -> None:
        served.deliver(bytes(a_message()))
        profile = self.profile_of(place, served, incoming_port=tap.port, timeout=timedelta(seconds=2))
        with self.opened(profile, a_mailbox(served.address)) as incoming:
            ((item,), _) = everything(incoming)
            tap.alter = lambda heard: heard if b"QUIT" not in b"".join(tap.said) else b""
            with pytest.raises(TransientError):
                incoming.discard([item.ref])
        assert served.count() == 0
        tap.reset()
        assert self.in_one_session(profile, served, lambda mail: mail.discard([item.ref])) == {}
