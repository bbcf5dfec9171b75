"""POP3 with servers that are unusual, broken or hostile, and with connections that are lost at every command.

What holds for servers as they should be stands in the contract suites.
"""

import base64
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic, sleep

import pytest

from shared.connectors.gate import RefusedBefore
from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, SignIn, Token
from shared.connectors.pop3 import connection as wire
from shared.connectors.pop3 import mail as module
from shared.connectors.pop3 import session as sessions
from shared.connectors.pop3.contents import Sink
from shared.connectors.pop3.errors import DigestRefused, PopNotAllowed, ReplyTooLong, TokensRefused, UidlMissing
from shared.connectors.pop3.mail import Pop3Mail
from shared.connectors.pop3.session import Session
from shared.domain.choices import AuthenticationProtocol
from shared.domain.email import Envelope, IncomingMessage, ItemRef, ListedItem
from shared.domain.errors import (
    AuthenticationFailed,
    Busy,
    ItemError,
    ItemGone,
    ItemRejected,
    ItemTooLarge,
    ItemUnreadable,
    NoAnswer,
    NoMailServer,
    NoTls,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
    WatermarkExpired,
)
from shared.domain.folders import INBOX
from tests.unit.connectors.scripted_pop3 import Maildrop, Said, ScriptedPop3

SOON = timedelta(seconds=5)
ANNA = Password("anna", "secret", profile_wide=False)


def a_mail(name: str, text: str = "Hello", hour: int = 12) -> bytes:
    return (
        f"Received: from a by b; Sun, 22 Nov 2026 {hour}:00:00 +0000\r\nFrom: bert@fabrikam.example\r\n"
        f"Message-ID: <{name}@fabrikam.example>\r\n\r\n{text}\r\n"
    ).encode()


def a_maildrop(count: int = 3) -> Maildrop:
    return Maildrop({f"u{number}": a_mail(str(number)) for number in range(1, count + 1)})


@contextmanager
def opened(
    server: ScriptedPop3,
    who: SignIn = ANNA,
    gates: Gates | None = None,
    *,
    timeout: timedelta = SOON,
    security: Security = Security.NONE,
    protocol: AuthenticationProtocol = AuthenticationProtocol.BASIC,
) -> Iterator[Pop3Mail]:
    at = Server("127.0.0.1", server.port, security)
    gate = gates.at(at, who) if gates is not None and isinstance(who, Password) else None
    session = Session(at, who, gate, protocol, timeout, allow_local_servers=True)
    try:
        yield Pop3Mail(session)
    finally:
        session.close()


@contextmanager
def serving(maildrop: Maildrop | None = None, *, line_end: bytes = b"\r\n", **script: Said) -> Iterator[ScriptedPop3]:
    """Replies by command; `greeting` is that to a connection."""
    said = {"" if name == "greeting" else name: reply for name, reply in script.items()}
    with ScriptedPop3(maildrop or a_maildrop(), said, line_end).running() as server:
        yield server


def everything(mail: Pop3Mail, watermark: str | None = None, limit: int = 512) -> tuple[list[ListedItem], str]:
    items: list[ListedItem] = []
    while True:
        page = mail.changes(INBOX, watermark, limit)
        items += page.items
        watermark = page.watermark
        if not page.more:
            return items, watermark


def polled(server: ScriptedPop3, watermark: str | None = None) -> tuple[list[ListedItem], str]:
    with opened(server) as mail:
        return everything(mail, watermark)


def fetched(mail: Pop3Mail, *uidls: str) -> list[IncomingMessage | ItemError]:
    refs = [ItemRef(uidl, INBOX.id) for uidl in uidls]
    outcomes = list(mail.fetch(refs))
    assert [ref for ref, _ in outcomes] == refs
    return [outcome for _, outcome in outcomes]


def names(items: list[ListedItem]) -> list[str]:
    return [(item.message_id or "?").partition("@")[0] for item in items]


def failure(server: ScriptedPop3, **others: object) -> SyncError:
    with opened(server, **others) as mail, pytest.raises(SyncError) as raised:  # type: ignore[arg-type]
        mail.changes(INBOX, None)
    return raised.value


