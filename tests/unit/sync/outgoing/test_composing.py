"""The message that a connector is given: the same email and attempt give the same one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.choices import ParticipationType, Priority
from shared.domain.email import Address, EmailActivity, EmailContent, Party
from shared.domain.errors import DeliveryRefused
from shared.domain.outgoing import OutgoingMessage
from shared.sync import delivering
from shared.sync.composing import composed
from tests.builders import MONDAY, a_profile
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_smtp

ANNA = Party(ParticipationType.SENDER, "anna@contoso.example", "Anna", "user", "user-anna")


def read(name: str) -> Iterator[bytes]:
    yield name.encode()


def an_email(**changes: Any) -> tuple[OutgoingScene, EmailActivity, EmailContent]:
    scene = by_smtp()
    activity_id = scene.send("Offer", attachments=[b"drawing"], read_receipt=True)
    content = scene.stores.activities.content(activity_id)
    assert content is not None
    begun = delivering.begun(scene.stored(activity_id).record, "attempt", MONDAY + MINUTE, can_tell=True).email
    return scene, begun, replace(content, **changes)


def message_of(**changes: object) -> OutgoingMessage:
    scene, email, content = an_email(**changes)
    return composed(email, content, a_profile(save_sent_items=False), scene.mailbox, read)


def test_it_is_the_same_each_time_and_carries_what_was_decided() -> None:
    message = message_of(priority=Priority.HIGH, references=("a@x", "b@x"), in_reply_to="b@x")
    again = message_of(priority=Priority.HIGH, references=("a@x", "b@x"), in_reply_to="b@x")
    assert replace(message, attachments=()) == replace(again, attachments=())
    assert (message.key, message.message_id, message.date) == ("attempt", "offer@contoso.example", MONDAY + MINUTE)
    assert (message.from_, message.sender) == (Address("anna@contoso.example", "Anna"), None)
    assert (message.references, message.in_reply_to, message.priority) == (("a@x", "b@x"), "b@x", Priority.HIGH)
    assert message.read_receipt
    assert not message.save_copy
    [attachment] = message.attachments
    assert b"".join(attachment.chunks()) == b"".join(attachment.chunks()) != b""


def test_who_is_left_out_is_not_written_to_and_nobody_twice_in_one_role() -> None:
    message = message_of(
        parties=(
            ANNA,
            Party(ParticipationType.TO, "Carol@fabrikam.example", "Carol"),
            Party(ParticipationType.TO, "carol@fabrikam.example", "Carol, as a lead"),
            Party(ParticipationType.CC, "dave@fabrikam.example", is_left_out=True),
            Party(ParticipationType.BCC, "eve@fabrikam.example"),
        )
    )
    assert message.recipients == ("Carol@fabrikam.example", "eve@fabrikam.example")
    assert (message.cc, message.bcc) == ((), (Address("eve@fabrikam.example"),))


def test_who_stands_in_several_roles_gets_one_copy_however_it_is_written() -> None:
    roles = (ParticipationType.TO, ParticipationType.CC, ParticipationType.BCC)
    written = ("Carol@fabrikam.example", "carol@Fabrikam.example", "carol@fabrikam.example")
    message = message_of(parties=(ANNA, *(Party(role, each) for role, each in zip(roles, written, strict=True))))

    assert message.recipients == ("Carol@fabrikam.example",)


def test_what_goes_through_the_mailbox_of_another_says_who_sends_it() -> None:
    message = message_of(parties=(replace(ANNA, address="support@contoso.example", name="Support"),))
    assert message.from_ == Address("support@contoso.example", "Support")
    assert message.sender == Address("anna@contoso.example", "Anna")


def test_the_text_alternative_is_derived_where_nobody_wrote_one() -> None:
    markup = "<p>Dear Carol,</p><p>an <b>offer</b></p>"
    assert message_of(body_html=markup, body_text="").body_text == "Dear Carol,\nan offer"
    assert message_of(body_html=markup, body_text="By hand").body_text == "By hand"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (
            '<p>See <a href="https://x.example/a?b=1&amp;c=2">our <b>offer</b></a>.</p>',
            "See our offer <https://x.example/a?b=1&c=2>.",
        ),
        ('<a href="https://x.example/">https://x.example/</a>', "https://x.example/"),
        (
            '<a href="mailto:kim@x.example">kim@x.example</a> or <a href="MAILTO:kim@x.example">me</a>',
            "kim@x.example or me <kim@x.example>",
        ),
        ('<a href="HTTPS://x.example/\n a"><img src="cid:logo"></a>', "<HTTPS://x.example/a>"),
        (
            '<a href="#top">up</a> <a href="javascript:go()">go</a> <a href>nowhere</a> <a name="top">top</a>',
            "up go nowhere top",
        ),
        ('<a href="https://x.example"><div>Offer</div></a>', "Offer\n<https://x.example>"),
        ("<div>" * 3000 + '<a href="https://x.example">deep</a>', "deep"),
    ],
)
def test_the_text_alternative_says_where_links_lead(markup: str, text: str) -> None:
    assert message_of(body_html=markup, body_text="").body_text == text


def test_an_email_without_a_sender_cannot_be_sent() -> None:
    with pytest.raises(DeliveryRefused):
        message_of(parties=())
