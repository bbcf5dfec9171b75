"""How a message becomes an activity: ids, fingerprint, parties, text."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.choices import Direction, Notifications, OwnerKind, SenderOrigin
from shared.domain.configuration import AddressMatch, Mailbox, Matches
from shared.domain.email import Address, IncomingMessage, NewEmail
from shared.domain.ids import OwnerId, email_id
from shared.domain.organisation import OrganisationSettings
from shared.sync.acceptance import Facts, direction_stored, judge
from shared.sync.judged import Judged
from shared.sync.promotion import HashedAttachment, as_variant, promote
from shared.sync.resolution import resolve
from shared.sync.text import collapsed, text_of_html
from tests.builders import MONDAY, a_mailbox, a_message

ANNA = AddressMatch(OwnerKind.USER, OwnerId("user-anna"), "Anna")
DEFAULTS = OrganisationSettings()
FILE = HashedAttachment("a.pdf", "application/pdf", 3, "abc")


def promoted_in(
    mailbox: Mailbox,
    message: IncomingMessage,
    attachments: Sequence[HashedAttachment] = (),
    matches: Matches | None = None,
    settings: OrganisationSettings = DEFAULTS,
    now: datetime = MONDAY,
) -> NewEmail:
    everybody = matches or {}
    facts = Facts(mailbox, Direction.INCOMING, settings, everybody, own_voice=None)
    resolution = resolve(message, Direction.INCOMING, everybody, mailbox, settings)
    judged = Judged(message, facts, judge(message, facts), direction_stored(message, facts), resolution)
    return promote(message, attachments, judged, now).email


def promoted(message: IncomingMessage, *attachments: HashedAttachment, **matches: AddressMatch) -> NewEmail:
    found = {f"{name}@contoso.example": [match] for name, match in matches.items()}
    return promoted_in(a_mailbox("anna"), message, attachments, found)


# ---- attachments that are left out


@pytest.mark.parametrize("name", ["setup.exe", "Setup.EXE", "invoice.pdf.exe", "setup.exe. .", ".exe"])
def test_an_attachment_of_a_blocked_type_is_left_out_and_the_email_says_so(name: str) -> None:
    settings = replace(DEFAULTS, blocked_attachments=("exe", "js"))
    attachments = [FILE, replace(FILE, name=name, sha256="def")]
    email = promoted_in(a_mailbox("anna"), a_message(), attachments, settings=settings)
    assert [each.name for each in email.content.attachments] == ["a.pdf"]
    assert email.activity.attachment_count == 1
    assert email.content.notifications is Notifications.ATTACHMENTS_LEFT_OUT


@pytest.mark.parametrize("name", ["exe", "setup.exe.pdf", "a.pdf", ""])
def test_only_the_extension_blocks(name: str) -> None:
    settings = replace(DEFAULTS, blocked_attachments=("exe",))
    email = promoted_in(a_mailbox("anna"), a_message(), [replace(FILE, name=name)], settings=settings)
    assert email.content.notifications is Notifications.NONE
    assert email.activity.attachment_count == 1


def test_an_attachment_that_is_too_large_is_left_out_without_changing_what_identifies_the_email() -> None:
    email = promoted_in(a_mailbox("anna"), a_message(), [FILE], settings=replace(DEFAULTS, largest_attachment=2))
    kept = promoted_in(a_mailbox("anna"), a_message(), [FILE], settings=replace(DEFAULTS, largest_attachment=3))
    assert (len(email.content.attachments), len(kept.content.attachments)) == (0, 1)
    assert email.activity.fingerprint == kept.activity.fingerprint
    assert email.activity.content_id == kept.activity.content_id


# ---- identity


def test_the_same_message_has_the_same_id_in_every_mailbox() -> None:
    message = a_message()
    elsewhere = promoted_in(a_mailbox("ben"), message, now=MONDAY + timedelta(days=1))
    assert promoted(message).activity.id == elsewhere.activity.id == email_id("offer@fabrikam.example", Direction.INCOMING)


@pytest.mark.parametrize(
    ("text", "html", "expected"),
    [
        ("\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEM", None, True),
        (None, "<pre>-----BEGIN PGP MESSAGE-----\nhQEM", True),
        ("I got this:\r\n-----BEGIN PGP MESSAGE-----", None, False),
        ("-----BEGIN PGP SIGNED MESSAGE-----\r\nHello", None, False),
    ],
)
def test_a_body_that_is_pgp_and_nothing_else_counts_as_encrypted(text: str | None, html: str | None, expected: bool) -> None:
    assert promoted(a_message(body_text=text, body_html=html)).content.is_encrypted == expected


def test_without_a_message_id_the_fingerprint_identifies() -> None:
    message = a_message(message_id=None)
    assert promoted(message).activity.id == promoted(message).activity.id
    assert promoted(message).activity.id != promoted(replace(message, subject="Other")).activity.id


def test_what_has_neither_message_id_nor_date_is_told_apart_by_when_it_came() -> None:
    message = a_message(message_id=None, sent=None)
    later = replace(message, received=message.received + timedelta(minutes=1))
    assert promoted(message).activity.id != promoted(later).activity.id


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": Address("mallory@fabrikam.example")},
        {"sent": MONDAY},
        {"sent": None},
        {"subject": "Other"},
        {"body_text": "Other words"},
    ],
)
def test_the_fingerprint_tells_different_content_apart(changes: dict[str, Any]) -> None:
    message = a_message()
    assert promoted(message).activity.fingerprint != promoted(replace(message, **changes)).activity.fingerprint


def test_attachments_count_in_the_fingerprint_in_any_order() -> None:
    other = replace(FILE, sha256="def")
    message = a_message()
    both = promoted(message, FILE, other).activity.fingerprint
    assert both == promoted(message, other, FILE).activity.fingerprint
    assert len({both, promoted(message, FILE).activity.fingerprint, promoted(message).activity.fingerprint}) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"body_text": "About:   Offer\r\n"},
        {"received": MONDAY + timedelta(hours=3)},
        {"sender": Address("Carol@Fabrikam.example", "Carol")},
        {"to": ()},
        {"conversation_index": "AQ=="},
        {"reply_to": (Address("list@fabrikam.example"),)},
    ],
)
def test_what_servers_change_on_the_way_does_not_count(changes: dict[str, Any]) -> None:
    message = a_message()
    assert promoted(message).activity.fingerprint == promoted(replace(message, **changes)).activity.fingerprint


@pytest.mark.parametrize(
    ("reply_to", "kept"),
    [
        (["list@fabrikam.example"], ["list@fabrikam.example"]),
        (["Carol@Fabrikam.example"], []),
        (["Carol@Fabrikam.example", "dave@fabrikam.example"], ["Carol@Fabrikam.example", "dave@fabrikam.example"]),
        (["list@fabrikam.example", "List@fabrikam.example"], ["list@fabrikam.example"]),
        ([f"{'x' * 320}@fabrikam.example", "list@fabrikam.example"], ["list@fabrikam.example"]),
        ([f"{number}@fabrikam.example" for number in range(2000)], [f"{number}@fabrikam.example" for number in range(50)]),
    ],
)
def test_where_answers_are_wanted_is_kept_where_it_says_more_than_the_sender(reply_to: list[str], kept: list[str]) -> None:
    message = replace(a_message(sender="carol@fabrikam.example"), reply_to=tuple(Address(each, "x" * 999) for each in reply_to))
    assert promoted(message).content.reply_to == tuple(Address(each, "x" * 200) for each in kept)


def test_an_attached_message_is_compared_by_its_identity_where_it_has_one() -> None:
    first, second = (replace(FILE, sha256=rendering, identity="inner@example") for rendering in ("r1", "r2"))
    assert promoted(a_message(), first).activity.fingerprint == promoted(a_message(), second).activity.fingerprint


def test_a_variant_keeps_its_content_under_an_id_of_its_own() -> None:
    email = promoted(a_message(), FILE)
    variant = as_variant(email)
    assert variant.activity.id == email.activity.content_id == variant.sighting.activity_id
    assert (variant.activity.variant_of, variant.activity.has_variants) == (email.activity.id, True)
    assert variant.content == email.content


# ---- who takes part


@pytest.mark.parametrize(
    ("sender", "origin", "expected"),
    [
        ("ben@contoso.example", SenderOrigin.UNKNOWN, True),
        ("ben@contoso.example", SenderOrigin.EXTERNAL, True),
        ("ben@contoso.example", SenderOrigin.INTERNAL, False),
        ("ANNA@contoso.example", SenderOrigin.UNKNOWN, True),
        ("carol@fabrikam.example", SenderOrigin.UNKNOWN, False),
    ],
)
def test_an_own_address_counts_as_claimed_unless_the_server_vouches_for_it(
    sender: str, origin: SenderOrigin, expected: bool
) -> None:
    message = a_message(sender=sender, sender_origin=origin)
    ben = AddressMatch(OwnerKind.USER, OwnerId("user-ben"), "Ben")
    assert promoted(message, ben=ben).content.sender_claims_own_address is expected


def test_a_message_without_a_sender_is_an_email_too() -> None:
    email = promoted(a_message(sender=None, to=[]))
    assert (email.activity.sender, email.content.parties) == ("", ())


# ---- text


def test_text_is_taken_from_html_where_no_text_was_received() -> None:
    email = promoted(a_message(body_text=None, body_html="<p>Dear Anna,</p><p>the <b>offer</b>.</p>"))
    assert email.content.body_text == "Dear Anna,\nthe offer."
    assert email.content.body_html is not None


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain words", "plain words"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<style>p{}</style><script>alert(1)</script><title>x</title><p>seen</p>", "seen"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("&lt;b&gt; &amp; &nbsp; &euro;", "<b> & €"),
        ("<p>unclosed <div>nested", "unclosed nested"),
    ],
)
def test_html_becomes_lines_of_text(html: str, text: str) -> None:
    assert text_of_html(html) == text


@given(st.text())
def test_any_html_has_a_text(html: str) -> None:
    assert "<script" not in collapsed(text_of_html(f"<script>{html}</script>"))
    text_of_html(html)


@pytest.mark.parametrize("tag", ["<div>", "<blockquote>", "<b>", "<p>", "<table><tr><td>", "<br ", "<", "</", "<!--", "\n \n"])
def test_hostile_html_takes_no_longer_than_its_length(tag: str) -> None:
    """A tree of 100,000 nested elements would take the parser minutes."""
    started = thread_time()
    text = text_of_html(tag * 100_000 + "<p>the end</p>")
    assert thread_time() - started < 5
    assert len(text) < 1_000_000


def test_deep_markup_still_gives_its_text() -> None:
    assert text_of_html("<div>" * 3000 + "an &euro; offer" + "</div>" * 3000) == "an € offer"


def test_many_elements_beside_each_other_are_not_deep() -> None:
    assert text_of_html("<script>no text</script>" + "<p>yes<br>" * 3000).startswith("yes\nyes")