# ---- signing in


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"-ERR wrong\r\n", AuthenticationFailed),
        (b"-ERR [AUTH] wrong\r\n", AuthenticationFailed),
        (b"-ERR [IN-USE] another session\r\n", Busy),
        (b"-ERR unable to lock maildrop\r\n", Busy),
        (b"-ERR [SYS/TEMP] later\r\n", Busy),
        (b"-ERR internal server error\r\n", Busy),
        (b"-ERR [SYS/PERM] POP is off for this account\r\n", PopNotAllowed),
        (b"-ERR [LOGIN-DELAY] wait\r\n", Throttled),
        (b"-ERR [auth] wrong, the maildrop is not in use\r\n", AuthenticationFailed),
        (b"* OK this is IMAP\r\n", NoMailServer),
    ],
)
def test_why_nobody_may_sign_in_says_what_to_do(reply: bytes, kind: type[SyncError]) -> None:
    with serving(PASS=reply) as server:
        assert type(failure(server)) is kind


def test_a_refused_password_is_tried_once_and_not_by_the_next_run() -> None:
    gates = Gates()
    with serving(PASS=b"-ERR wrong\r\n") as server:
        assert type(failure(server, gates=gates)) is AuthenticationFailed
        assert type(failure(server, gates=gates)) is RefusedBefore
        assert server.count("PASS") == 1


def test_a_maildrop_in_use_says_nothing_about_the_password() -> None:
    gates = Gates()
    with serving(PASS=b"-ERR [IN-USE] wait\r\n") as server:
        failure(server, gates=gates)
        assert type(failure(server, gates=gates)) is Busy


def test_whoever_comes_after_an_accepted_password_does_not_wait_for_others() -> None:
    gates = Gates()
    with serving() as server:
        with opened(server, gates=gates) as mail:
            assert mail.changes(INBOX, None).items
            at = mail._session.server
        with gates.at(at, ANNA).attempt(0.1), opened(server, gates=gates, timeout=timedelta(seconds=0.5)) as mail:
            assert mail.changes(INBOX, None).items


@pytest.mark.parametrize("who", [Password("anna\r\nDELE 1", "x", False), Password("anna", "x\nDELE 1", False)])
def test_no_command_is_smuggled_in_by_a_name_or_password(who: Password) -> None:
    with serving() as server:
        assert isinstance(failure(server, who=who), AuthenticationFailed)
        assert server.count("DELE") == 0


TIMESTAMPED = b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n"


def test_a_password_goes_as_a_digest_over_a_connection_in_the_clear() -> None:
    with serving(greeting=TIMESTAMPED, APOP=b"+OK\r\n") as server:
        with opened(server, Password("mrose", "tanstaaf", False), protocol=AuthenticationProtocol.AUTO_DETECT) as mail:
            everything(mail)
        assert server.asked[1] == "APOP mrose c4c9334bac560ecc979e58001b3e22fb"  # the example of RFC 1939
        assert server.count("PASS") == 0


def test_a_digest_that_is_refused_is_not_followed_by_the_password() -> None:
    with serving(greeting=TIMESTAMPED, APOP=b"-ERR no\r\n") as server:
        assert type(failure(server, protocol=AuthenticationProtocol.AUTO_DETECT)) is DigestRefused
        assert server.count("PASS") == server.count("USER") == 0


def test_basic_means_the_password_itself_even_where_a_digest_is_offered() -> None:
    with serving(greeting=TIMESTAMPED) as server:
        polled(server)
        assert server.asked[1:3] == ["USER anna", "PASS secret"]


class ThreeTokens:
    """Gives the same one until it is told to forget it."""

    def __init__(self) -> None:
        self.number = 1

    def token(self) -> str:
        return f"token{self.number}"

    def forget(self) -> None:
        self.number += 1


@contextmanager
def serving_tokens(accepted: str) -> Iterator[ScriptedPop3]:
    with serving(AUTH=b"+ \r\n") as server:
        replies = {
            base64.b64encode(f"user=anna\x01auth=Bearer {token}\x01\x01".encode()).decode(): (
                b"+OK\r\n" if token == accepted else b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"
            )
            for token in ("token1", "token2", "token3")
        }
        server.script = {**server.script, **replies}
        yield server


