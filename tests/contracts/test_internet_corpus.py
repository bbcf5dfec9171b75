"""Real and deliberately broken mail by POP3 and IMAP: every message is listed, comes octet for octet, and is a message or has
an error of its own."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from local.mailserver import MailServer
from shared.domain.email import Envelope, IncomingMessage, ItemRef
from shared.ports import IncomingEmail
from tests.builders import envelope_of
from tests.contracts.exchange_mailboxes import a_mailbox
from tests.contracts.imap_email import OverImap
from tests.contracts.incoming_email import content, everything
from tests.contracts.internet_email import OverTheInternet
from tests.contracts.internet_mailboxes import DovecotPlace, LocalPlace, Place
from tests.contracts.pop3_email import OverPop3
from tests.dovecot import Dovecot

CORPUS = Path(__file__).parents[3] / "shared" / "mail-corpus"

ODD_NAMES = re.compile(rb"\A[ \t]+\S|^[!-9;-~]+[ \t]+:", re.MULTILINE)
"""Of header fields, which IMAP servers read as they like: with space before them, or behind (RFC 5322 section 4.5)."""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the repository")


class Pop3(OverPop3, OverTheInternet): ...


class Imap(OverImap, OverTheInternet): ...


@pytest.fixture(scope="module", params=["the local server", "Dovecot"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "Dovecot":
        dovecot: Dovecot = request.getfixturevalue("dovecot")
        return DovecotPlace(dovecot)
    server: MailServer = request.getfixturevalue("server")
    return LocalPlace(server)


@pytest.fixture(scope="module", params=[Pop3, Imap])
def incoming(request: pytest.FixtureRequest, place: Place) -> Iterator[IncomingEmail]:
    """A mailbox with a message of every file."""
    protocol: OverTheInternet = request.param()
    served = place.new_mailbox()
    for path in sorted(CORPUS.rglob("*.eml")):
        served.deliver(path.read_bytes(), internal=None)
    with protocol.opened(protocol.profile_of(place, served), a_mailbox(served.address)) as opened:
        yield opened


@pytest.fixture(scope="module")
def refs(incoming: IncomingEmail) -> list[ItemRef]:
    return [item.ref for item in everything(incoming, limit=100)[0]]


def test_every_file_arrives_octet_for_octet(incoming: IncomingEmail, refs: list[ItemRef]) -> None:
    """But for the ends of lines, which are the protocol's own, and for NUL, which IMAP has not (RFC 3501 section 4.3)."""
    delivered = Counter(lines_of(path.read_bytes()) for path in CORPUS.rglob("*.eml"))
    arrived = Counter(lines_of(b"".join(incoming.raw(ref))) for ref in refs)
    assert len(refs) > 400
    assert not [raw[:200] for raw in (delivered - arrived)]
    assert not [raw[:200] for raw in (arrived - delivered)]


def test_every_file_is_a_message_and_its_envelope_says_the_same(incoming: IncomingEmail, refs: list[ItemRef]) -> None:
    envelopes = dict(incoming.envelopes(refs))
    differing: dict[tuple[str, str], tuple[object, object]] = {}
    for ref, outcome in incoming.fetch(refs):
        assert isinstance(outcome, IncomingMessage), outcome
        if ODD_NAMES.search(b"".join(incoming.raw(ref)).replace(b"\r\n", b"\n").partition(b"\n\n")[0]):
            continue
        known = envelopes[ref]
        assert isinstance(known, Envelope), known
        whole = envelope_of(outcome)
        assert abs(known.size - whole.size) <= len(b"\r\n")
        differing |= {
            (ref.id, each.name): (getattr(known, each.name), getattr(whole, each.name))
            for each in fields(Envelope)
            if getattr(comparable(known), each.name) != getattr(comparable(whole), each.name)
        }
        for attachment in outcome.attachments:
            assert isinstance(content(attachment), bytes)
            assert not attachment.is_message or attachment.identity
    assert not differing


def lines_of(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\0", b"\x80").rstrip(b"\n")


def comparable(envelope: Envelope) -> Envelope:
    """Which kind of delivery report it is stands in its body; the last line end may be the protocol's."""
    about = "REPORT" if envelope.item_class.startswith("REPORT.") else envelope.item_class
    return replace(envelope, item_class=about, size=0)
