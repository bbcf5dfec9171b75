"""The contract of mail that comes by POP3 or IMAP: what holds for both, on every server. `pop3_email.py` and `imap_email.py`
say what each holds beside it; a test module subclasses those for each server.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest

from shared.connectors import destinations
from shared.domain.choices import AuthenticationProtocol, ServerType
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.email import IncomingMessage
from shared.domain.errors import FolderNotFound, ItemGone, ItemUnreadable
from shared.domain.folders import INBOX, Folder
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import a_mailbox, a_profile
from tests.contracts.incoming_email import NOON, MailContract, MailServed, a_message, content, everything, fetched
from tests.contracts.internet_mailboxes import InternetMailServed, Place, Ports
from tests.contracts.marking_email import EnvelopeContract, envelopes
from tests.tap import Tap, tap_on

HEADER = b"From: bert@fabrikam.example\r\nMessage-ID: <one@fabrikam.example>\r\n"
LARGE = 25 << 20

type Opening = AbstractContextManager[IncomingEmail]


class OverTheInternet:
    """How a protocol's mailboxes are opened. Servers are subclasses that say `place`, protocols ones that say the rest."""

    server_type: ServerType

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    def ports_of(self, place: Place) -> Ports:
        raise NotImplementedError

    def opened(self, profile: EmailServerProfile, mailbox: Mailbox, *, allow_local_servers: bool = True) -> Opening:
        raise NotImplementedError

    @pytest.fixture
    def served(self, place: Place) -> InternetMailServed:
        return place.new_mailbox()

    @pytest.fixture
    def profile(self, place: Place, served: InternetMailServed) -> EmailServerProfile:
        return self.profile_of(place, served)

    def profile_of(
        self,
        place: Place,
        served: InternetMailServed,
        *,
        secret: str | None = None,
        authentication: AuthenticationProtocol = AuthenticationProtocol.BASIC,
        incoming_location: str = "localhost",
        incoming_port: int | None = None,
        incoming_use_tls: bool = False,
        incoming_starttls: bool = False,
        timeout: timedelta = timedelta(seconds=30),
    ) -> EmailServerProfile:
        """The owner of the mailbox signs in, with the right password, and in the clear, unless told."""
        return a_profile(
            incoming_location,
            username=served.address,
            secret=secret or place.password,
            authentication=authentication,
            server_type=self.server_type,
            incoming_port=incoming_port or self.ports_of(place).plain,
            incoming_use_tls=incoming_use_tls,
            incoming_starttls=incoming_starttls,
            timeout=timeout,
        )

    def in_one_session[T](
        self, profile: EmailServerProfile, served: InternetMailServed, act: Callable[[IncomingEmail], T]
    ) -> T:
        with self.opened(profile, a_mailbox(served.address)) as opened:
            return act(opened)

    @pytest.fixture
    def incoming(self, profile: EmailServerProfile, served: InternetMailServed) -> Iterator[IncomingEmail]:
        with self.opened(profile, a_mailbox(served.address)) as opened:
            yield opened

    @pytest.fixture
    def tap(self, place: Place) -> Iterator[Tap]:
        with tap_on("127.0.0.1", self.ports_of(place).plain) as tap:
            yield tap

    @pytest.fixture
    def trusting(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """This machine trusts the server's certificate."""
        monkeypatch.setenv("SSL_CERT_FILE", str(place.certificate_file))
        destinations.tls_context.cache_clear()
        yield
        destinations.tls_context.cache_clear()


class InternetMailContract(OverTheInternet, MailContract, EnvelopeContract):
    # ---- what a message is made of

    def test_looking_marks_nothing_as_read(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        served.deliver(bytes(a_message()))
        ((item,), _) = everything(incoming)
        assert len(envelopes(incoming, [item.ref])) == 1
        assert incoming.latest(INBOX, 1) == [item.ref]
        assert served.read_messages() == 0

    @pytest.mark.parametrize(
        "body",
        [
            b"x" * 1_000_000 + b"\r\n",
            b".\r\n..\r\n...\r\n.hidden\r\n. \r\n\r\n.\r\nend\r\n",
            bytes(range(0x80, 0x100)) + b"\r\nGr\xfc\xdfe \xf0\x9f\x99\x82\r\n",
            b"\r\n\r\n\r\n",
            b"From the beginning of a line\r\n>From another\r\n",
            b"+OK\r\n-ERR\r\n)\r\nA1 OK done\r\n* BYE\r\n{5}\r\n",
            b"no end of line at last",
        ],
        ids=["a long line", "dots", "eight bits", "empty lines", "From", "words of the protocol", "no last line end"],
    )
    def test_the_octets_of_a_body_arrive_as_they_are(
        self, incoming: IncomingEmail, served: InternetMailServed, body: bytes
    ) -> None:
        raw = HEADER + b"Content-Type: application/octet-stream\r\n\r\n" + body
        served.deliver(raw)
        ((item,), _) = everything(incoming)
        assert b"".join(incoming.raw(item.ref)).removesuffix(b"\r\n").endswith(raw.removesuffix(b"\r\n"))
        ((attachment,),) = (message.attachments for message in fetched(incoming))
        assert content(attachment).removesuffix(b"\r\n") == body.removesuffix(b"\r\n")

    def test_lines_that_end_without_a_carriage_return_arrive_as_lines(
        self, incoming: IncomingEmail, served: InternetMailServed
    ) -> None:
        served.deliver((HEADER + b"Subject: Offer\r\n\r\none\r\n.two\r\n").replace(b"\r\n", b"\n"), internal=None)
        ((item,), _) = everything(incoming)
        assert b"".join(incoming.raw(item.ref)).endswith(b"\r\n\r\none\r\n.two\r\n")
        (message,) = fetched(incoming)
        assert (message.subject, (message.body_text or "").split()) == ("Offer", ["one", ".two"])

    def test_an_empty_message_harms_no_other(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        served.deliver(b"", internal=None)
        served.deliver(bytes(a_message()))
        items, _ = everything(incoming)
        refs = {item.message_id: item.ref for item in items}
        assert set(refs) == {None, "one@fabrikam.example"}
        outcomes = dict(incoming.fetch(list(refs.values())))
        assert isinstance(outcomes[refs[None]], IncomingMessage | ItemUnreadable)
        assert isinstance(outcomes[refs["one@fabrikam.example"]], IncomingMessage)
        assert b"".join(incoming.raw(refs[None])).strip() == b""

    def test_what_a_message_without_dates_was_received_at_stays_so(
        self, incoming: IncomingEmail, served: InternetMailServed
    ) -> None:
        served.deliver(HEADER + b"\r\nHello\r\n", internal=None)
        ((item,), _) = everything(incoming)
        received = {fetched(incoming, [item.ref])[0].received for _ in range(2)}
        assert len(received) == 1
        assert item.received is None or {item.received} == received

    @pytest.mark.slow
    def test_a_large_message_is_streamed(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        raw = HEADER + b"Content-Type: application/octet-stream\r\n\r\n" + (b"0123456789abcde\r\n" * (LARGE // 17))
        served.deliver(raw)
        ((item,), _) = everything(incoming)
        tracemalloc.start()
        try:
            pieces, size = 0, 0
            for piece in incoming.raw(item.ref):
                assert len(piece) <= 1 << 20
                pieces, size = pieces + 1, size + len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size >= len(raw)
        assert peak < self.memory_of_a_large_message
        assert b"".join(incoming.raw(item.ref)).endswith(raw)

    memory_of_a_large_message = 12 << 20
    """Bytes that this process holds at once for 25 MB; where the server is in it, the server's too."""

    # ---- listing

    def test_the_latest_items_are_those_received_last(self, incoming: IncomingEmail, served: MailServed) -> None:
        """As mail comes: the last one is the newest."""
        for number in range(4):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")), NOON + timedelta(minutes=number))
        latest = envelopes(incoming, incoming.latest(INBOX, 3))
        assert [envelope.message_id for envelope in latest] == [f"{number}@fabrikam.example" for number in (3, 2, 1)]

    def test_a_mailbox_opened_again_goes_on_where_it_was(self, profile: EmailServerProfile, served: InternetMailServed) -> None:
        served.deliver(bytes(a_message("old@fabrikam.example")))
        watermark = self.in_one_session(profile, served, lambda opened: everything(opened)[1])
        served.deliver(bytes(a_message("new@fabrikam.example")))
        again = self.in_one_session(profile, served, lambda opened: everything(opened, watermark)[0])
        assert [item.message_id for item in again] == ["new@fabrikam.example"]

    def test_mail_that_somebody_removed_is_not_listed_again(
        self, profile: EmailServerProfile, served: InternetMailServed
    ) -> None:
        for name in ("a@fabrikam.example", "b@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        watermark = self.in_one_session(profile, served, lambda opened: everything(opened)[1])
        served.remove("a@fabrikam.example")
        served.deliver(bytes(a_message("c@fabrikam.example")))
        items = self.in_one_session(profile, served, lambda opened: everything(opened, watermark)[0])
        assert [item.message_id for item in items if item.message_id] == ["c@fabrikam.example"]

    def test_the_source_is_the_mailbox_and_not_the_session(
        self, profile: EmailServerProfile, served: InternetMailServed, place: Place
    ) -> None:
        other = place.new_mailbox()
        for_other = self.profile_of(place, other)
        sources = [self.in_one_session(profile, served, lambda opened: opened.source) for _ in range(2)]
        assert sources[0] == sources[1]
        assert self.in_one_session(for_other, other, lambda opened: opened.source) != sources[0]

    def test_a_folder_that_is_none_is_not_found(self, incoming: IncomingEmail) -> None:
        with pytest.raises(FolderNotFound):
            incoming.changes(Folder("nowhere", "Nowhere"), None)

    # ---- discarding

    def test_several_are_discarded_at_once_and_for_good(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        for number in range(4):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")))
        refs = {item.message_id: item.ref for item in everything(incoming)[0]}
        served.remove("3@fabrikam.example")
        assert incoming.discard([refs[f"{number}@fabrikam.example"] for number in (0, 2, 3)]) == {}
        assert served.count() == 1
        assert incoming.discard([]) == {}
        assert [item.message_id for item in everything(incoming)[0]] == ["1@fabrikam.example"]

    def test_after_discarding_the_mailbox_goes_on(self, incoming: IncomingEmail, served: InternetMailServed) -> None:
        for name in ("a@fabrikam.example", "b@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        items, watermark = everything(incoming)
        refs = {item.message_id: item.ref for item in items}
        incoming.discard([refs["a@fabrikam.example"]])
        (_, gone), (_, kept) = incoming.fetch([refs["a@fabrikam.example"], refs["b@fabrikam.example"]])
        assert isinstance(gone, ItemGone)
        assert isinstance(kept, IncomingMessage)
        served.deliver(bytes(a_message("c@fabrikam.example")))
        assert [item.message_id for item in everything(incoming, watermark)[0] if item.message_id] == ["c@fabrikam.example"]