def test_a_token_that_is_refused_is_replaced_once() -> None:
    with serving_tokens("token2") as server:
        with opened(server, Token("anna", ThreeTokens(), profile_wide=True)) as mail:
            assert names(everything(mail)[0]) == ["1", "2", "3"]
        assert server.count("AUTH") == 2


def test_a_second_token_that_is_refused_is_the_end_of_it() -> None:
    with serving_tokens("token3") as server:
        error = failure(server, who=Token("anna", ThreeTokens(), profile_wide=True))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
        assert "token" not in str(error).replace("the token", "")
        assert server.count("AUTH") == 2
        assert server.count("") == 4, "two connections, and an empty line to hear each refusal"


def test_a_server_that_takes_no_tokens_is_told_as_that() -> None:
    with serving(AUTH=b"-ERR unknown mechanism\r\n") as server:
        assert isinstance(failure(server, who=Token("anna", ThreeTokens(), profile_wide=True)), TokensRefused)
        assert server.count("AUTH") == 1


@pytest.mark.parametrize("reply", [b"-ERR no\r\n", b"+OK\r\n+OK anna is signed in\r\n", b"what?\r\n"])
def test_nobody_signs_in_where_the_connection_does_not_turn_to_tls(reply: bytes) -> None:
    with serving(STLS=reply) as server:
        assert isinstance(failure(server, security=Security.UPGRADE), NoTls)
        assert server.count("USER") == server.count("PASS") == 0


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"220 smtp\r\n", NoMailServer),
        (b"-ERR [SYS/TEMP] full\r\n", Busy),
        (b"x" * 20_000, NoMailServer),
        (b"\n", NoMailServer),
    ],
)
def test_a_greeting_that_is_none(greeting: bytes, kind: type[SyncError]) -> None:
    with serving(greeting=greeting) as server:
        assert type(failure(server)) is kind


def test_a_server_that_hangs_up_at_once_cannot_be_reached() -> None:
    with serving(greeting=lambda _: None) as server:
        assert isinstance(failure(server), Unreachable)


def test_a_server_that_says_nothing_more_has_no_answer() -> None:
    with serving(STAT=b"") as server:
        assert isinstance(failure(server, timeout=timedelta(seconds=0.3)), NoAnswer)


# ---- listing


def test_an_idle_poll_lists_nothing() -> None:
    with serving() as server:
        _, watermark = polled(server)
        server.asked.clear()
        with opened(server) as mail:
            page = mail.changes(INBOX, watermark)
        assert (page.items, page.more, page.watermark) == ((), False, watermark)
        assert server.asked == ["", "USER anna", "PASS secret", "STAT", "UIDL 3", "QUIT"]


def test_an_empty_maildrop_that_stays_empty_is_not_listed_either() -> None:
    with serving(Maildrop()) as server:
        _, watermark = polled(server)
        server.asked.clear()
        polled(server, watermark)
        assert server.asked == ["", "USER anna", "PASS secret", "STAT", "QUIT"]


def test_the_newest_page_comes_first_and_new_mail_before_what_is_left() -> None:
    maildrop = a_maildrop(7)
    with serving(maildrop) as server:
        with opened(server) as mail:
            first = mail.changes(INBOX, None, limit=3)
        maildrop.messages["u8"] = a_mail("8")
        with opened(server) as mail:
            rest, watermark = everything(mail, first.watermark, limit=3)
        assert names(list(first.items)) == ["5", "6", "7"]
        assert names(rest) == ["3", "4", "8", "1", "2"] or names(rest)[:3] == ["3", "4", "8"]
        assert polled(server, watermark)[0] == []


def test_pages_of_one_session_list_the_maildrop_once() -> None:
    with serving(a_maildrop(60)) as server:
        with opened(server) as mail:
            assert len(everything(mail, limit=25)[0]) == 60
        assert (server.count("UIDL"), server.count("LIST"), server.count("TOP")) == (1, 1, 60)


