"""What POP3 and IMAP connections have in common when something is wrong: signing in, TLS, and servers that fall silent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest

from shared.connectors.destinations import LocationRefused
from shared.connectors.internet.sign_in import Token
from shared.domain.configuration import EmailServerProfile
from shared.domain.email import ItemRef
from shared.domain.errors import (
    AuthenticationFailed,
    CertificateRefused,
    ConnectionRefused,
    NameNotFound,
    NoAnswer,
    NoMailServer,
    NoTls,
    SyncError,
    TransientError,
)
from shared.domain.folders import INBOX
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import a_mailbox, failure
from tests.contracts.incoming_email import a_message, everything, fetched
from tests.contracts.internet_email import OverTheInternet
from tests.contracts.internet_mailboxes import InternetMailServed, Place
from tests.tap import Tap

CALLS: dict[str, Callable[[IncomingEmail, ItemRef], object]] = {
    "changes": lambda mail, _: mail.changes(INBOX, None),
    "envelopes": lambda mail, ref: list(mail.envelopes([ref])),
    "fetch": lambda mail, ref: list(mail.fetch([ref])),
    "raw": lambda mail, ref: list(mail.raw(ref)),
    "discard": lambda mail, ref: mail.discard([ref]),
}


@dataclass(slots=True)
class KnownTokens:
    tokens: list[str]
    forgotten: int = 0

    def token(self) -> str:
        return self.tokens[0]

    def forget(self) -> None:
        self.forgotten += 1
        self.tokens.pop(0)


class InternetFailures(OverTheInternet):
    sign_ins: tuple[bytes, ...]
    """What a client says to sign in, on the wire."""
    module: str
    """Where the connector finds out who signs in."""
    upgrade: bytes
    """The capability to turn to TLS."""
    idle_round_trips: int
    """Of a poll that finds nothing new: connecting, signing in and taking leave included."""

    @pytest.fixture
    def through_tap(self, place: Place, served: InternetMailServed, tap: Tap) -> EmailServerProfile:
        return self.profile_of(place, served, incoming_port=tap.port, timeout=timedelta(seconds=10))

    def refusal(self, line: bytes) -> bytes:
        """How the server refuses this command."""
        raise NotImplementedError

    def listed(self, profile: EmailServerProfile, served: InternetMailServed) -> list[str]:
        return self.in_one_session(profile, served, lambda mail: [item.message_id or "" for item in everything(mail)[0]])

    def attempts(self, tap: Tap) -> int:
        """How often somebody tried to sign in."""
        return sum(any(word in line.upper() for word in self.sign_ins) for line in tap.said)

    # ---- signing in

    def test_a_wrong_password_is_tried_once(
        self, place: Place, served: InternetMailServed, through_tap: EmailServerProfile, tap: Tap
    ) -> None:
        profile = self.profile_of(place, served, incoming_port=tap.port, secret="wrong")
        error = failure(lambda: self.listed(profile, served))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
        assert self.attempts(tap) == 1
        assert self.listed(through_tap, served) == []

    def test_a_password_never_goes_in_the_clear_unless_that_is_allowed(self, place: Place, served: InternetMailServed) -> None:
        """Not even to another machine: this address is nobody's (RFC 5737)."""
        profile = self.profile_of(place, served, incoming_location="192.0.2.1", timeout=timedelta(seconds=1))
        opening = self.opened(profile, a_mailbox(served.address), allow_local_servers=False)
        with pytest.raises(LocationRefused), opening as mail:
            mail.changes(INBOX, None)

    def test_this_machine_is_no_destination_unless_that_is_allowed(
        self, place: Place, served: InternetMailServed, tap: Tap
    ) -> None:
        profile = self.profile_of(place, served, incoming_use_tls=True, incoming_port=tap.port)
        opening = self.opened(profile, a_mailbox(served.address), allow_local_servers=False)
        with pytest.raises(LocationRefused), opening as mail:
            mail.changes(INBOX, None)
        assert tap.connections == 0

    def test_a_token_signs_in(
        self, place: Place, served: InternetMailServed, through_tap: EmailServerProfile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        served.deliver(bytes(a_message()))
        tokens = self.signing_in_with(served, [place.token(served.address)], monkeypatch)
        assert self.listed(through_tap, served) == ["one@fabrikam.example"]
        assert tokens.forgotten == 0

    def test_a_token_that_is_refused_is_replaced_once(
        self,
        place: Place,
        served: InternetMailServed,
        through_tap: EmailServerProfile,
        tap: Tap,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tokens = self.signing_in_with(served, ["withdrawn", place.token(served.address)], monkeypatch)
        assert self.listed(through_tap, served) == []
        assert (tokens.forgotten, self.attempts(tap)) == (1, 2)

    def test_tokens_that_are_all_refused_are_not_tried_for_ever(
        self, served: InternetMailServed, through_tap: EmailServerProfile, tap: Tap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.signing_in_with(served, [f"withdrawn-{number}" for number in range(9)], monkeypatch)
        assert isinstance(failure(lambda: self.listed(through_tap, served)), AuthenticationFailed)
        assert self.attempts(tap) == 2

    def signing_in_with(
        self, served: InternetMailServed, tokens: Sequence[str], monkeypatch: pytest.MonkeyPatch
    ) -> "KnownTokens":
        """The owner of the mailbox signs in with these, one after the other as they are forgotten."""
        known = KnownTokens(list(tokens))
        sign_in = Token(served.address, known, profile_wide=True)
        monkeypatch.setattr(f"{self.module}.sign_in_for", lambda *_, **__: sign_in)
        return known

    # ---- TLS

    @pytest.fixture(params=["from the start", "on request"])
    def over_tls(self, request: pytest.FixtureRequest, place: Place, served: InternetMailServed) -> EmailServerProfile:
        on_request = request.param == "on request"
        ports = self.ports_of(place)
        port = ports.plain if on_request else ports.tls
        return self.profile_of(place, served, incoming_use_tls=True, incoming_starttls=on_request, incoming_port=port)

    @pytest.mark.usefixtures("trusting")
    def test_mail_comes_over_tls(self, over_tls: EmailServerProfile, served: InternetMailServed) -> None:
        served.deliver(bytes(a_message()))
        assert self.listed(over_tls, served) == ["one@fabrikam.example"]

    def test_a_certificate_that_nobody_vouches_for_is_refused(
        self, over_tls: EmailServerProfile, served: InternetMailServed
    ) -> None:
        assert isinstance(failure(lambda: self.listed(over_tls, served)), CertificateRefused)

    @pytest.mark.usefixtures("trusting")
    @pytest.mark.parametrize("offers", [True, False])
    def test_who_keeps_a_connection_from_turning_to_tls_hears_no_password(
        self, place: Place, served: InternetMailServed, tap: Tap, *, offers: bool
    ) -> None:
        def alter(heard: bytes) -> bytes:
            if tap.said and self.upgrade in tap.said[-1]:
                return self.refusal(tap.said[-1])
            return heard if offers else heard.replace(self.upgrade, b"X" * len(self.upgrade))

        tap.alter = alter
        profile = self.profile_of(place, served, incoming_use_tls=True, incoming_starttls=True, incoming_port=tap.port)
        assert isinstance(failure(lambda: self.listed(profile, served)), TransientError)
        assert self.attempts(tap) == 0

    @pytest.mark.usefixtures("trusting")
    def test_who_refuses_tls_on_the_way_hears_no_password(self, place: Place, served: InternetMailServed, tap: Tap) -> None:
        profile = self.profile_of(place, served, incoming_use_tls=True, incoming_starttls=True, incoming_port=tap.port)
        tap.break_before(self.upgrade + b"\r\n")
        assert isinstance(failure(lambda: self.listed(profile, served)), TransientError)
        assert self.attempts(tap) == 0

    def test_a_server_that_speaks_no_tls_is_called_that(self, place: Place, served: InternetMailServed) -> None:
        profile = self.profile_of(place, served, incoming_use_tls=True)
        assert isinstance(failure(lambda: self.listed(profile, served)), NoTls)

    # ---- who is there

    def test_a_name_that_nobody_has_is_called_that(self, place: Place, served: InternetMailServed) -> None:
        profile = self.profile_of(place, served, incoming_location="mail.contoso.invalid")
        assert isinstance(failure(lambda: self.listed(profile, served)), NameNotFound)

    def test_a_port_that_nobody_listens_on_is_called_that(
        self, place: Place, served: InternetMailServed, closed_port: int
    ) -> None:
        profile = self.profile_of(place, served, incoming_location="127.0.0.1", incoming_port=closed_port)
        assert isinstance(failure(lambda: self.listed(profile, served)), ConnectionRefused)

    def test_another_kind_of_server_is_called_that(self, place: Place, served: InternetMailServed, tap: Tap) -> None:
        tap.alter = lambda _: b"SSH-2.0-OpenSSH_9.9\r\n"
        profile = self.profile_of(place, served, incoming_port=tap.port)
        assert isinstance(failure(lambda: self.listed(profile, served)), NoMailServer)
        assert self.attempts(tap) == 0

    # ---- what breaks

    @pytest.fixture
    def opened_with_one(
        self, through_tap: EmailServerProfile, served: InternetMailServed
    ) -> Iterator[tuple[IncomingEmail, ItemRef]]:
        served.deliver(bytes(a_message(text="some text\r\n" * 5000)))
        with self.opened(through_tap, a_mailbox(served.address)) as incoming:
            ((item,), _) = everything(incoming)
            yield incoming, item.ref

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("after", [0, 3, 300], ids=["at once", "in a word", "in a line"])
    def test_a_server_that_hangs_up_is_tried_again(
        self, opened_with_one: tuple[IncomingEmail, ItemRef], tap: Tap, call: str, after: int
    ) -> None:
        incoming, ref = opened_with_one
        tap.cut_after(after)
        with suppress(
            TransientError
        ):  # an envelope may be known, and who deletes may connect anew: nothing else may come of it
            CALLS[call](incoming, ref)
        tap.reset()
        assert isinstance(failure_or_none(lambda: CALLS["changes"](incoming, ref)), TransientError | None)

    @pytest.mark.parametrize("call", ["fetch", "raw"])
    def test_a_message_that_is_cut_short_is_no_message(
        self, opened_with_one: tuple[IncomingEmail, ItemRef], tap: Tap, call: str
    ) -> None:
        incoming, ref = opened_with_one
        tap.cut_after(30_000)
        with pytest.raises(TransientError):
            CALLS[call](incoming, ref)

    def test_after_a_break_everything_is_there_again(
        self,
        through_tap: EmailServerProfile,
        opened_with_one: tuple[IncomingEmail, ItemRef],
        served: InternetMailServed,
        tap: Tap,
    ) -> None:
        incoming, ref = opened_with_one
        tap.cut_after(300)
        with pytest.raises(TransientError):
            list(incoming.fetch([ref]))
        tap.reset()
        message = self.in_one_session(through_tap, served, lambda mail: fetched(mail, [ref]))[0]
        assert message.message_id == "one@fabrikam.example"

    def test_a_server_that_falls_silent_is_not_waited_for(self, place: Place, served: InternetMailServed, tap: Tap) -> None:
        profile = self.profile_of(place, served, incoming_port=tap.port, timeout=timedelta(seconds=1))
        tap.stall()
        assert isinstance(failure(lambda: self.listed(profile, served)), NoAnswer)

    def test_a_server_that_falls_silent_in_the_middle_is_not_waited_for(
        self, place: Place, served: InternetMailServed, tap: Tap
    ) -> None:
        served.deliver(bytes(a_message()))
        profile = self.profile_of(place, served, incoming_port=tap.port, timeout=timedelta(seconds=1))
        with self.opened(profile, a_mailbox(served.address)) as incoming:
            ((item,), _) = everything(incoming)
            tap.stall()
            with pytest.raises(TransientError):
                list(incoming.raw(item.ref))

    # ---- what a poll costs

    def test_a_poll_that_finds_nothing_costs_few_round_trips(
        self, through_tap: EmailServerProfile, served: InternetMailServed, tap: Tap
    ) -> None:
        for number in range(20):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")))
        watermark = self.in_one_session(through_tap, served, lambda mail: everything(mail)[1])
        tap.settle()
        tap.reset()
        assert self.in_one_session(through_tap, served, lambda mail: mail.changes(INBOX, watermark)).items == ()
        assert tap.connections == 1
        assert tap.round_trips <= self.idle_round_trips, tap.said


def failure_or_none(attempt: Callable[[], object]) -> SyncError | None:
    try:
        attempt()
    except SyncError as error:
        return error
    return None
