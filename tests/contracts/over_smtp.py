"""How a mailbox is opened that sends by SMTP, and what its server was given, read from the wire. Tests say which server."""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest

from shared.connectors import destinations
from shared.connectors.connect import Connect
from shared.domain.choices import AuthenticationProtocol, ServerType
from shared.domain.configuration import EmailServerProfile
from shared.domain.outgoing import OutgoingMessage, Receipt
from shared.ports import Drafting, Sending
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile
from tests.contracts.smtp_mailboxes import Arriving, SmtpPlace
from tests.tap import Tap, tap_on

_FIELD = re.compile(rb"[A-Za-z-]+:")


class OverSmtp:
    """How a mailbox is opened. Servers are subclasses that say `place`."""

    @pytest.fixture
    def place(self) -> SmtpPlace:
        raise NotImplementedError

    @pytest.fixture
    def anna(self, place: SmtpPlace) -> Arriving:
        """She sends."""
        return place.new_mailbox()

    @pytest.fixture
    def bert(self, place: SmtpPlace) -> Arriving:
        return place.new_mailbox()

    @pytest.fixture
    def carla(self, place: SmtpPlace) -> Arriving:
        return place.new_mailbox()

    @pytest.fixture
    def tap(self, place: SmtpPlace) -> Iterator[Tap]:
        with tap_on("127.0.0.1", place.smtp.plain) as tap:
            yield tap

    @pytest.fixture
    def profile(self, place: SmtpPlace, anna: Arriving, tap: Tap) -> EmailServerProfile:
        return self.profile_of(place, anna, outgoing_port=tap.port)

    def profile_of(
        self,
        place: SmtpPlace,
        sender: Arriving,
        *,
        secret: str | None = None,
        outgoing_authentication: AuthenticationProtocol | None = None,
        outgoing_port: int | None = None,
        outgoing_use_tls: bool = False,
        outgoing_starttls: bool = False,
        timeout: timedelta = timedelta(seconds=30),
    ) -> EmailServerProfile:
        """The owner of the mailbox signs in, with the right password, and in the clear, unless told."""
        return a_profile(
            "localhost",
            username=sender.address,
            secret=secret or place.password,
            server_type=ServerType.IMAP_SMTP,
            use_same_settings_for_outgoing=False,
            outgoing_location="localhost",
            outgoing_port=outgoing_port or place.smtp.plain,
            outgoing_use_tls=outgoing_use_tls,
            outgoing_starttls=outgoing_starttls,
            outgoing_authentication=outgoing_authentication,
            timeout=timeout,
        )

    @pytest.fixture
    def connect(self) -> Iterator[Connect]:
        connecting = Connect(KnownSecrets(), allow_local_servers=True)
        yield connecting
        connecting.close()

    @pytest.fixture
    def sending(self, connect: Connect, profile: EmailServerProfile, anna: Arriving) -> Iterator[Sending]:
        with connect.outgoing(profile, a_mailbox(anna.address)) as opened:
            assert not isinstance(opened, Drafting)
            yield opened

    def send(self, connect: Connect, profile: EmailServerProfile, sender: Arriving, message: OutgoingMessage) -> Receipt:
        """One, in a session of its own."""
        with connect.outgoing(profile, a_mailbox(sender.address)) as opened:
            assert not isinstance(opened, Drafting)
            return opened.send(message)

    @pytest.fixture
    def trusting(self, place: SmtpPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """This machine trusts the server's certificate."""
        monkeypatch.setenv("SSL_CERT_FILE", str(place.certificate_file))
        destinations.tls_context.cache_clear()
        yield
        destinations.tls_context.cache_clear()


def given_to(tap: Tap) -> list[bytes]:
    """The messages that a client gave, in order, without the dots that it doubled; by DATA, in the clear. Where DATA was said
    ahead of an answer that refused it, no field follows."""
    found: list[bytes] = []
    content: list[bytes] | None = None
    before = b""
    for line in tap.said:
        if content is not None:
            if line == b".":
                found.append(b"".join(each + b"\r\n" for each in content))
                content = None
            else:
                content.append(line[1:] if line.startswith(b".") else line)
        elif before.upper() == b"DATA" and _FIELD.match(line):
            content = [line]
        before = line
    return found


def without(*extensions: bytes) -> Callable[[bytes], bytes]:
    """The answer to EHLO as a server gives it that knows less."""

    def altered(heard: bytes) -> bytes:
        if not any(b"250-" + each in heard.upper() or b"250 " + each in heard.upper() for each in extensions):
            return heard
        lines = [line for line in heard.splitlines() if not line[4:].upper().startswith(extensions)]
        return b"".join(b"250" + (b"-" if line is not lines[-1] else b" ") + line[4:] + b"\r\n" for line in lines)

    return altered


def as_parts(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text_of(raw: bytes) -> str:
    """What programs show that show no HTML; nothing where there is none."""
    part = as_parts(raw).get_body(("plain",))
    return "" if part is None else str(part.get_content())


def in_lines(text: str | None) -> list[str]:
    """How lines end is a matter of transport."""
    return (text or "").replace("\r\n", "\n").rstrip("\n").split("\n")


def longest_line(octets: bytes) -> int:
    """Without its end (RFC 5322 section 2.1.1)."""
    return max(map(len, octets.split(b"\r\n")))