def test_messages_whose_numbers_changed_are_told_by_their_ids() -> None:
    maildrop = a_maildrop(4)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        del maildrop.messages["u1"]
        maildrop.messages["u5"] = a_mail("5")
        assert names(polled(server, watermark)[0]) == ["5"]
        with opened(server) as mail:
            (message,) = fetched(mail, "u3")
        assert isinstance(message, IncomingMessage)
        assert message.message_id == "3@fabrikam.example"


def test_a_message_that_comes_back_is_listed_again_once_it_was_forgotten() -> None:
    maildrop = a_maildrop(3)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        gone = maildrop.messages.pop("u2")
        _, watermark = polled(server, watermark)
        maildrop.messages["u2"] = gone
        assert names(polled(server, watermark)[0]) == ["2"]


def test_who_asks_again_what_came_hears_of_it_without_opening_the_mailbox_anew() -> None:
    maildrop = a_maildrop(2)
    with serving(maildrop) as server, opened(server) as mail:
        _, watermark = everything(mail)
        assert everything(mail, watermark)[0] == []
        maildrop.messages["u3"] = a_mail("3")
        assert names(everything(mail, watermark)[0]) == ["3"]
        maildrop.messages["u4"] = a_mail("4")
        assert names(everything(mail)[0]) == ["1", "2", "3", "4"]


def test_after_an_answer_that_is_none_another_session_is_begun() -> None:
    with serving(STAT=b"what?\r\n+OK 0 0\r\n") as server, opened(server) as mail:
        with pytest.raises(TransientError):
            mail.changes(INBOX, None)
        server.script = {}
        assert names(everything(mail)[0]) == ["1", "2", "3"]
        assert server.count("") == 2


def test_a_list_that_is_cut_short_makes_nothing_new() -> None:
    """A server that tells three of ten messages one day has not lost the others."""
    with serving(a_maildrop(10)) as server:
        _, watermark = polled(server)
        server.script = {"UIDL": lambda number: b"-ERR\r\n" if number else b"+OK\r\n1 u1\r\n2 u2\r\n.\r\n"}
        items, watermark = polled(server, watermark)
        assert items == []
        server.script = {}
        assert polled(server, watermark)[0] == []


@pytest.mark.parametrize("count", [10, 40])
def test_a_maildrop_that_moved_to_another_server_is_listed_from_its_start(count: int) -> None:
    maildrop = a_maildrop(count)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        maildrop.messages = {f"other-{uidl}": content for uidl, content in maildrop.messages.items()}
        with opened(server) as mail, pytest.raises(WatermarkExpired):
            mail.changes(INBOX, watermark)


@pytest.mark.parametrize(("count", "hour"), [(9, 12), (40, 13)], ids=["a few", "many that came later"])
def test_a_maildrop_that_was_emptied_and_filled_again_is_not_taken_for_another(count: int, hour: int) -> None:
    maildrop = a_maildrop(count)
    with serving(maildrop) as server:
        _, watermark = polled(server)
        maildrop.messages = {f"new-{number}": a_mail(f"new{number}", hour=hour) for number in range(count)}
        assert len(polled(server, watermark)[0]) == count


@pytest.mark.parametrize("watermark", ["", "x", "pop3-1:::::", "pop3-1:x:1:2:z:QUJD", "pop3-0::::", "pop3-1::a:b:c:", "\ud800"])
def test_a_watermark_of_nobody_has_expired(watermark: str) -> None:
    with serving() as server, opened(server) as mail, pytest.raises(WatermarkExpired):
        mail.changes(INBOX, watermark)


def test_a_watermark_of_ten_thousand_messages_has_no_more_than_eleven_bytes_for_each() -> None:
    """And is read to its end in 20 pages of one session, that lists it once."""
    lines = b"".join(b"%d %032x\r\n" % (number, number) for number in range(1, 10_001))
    refused = b"-ERR what?\r\n"
    with serving(
        STAT=b"+OK 10000 100\r\n", UIDL=b"+OK\r\n" + lines + b".\r\n", LIST=refused, TOP=refused, CAPA=refused
    ) as server:
        with opened(server) as mail:
            items, watermark = everything(mail)
        assert len({item.ref for item in items}) == 10_000
        assert len(watermark) < 10_000 * 10.7 + 100
        assert server.count("UIDL") == 1


