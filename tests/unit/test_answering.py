"""What an answer takes over from the email that it answers."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.answering import (
    continued_index,
    known_as,
    new_index,
    recipients_of,
    references_of,
    subject_of,
)
from shared.domain.choices import Direction, ParticipationType
from shared.domain.delivery import Delivery
from shared.domain.drafts import AnswerKind
from shared.domain.email import Address, EmailActivity, EmailContent, Party
from shared.domain.ids import ActivityId, MailboxId, normalised_address
from tests.builders import MONDAY
from tests.unit.administration.emails import an_email

EMAIL = ActivityId("0a" * 16)
ANSWER = ActivityId("0b" * 16)
SENDER, TO, CC = ParticipationType.SENDER, ParticipationType.TO, ParticipationType.CC
PARTIES = (
    Party(SENDER, "carol@fabrikam.example", "Carol"),
    Party(TO, "Anna@contoso.example"),
    Party(TO, "ben@contoso.example", "", "user", "ben"),
    Party(TO, "ben@contoso.example", "", "contact", "ben"),
    Party(CC, "dora@fabrikam.example"),
    Party(CC, "carol@fabrikam.example"),
)
OWN = ["anna@contoso.example"]


def an_original(**content: object) -> tuple[EmailActivity, EmailContent]:
    email = an_email(EMAIL, MailboxId("anna"), **content)
    return email.activity, email.content


@pytest.mark.parametrize(
    ("kind", "subject", "expected"),
    [
        (AnswerKind.REPLY, "Offer", "Re: Offer"),
        (AnswerKind.REPLY, "RE: Offer", "RE: Offer"),
        (AnswerKind.REPLY_ALL, "AW: Offer", "AW: Offer"),
        (AnswerKind.REPLY, "Fw: Offer", "Re: Fw: Offer"),
        (AnswerKind.REPLY, "", "Re:"),
        (AnswerKind.FORWARD, "Offer", "Fw: Offer"),
        (AnswerKind.FORWARD, "WG: Offer", "WG: Offer"),
        (AnswerKind.FORWARD, "Re: Offer", "Fw: Re: Offer"),
    ],
)
def test_the_subject_says_once_that_it_answers_or_forwards(kind: AnswerKind, subject: str, expected: str) -> None:
    assert subject_of(kind, subject) == expected


def addresses(
    kind: AnswerKind, direction: Direction = Direction.INCOMING, reply_to: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    email, content = an_original(parties=PARTIES, reply_to=tuple(map(Address, reply_to)))
    own = OWN if direction is Direction.INCOMING else [PARTIES[0].address]
    to, cc = recipients_of(kind, replace(email, direction=direction), content, own)
    return [each.address for each in to], [each.address for each in cc]


def test_a_reply_goes_to_the_sender() -> None:
    assert addresses(AnswerKind.REPLY) == (["carol@fabrikam.example"], [])


def test_a_reply_to_all_leaves_out_who_answers_and_names_everybody_once() -> None:
    assert addresses(AnswerKind.REPLY_ALL) == (
        ["carol@fabrikam.example", "ben@contoso.example"],
        ["dora@fabrikam.example"],
    )


def test_answers_go_where_the_sender_wants_them() -> None:
    wanted = ["list@fabrikam.example", "Dora@fabrikam.example", "ben@contoso.example"]
    assert addresses(AnswerKind.REPLY, reply_to=wanted) == (wanted, [])
    assert addresses(AnswerKind.REPLY_ALL, reply_to=wanted) == (wanted, ["carol@fabrikam.example"])


def test_nobody_answers_himself_because_somebody_else_says_so() -> None:
    assert addresses(AnswerKind.REPLY, reply_to=OWN) == addresses(AnswerKind.REPLY)
    assert addresses(AnswerKind.REPLY_ALL, reply_to=OWN) == addresses(AnswerKind.REPLY_ALL)
    assert addresses(AnswerKind.REPLY, reply_to=[*OWN, "list@fabrikam.example"]) == (["list@fabrikam.example"], [])


@pytest.mark.parametrize("kind", [AnswerKind.REPLY, AnswerKind.REPLY_ALL])
def test_what_was_sent_from_here_asks_others_to_answer_elsewhere_not_us(kind: AnswerKind) -> None:
    wanted = ["list@contoso.example"]
    assert addresses(kind, Direction.OUTGOING, wanted) == addresses(kind, Direction.OUTGOING)


def test_an_answer_to_what_was_sent_from_here_goes_to_its_recipients() -> None:
    recipients = ["Anna@contoso.example", "ben@contoso.example"]
    assert addresses(AnswerKind.REPLY, Direction.OUTGOING) == (recipients, [])
    assert addresses(AnswerKind.REPLY_ALL, Direction.OUTGOING) == (recipients, ["dora@fabrikam.example"])


@pytest.mark.parametrize("who", ["anna@contoso.example", "BEN@contoso.example"])
def test_who_got_what_a_colleague_sent_answers_the_colleague(who: str) -> None:
    parties = (Party(SENDER, "dora@contoso.example"), Party(TO, "Anna@contoso.example"), Party(CC, "ben@contoso.example"))
    email, content = an_original(parties=parties)
    outgoing, own = replace(email, direction=Direction.OUTGOING), [normalised_address(who)]

    assert [each.address for each in recipients_of(AnswerKind.REPLY, outgoing, content, own)[0]] == ["dora@contoso.example"]
    to, cc = recipients_of(AnswerKind.REPLY_ALL, outgoing, content, own)
    everybody = {normalised_address(each.address) for each in (*to, *cc)}
    assert everybody == {normalised_address(each.address) for each in parties} - {*own}


def test_a_colleague_who_did_not_get_it_goes_on_with_what_was_sent_from_here() -> None:
    email, content = an_original(parties=(Party(SENDER, "dora@contoso.example"), Party(TO, "carol@fabrikam.example")))
    outgoing = replace(email, direction=Direction.OUTGOING)

    assert [each.address for each in recipients_of(AnswerKind.REPLY, outgoing, content, OWN)[0]] == ["carol@fabrikam.example"]


def test_a_forward_goes_to_nobody_yet() -> None:
    assert addresses(AnswerKind.FORWARD) == ([], [])


def test_who_wrote_to_himself_alone_answers_himself() -> None:
    email, content = an_original(parties=(Party(SENDER, OWN[0]), Party(TO, OWN[0])))
    assert [each.address for each in recipients_of(AnswerKind.REPLY_ALL, email, content, OWN)[0]] == OWN


def test_references_are_those_of_the_original_and_its_message_id() -> None:
    assert references_of(*an_original(references=("a@x", "b@x"), message_id="c@x")) == ("a@x", "b@x", "c@x")


def test_an_original_without_references_gives_its_in_reply_to() -> None:
    assert references_of(*an_original(in_reply_to="a@x", message_id="c@x")) == ("a@x", "c@x")


def test_of_many_references_the_first_and_the_latest_stay() -> None:
    many = tuple(f"{number}@x" for number in range(1000))
    found = references_of(*an_original(references=many, message_id="c@x"))

    assert (len(found), found[0], found[-2:]) == (50, "0@x", ("999@x", "c@x"))


@pytest.mark.parametrize("forged", ["a@x\r\nBcc: eve@evil.example", "a@x>, <b@x", "a b@x", "ä@x", "x" * 600])
def test_what_strangers_wrote_into_message_ids_does_not_come_into_a_header(forged: str) -> None:
    assert references_of(*an_original(references=(forged,), message_id=forged)) == ()
    assert known_as(*an_original(message_id=forged)) is None


def test_an_email_is_known_by_the_message_id_that_the_server_gave_it() -> None:
    email, content = an_original(message_id="ours@x")
    sent = replace(email, delivery=Delivery(MailboxId("anna"), server_message_id="theirs@x"))

    assert (known_as(email, content), known_as(sent, content)) == ("ours@x", "theirs@x")


def test_an_answer_continues_the_conversation_index_by_five_bytes() -> None:
    index = new_index(EMAIL, MONDAY)
    first = continued_index(index, ANSWER, MONDAY + timedelta(hours=1))
    second = continued_index(first, EMAIL, MONDAY + timedelta(days=900))
    assert first is not None
    assert second is not None
    decoded = base64.b64decode(second)

    assert (len(base64.b64decode(index)), len(decoded)) == (22, 32)
    assert decoded.startswith(base64.b64decode(first))
    assert decoded[0] == 1
    hour = int.from_bytes(decoded[22:26]) << 18
    assert abs(hour - 36_000_000_000) < 1 << 19, "in units of 100 ns, about an hour"
    assert decoded[27] & 0x80, "after more than 1.7 years the unit is longer"


@pytest.mark.parametrize("index", [None, "", "no base64!", base64.b64encode(b"short").decode(), "A" * 4000])
def test_what_is_no_conversation_index_is_not_continued(index: str | None) -> None:
    assert continued_index(index, ANSWER, MONDAY) is None