def test_without_uidl_a_maildrop_cannot_be_read() -> None:
    with serving(UIDL=b"-ERR what?\r\n", CAPA=b"-ERR what?\r\n") as server:
        assert "IMAP" in failure(server).remedy
        assert isinstance(failure(server), UidlMissing)


def test_a_server_that_has_uidl_and_refuses_it_for_now_is_tried_again() -> None:
    with serving(UIDL=b"-ERR not now\r\n") as server:
        assert isinstance(failure(server), TransientError)


def test_without_top_what_list_says_is_all_that_is_listed() -> None:
    with serving(TOP=b"-ERR what?\r\n", CAPA=b"-ERR what?\r\n") as server:
        with opened(server) as mail:
            items, _ = everything(mail)
            (outcome,) = [outcome for _, outcome in mail.envelopes([items[0].ref])]
        assert [(item.message_id, item.size) for item in items] == [(None, len(a_mail("1")))] * 3
        assert isinstance(outcome, Envelope)
        assert outcome.message_id == "1@fabrikam.example"
        assert server.count("TOP") == 1


def test_one_message_whose_header_is_refused_is_listed_all_the_same() -> None:
    maildrop = a_maildrop(3)
    top = maildrop.replies()["TOP"]
    assert callable(top)
    with serving(maildrop, TOP=lambda said: b"-ERR\r\n" if said.startswith("2 ") else top(said)) as server:
        items, _ = polled(server)
        assert names(items) == ["1", "?", "3"]


def test_a_server_that_offers_nothing_is_asked_one_thing_at_a_time() -> None:
    maildrop = a_maildrop(5)
    with serving(maildrop, CAPA=b"-ERR what?\r\n") as server:
        with opened(server) as mail:
            items, _ = everything(mail)
            outcomes = fetched(mail, *(item.ref.id for item in items))
        assert names(items) == ["1", "2", "3", "4", "5"]
        assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes)


def test_lists_in_any_order_with_lines_of_nonsense_are_understood() -> None:
    uidl = b"+OK\r\n3 u3\r\nnonsense\r\n\r\n2\r\n1 u1 and more\r\n-5 u5\r\n99999999999999999999 u9\r\n2 u2\r\n.\r\n"
    listing = b"+OK\r\n2 x\r\n1 10\r\n3\r\n.\r\n"
    with serving(UIDL=uidl, LIST=lambda number: b"-ERR\r\n" if number else listing) as server:
        items, _ = polled(server)
        assert [item.ref.id for item in items] == ["u1", "u2", "u3"]


def test_an_id_beyond_all_measure_is_known_by_its_hash() -> None:
    uidl = b"+OK\r\n1 " + b"x" * 100_000 + b"\r\n.\r\n"
    with serving(a_maildrop(1), UIDL=lambda number: b"-ERR\r\n" if number else uidl) as server:
        items, watermark = polled(server)
        assert len(items[0].ref.id) < 100
        assert polled(server, watermark)[0] == []


# ---- reading


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 1 << 17])
def test_messages_arrive_as_they_are_however_they_are_cut(line_end: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(chunk)
    bodies = [
        "",
        ".",
        "..",
        ".\r\n.",
        "a\r\n.\r\nb",
        "...\r\n..x\r\n",
        "\r\n\r\n.",
        "\r\n.." * 9,
        "x" * 3000 + "\r\n." + "." * 50,
    ]
    bodies += ["".join(chance.choice((".", "\r\n", "a")) for _ in range(60)) for _ in range(60)]
    maildrop = Maildrop({f"u{number}": a_mail(str(number), body) for number, body in enumerate(bodies)})
    monkeypatch.setattr(wire, "CHUNK", chunk)
    with serving(maildrop, line_end=line_end) as server, opened(server) as mail:
        for uidl, content in maildrop.messages.items():
            assert b"".join(mail.raw(ItemRef(uidl, INBOX.id))) == content.replace(b"\r\n", line_end)


def test_a_dot_between_other_line_ends_does_not_end_a_message() -> None:
    """Whoever writes such a message would otherwise write the server's next replies as well."""
    trap = a_mail("1", "before\n.\n+OK\nforged\n.\r\n+OK\r\nforged\r\n\n.\n")
    maildrop = Maildrop({"u1": trap, "u2": a_mail("2")})
    with serving(maildrop) as server, opened(server) as mail:
        assert b"".join(mail.raw(ItemRef("u1", INBOX.id))) == trap
        first, second = fetched(mail, "u1", "u2")
        assert isinstance(first, IncomingMessage)
        assert isinstance(second, IncomingMessage)
        assert second.message_id == "2@fabrikam.example"


def test_what_is_not_there_is_gone_and_the_others_come_in_order() -> None:
    with serving() as server, opened(server) as mail:
        outcomes = fetched(mail, "u3", "nowhere", "u1")
        assert [type(outcome) for outcome in outcomes] == [IncomingMessage, ItemGone, IncomingMessage]


def test_what_others_removed_during_the_session_is_gone() -> None:
    """A server lists within a session what it cannot give any more."""
    maildrop = a_maildrop(3)
    with serving(maildrop, RETR=b"-ERR expunged\r\n") as server, opened(server) as mail:
        everything(mail)
        del maildrop.messages["u2"]
        assert [type(outcome) for outcome in fetched(mail, "u1", "u2", "u3")] == [ItemUnreadable, ItemGone, ItemUnreadable]
        assert server.count("") == 2


def test_no_more_is_asked_for_at_once_than_fits_into_memory() -> None:
    refs = [ItemRef(str(number), INBOX.id) for number in range(6)]
    sizes = dict(zip(refs, (1 << 20, 3 << 20, 1, 9 << 20, 1, 1), strict=True))
    assert module._fitting(refs, sizes, None) == refs[:2]
    assert module._fitting(refs[2:], sizes, None) == refs[2:3]
    assert module._fitting(refs[3:], sizes, None) == refs[3:4]
    assert module._fitting(refs, sizes, 1000) == refs


def test_of_a_long_reply_no_more_is_kept_than_matters() -> None:
    sink = Sink(100, kept=5)
    for piece in (b"abc", b"def", b"ghi"):
        sink.write(piece)
    assert sink.content() == b"abcde"
    with pytest.raises(ReplyTooLong):
        sink.write(b"x" * 100)


def test_a_message_that_is_refused_though_it_is_there_is_an_item_that_fails() -> None:
    maildrop = a_maildrop(3)
    retrieve = maildrop.replies()["RETR"]
    assert callable(retrieve)
    with serving(maildrop, RETR=lambda number: b"-ERR broken\r\n" if number == "2" else retrieve(number)) as server:
        with opened(server) as mail:
            outcomes = fetched(mail, "u1", "u2", "u3")
        assert [type(outcome) for outcome in outcomes] == [IncomingMessage, ItemUnreadable, IncomingMessage]


def test_a_message_that_never_ends_is_cut_and_those_behind_it_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLACK", 1000)
    maildrop = a_maildrop(4)
    retrieve = maildrop.replies()["RETR"]
    assert callable(retrieve)
    endless = b"+OK\r\n" + b"more and more\r\n" * 200_000
    with serving(maildrop, RETR=lambda number: endless if number == "2" else retrieve(number)) as server:
        with opened(server) as mail:
            outcomes = fetched(mail, "u1", "u2", "u3", "u4")
        assert [type(outcome) for outcome in outcomes] == [IncomingMessage, ItemUnreadable, IncomingMessage, IncomingMessage]


def test_lists_that_never_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LARGEST_LIST", 10_000)
    with serving(UIDL=b"+OK\r\n" + b"1 u1\r\n" * 100_000) as server:
        assert isinstance(failure(server), TransientError)


def test_a_header_of_any_length_is_looked_at_as_far_as_it_goes() -> None:
    long = b"Message-ID: <1@fabrikam.example>\r\nX-Long: " + b"x" * 3_000_000 + b"\r\n\r\nHello\r\n"
    with serving(Maildrop({"u1": long, "u2": a_mail("2")})) as server:
        assert names(polled(server)[0]) == ["1", "2"]


def test_a_list_of_more_messages_than_a_maildrop_has_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_MESSAGES", 100)
    for line_end in (b"\n", b"\r"):
        listing = b"+OK\r\n" + b"".join(b"%d u%d" % (n, n) + line_end for n in range(300)) + b"\r\n.\r\n"
        with serving(UIDL=listing) as server:
            assert type(failure(server)) is TransientError


@pytest.mark.parametrize("said", [b"+OK\r\n1 10\r\n2 10\r\n3 10\r\n.\r\n", b"-ERR what?\r\n"], ids=["too small", "unknown"])
def test_messages_that_are_larger_than_the_server_says_are_not_held_together(said: bytes) -> None:
    """They are read one by one, and none is blamed for it."""
    maildrop = Maildrop({f"u{number}": a_mail(str(number), "x" * (4 << 20)) for number in range(1, 4)})
    at_once: list[int] = []

    def size(number: str) -> bytes:
        return b"+OK %s 10\r\n" % number.encode() if said.startswith(b"+OK") and number else said

    with serving(maildrop, LIST=size) as server, opened(server) as mail:
        for outcome in mail.fetch([ItemRef(f"u{number}", INBOX.id) for number in range(1, 4)]):
            assert isinstance(outcome[1], IncomingMessage)
            at_once.append(server.count("RETR"))
    assert said.startswith(b"+OK") or at_once == [1, 2, 3]


def test_replies_that_drip_take_no_longer_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LONGEST_REPLY", timedelta(seconds=1))
    maildrop = a_maildrop(10)
    original = maildrop.replies()["TOP"]

    def slowly(arguments: str) -> bytes | None:
        sleep(0.4)
        assert callable(original)
        return original(arguments)

    began = monotonic()
    with serving(maildrop, TOP=slowly) as server:
        assert type(failure(server)) is NoAnswer
    assert monotonic() - began < 3


def test_a_listing_that_takes_long_goes_on_without_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_LISTING", timedelta())
    with serving() as server:
        items, _ = polled(server)
        assert [item.ref.id for item in items]
        assert {item.message_id for item in items} == {None}


def test_a_message_larger_than_all_messages_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_MESSAGE", 100)
    with serving() as server, opened(server) as mail:
        (outcome,) = fetched(mail, "u1")
        assert isinstance(outcome, ItemTooLarge)
        assert server.count("RETR") == 0


def test_who_looks_at_one_message_may_ask_for_another_meanwhile() -> None:
    with serving(a_maildrop(5)) as server, opened(server) as mail:
        refs = [ItemRef(f"u{number}", INBOX.id) for number in range(1, 6)]
        for ref, outcome in mail.fetch(refs):
            assert isinstance(outcome, IncomingMessage)
            assert b"".join(mail.raw(ref)) == server.maildrop.messages[ref.id]


def test_a_large_message_is_read_from_a_file() -> None:
    text = "0123456789abcdef.\r\n.\r\n" * 300_000
    with serving(Maildrop({"u1": a_mail("1", text)})) as server, opened(server) as mail:
        (message,) = fetched(mail, "u1")
        assert isinstance(message, IncomingMessage)
        assert len(message.body_text or "") >= len(text) - 2
        pieces = list(mail.raw(ItemRef("u1", INBOX.id)))
        assert b"".join(pieces) == server.maildrop.messages["u1"]
        assert max(map(len, pieces)) <= 1 << 20


def test_a_session_that_fell_asleep_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_ASLEEP_AFTER", 0.0)
    with serving() as server, opened(server) as mail:
        everything(mail)
        server.lost_at = 0
        outcomes = fetched(mail, "u1", "u2")
        assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes)
        assert server.count("") == 2


# ---- deleting


def test_what_is_discarded_is_gone_and_nothing_else() -> None:
    with serving() as server, opened(server) as mail:
        assert mail.discard([ItemRef("u2", INBOX.id), ItemRef("gone", INBOX.id), ItemRef("u2", INBOX.id)]) == {}
        assert list(server.maildrop.messages) == ["u1", "u3"]
        assert [type(outcome) for outcome in fetched(mail, "u2", "u3")] == [ItemGone, IncomingMessage]


def test_messages_are_deleted_by_the_numbers_of_the_session_that_deletes() -> None:
    maildrop = a_maildrop(4)
    with serving(maildrop) as server:
        with opened(server) as mail:
            everything(mail)
            mail.discard([ItemRef("u1", INBOX.id)])
            mail.discard([ItemRef("u3", INBOX.id)])
        assert list(maildrop.messages) == ["u2", "u4"]


def test_a_refusal_to_delete_one_message_is_told_of_that_one() -> None:
    maildrop = a_maildrop(3)
    with serving(maildrop) as server, opened(server) as mail:
        everything(mail)
        mail._session.close()
        server.script = {"DELE": lambda number: b"-ERR no\r\n" if number == "2" else b"+OK\r\n"}
        refs = [ItemRef(uidl, INBOX.id) for uidl in ("u1", "u2")]
        refused = mail.discard(refs)
        assert list(refused) == [refs[1]]


def test_an_end_that_is_refused_deleted_nothing_for_certain() -> None:
    with (
        serving(QUIT=b"-ERR some messages were not removed\r\n") as server,
        opened(server) as mail,
        pytest.raises(TransientError),
    ):
        mail.discard([ItemRef("u1", INBOX.id)])


def test_what_shares_its_id_with_another_message_is_never_deleted() -> None:
    uidl = b"+OK\r\n1 same\r\n2 same\r\n3 u3\r\n.\r\n"
    with serving(UIDL=lambda number: b"-ERR\r\n" if number else uidl) as server:
        with opened(server) as mail:
            items, watermark = everything(mail)
            refs = [item.ref for item in items]
            assert len(set(refs)) == 3
            refused = mail.discard([*refs, ItemRef("same", INBOX.id)])
        assert {type(error) for error in refused.values()} == {ItemRejected}
        assert set(refused) == {*refs[:2], ItemRef("same", INBOX.id)}
        assert server.count("DELE") == 1
        assert polled(server, watermark)[0] == []


# ---- lost connections


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_connection_lost_at_any_command_loses_doubles_and_deletes_nothing_wrongly(pipelining: bool) -> None:
    """A run that lists, reads and deletes two of four messages, and is repeated until it is through."""
    lost_at, outcome = 0, ""
    while outcome != "never lost":
        maildrop = a_maildrop(4)
        script: dict[str, Said] = {} if pipelining else {"CAPA": b"-ERR what?\r\n"}
        with serving(maildrop, **script) as server:
            server.lost_at = lost_at
            read, attempts = run_to_the_end(server)
        assert sorted(read) == ["1", "2", "3", "4"], lost_at
        assert list(maildrop.messages) == ["u3", "u4"], lost_at
        assert attempts <= 2
        outcome = "never lost" if attempts == 1 and server.lost_at is not None else "lost"
        lost_at += 1
    assert lost_at > 12


def run_to_the_end(server: ScriptedPop3) -> tuple[set[str], int]:
    read: set[str] = set()
    for attempt in range(1, 5):
        try:
            with opened(server) as mail:
                items, _ = everything(mail)
                messages = fetched(mail, *(item.ref.id for item in items))
                read |= {str(each.message_id).partition("@")[0] for each in messages if isinstance(each, IncomingMessage)}
                assert mail.discard([ItemRef("u1", INBOX.id), ItemRef("u2", INBOX.id)]) == {}
        except TransientError:
            continue
        return read, attempt
    raise AssertionError("It never comes to an end.")


def test_a_connection_lost_before_the_end_deletes_nothing() -> None:
    with serving(QUIT=lambda _: None) as server, opened(server) as mail:
        with pytest.raises(TransientError):
            mail.discard([ItemRef("u1", INBOX.id)])
        assert len(server.maildrop.messages) == 3
