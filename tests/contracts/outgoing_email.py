"""The contract of `ports.Sending`, over any SMTP server: what arrives, and for whom. `smtp_failures.py` says what happens when
something is wrong; a test module subclasses both for each server.
"""

import base64
import re
from email.utils import parsedate_to_datetime

import pytest

from shared.connectors.connect import Connect
from shared.domain.choices import AuthenticationProtocol, Priority
from shared.domain.configuration import EmailServerProfile
from shared.domain.email import Address
from shared.domain.errors import RecipientsRefused
from shared.ports import Sending
from tests.contracts.exchange_mailboxes import a_mailbox
from tests.contracts.over_smtp import OverSmtp, as_parts, given_to, in_lines, longest_line, text_of, without
from tests.contracts.smtp_mailboxes import (
    TEN,
    Arriving,
    Content,
    SmtpPlace,
    an_attachment,
    an_outgoing,
    digest,
    read,
)
from tests.maildir import an_unused_address
from tests.tap import Tap

LARGE = 20 << 20


class SendingContract(OverSmtp):
    # ---- what arrives

    def test_an_email_arrives_octet_for_octet_below_the_trace(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        message = an_outgoing(anna, bert, attachments=(an_attachment(),))
        receipt = sending.send(message)
        assert (receipt.refused, receipt.waiting) == ((), ())
        (raw,) = bert.arrived(1)
        (given,) = given_to(tap)
        assert given.count(b"\r\n") == given.count(b"\n") > 10
        assert raw.endswith(given)

    def test_it_keeps_its_id_date_and_parties(self, sending: Sending, anna: Arriving, bert: Arriving, carla: Arriving) -> None:
        message = an_outgoing(anna, bert, cc=(Address(carla.address, "Carla Example"),))
        sending.send(message)
        for mailbox in (bert, carla):
            arrived = read(mailbox.arrived(1)[0])
            assert arrived.message_id == message.message_id
            assert arrived.sent == TEN
            assert arrived.sender == message.from_
            assert [each.address for each in (*arrived.to, *arrived.cc)] == [bert.address, carla.address]
            assert arrived.cc[0].name == "Carla Example"
            assert arrived.subject == "Offer"

    def test_the_same_input_gives_the_same_octets(self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap) -> None:
        message = an_outgoing(anna, bert, attachments=(an_attachment(),))
        sending.send(message)
        sending.send(message)
        first, second = given_to(tap)
        assert first == second

    def test_blind_recipients_get_it_and_nobody_reads_of_them(
        self, sending: Sending, anna: Arriving, bert: Arriving, carla: Arriving
    ) -> None:
        sending.send(an_outgoing(anna, bert, bcc=(Address(carla.address, "Carla"),)))
        for mailbox in (bert, carla):
            head = mailbox.arrived(1)[0].partition(b"\r\n\r\n")[0].lower()
            composed = head[head.index(b"\r\nfrom:") :]
            assert b"\r\nbcc:" not in head
            assert carla.address.encode() not in composed
            assert b"carla" not in composed

    def test_who_is_only_a_blind_recipient_is_enough(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        sending.send(an_outgoing(anna, bcc=(Address(bert.address),)))
        assert read(bert.arrived(1)[0]).to == ()

    def test_who_is_named_twice_gets_it_once(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        sending.send(an_outgoing(anna, bert, cc=(Address(bert.address, "Bert again"),)))
        sending.send(an_outgoing(anna, bert, subject="Last"))
        assert sorted(read(raw).subject for raw in bert.arrived(2)) == ["Last", "Offer"]

    def test_html_has_its_text_beside_it(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        sending.send(an_outgoing(anna, bert))
        (raw,) = bert.arrived(1)
        parsed = as_parts(raw)
        assert parsed.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
        arrived = read(raw)
        assert (arrived.body_html or "").strip() == "<p>Hello <b>Bert</b></p>"
        assert in_lines(text_of(raw)) == ["Hello Bert"]

    def test_text_alone_is_text_alone(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        sending.send(an_outgoing(anna, bert, body_html=None, body_text="Hello"))
        (raw,) = bert.arrived(1)
        assert as_parts(raw).get_content_type() == "text/plain"
        assert (read(raw).body_html, (read(raw).body_text or "").strip()) == (None, "Hello")

    @pytest.mark.parametrize(
        "body",
        [
            ".\n..\n...\n.hidden\n\n.\nend",
            "x" * 300_000,
            "Grüße 🙂 漢字 \u2028 " * 400,
            "From the beginning\n>From another\nFrom a third",
            "\n\n\nafter empty lines\n\n\n",
            "trailing blanks  \n\ttab\t\nend =\n=3D\n",
            "",
        ],
        ids=["dots", "a long line", "beyond ASCII", "From", "empty lines", "blanks", "nothing"],
    )
    def test_bodies_are_read_as_they_were_written(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap, body: str
    ) -> None:
        sending.send(an_outgoing(anna, bert, body_html=f"<pre>{body}</pre>", body_text=body))
        (raw,) = bert.arrived(1)
        arrived = read(raw)
        assert in_lines(arrived.body_html) == in_lines(f"<pre>{body}</pre>")
        assert in_lines(text_of(raw)) == in_lines(body)
        assert longest_line(given_to(tap)[0]) <= 998

    def test_dots_are_kept_wherever_the_content_is_cut(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        """A connector gives content in pieces, and lines may begin with a dot: in each way in which a piece can end."""
        for shift in range(4):
            lines = "." * shift + "\n" + ".x\n" * 100_000
            inner = b"Subject: inner\r\n\r\n" + lines.replace("\n", "\r\n").encode()
            attachment = an_attachment("inner.eml", "message/rfc822", inner)
            message_id = f"dots-{shift}@contoso.example"
            sending.send(
                an_outgoing(anna, bert, message_id=message_id, body_html=None, body_text=lines, attachments=(attachment,))
            )
            arrived = {each.message_id: each for each in map(read, bert.arrived(shift + 1))}[message_id]
            assert in_lines(arrived.body_text) == in_lines(lines)
            assert b"".join(arrived.attachments[0].chunks()) == inner

    def test_names_and_subjects_beyond_ascii_are_read_as_they_were_written(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        subject = "Angebot für Übergrößen: 漢字 und 🙂, " + "wörtlich " * 25
        message = an_outgoing(
            anna,
            from_=Address(anna.address, 'Änne "Ann" Müller, Dr.'),
            to=(Address(bert.address, "Bert, Böhm; & (Co) <x>"),),
            subject=subject,
        )
        sending.send(message)
        arrived = read(bert.arrived(1)[0])
        assert arrived.subject == subject.strip()
        assert (arrived.sender, arrived.to) == (message.from_, message.to)
        head = given_to(tap)[0].partition(b"\r\n\r\n")[0]
        assert head.isascii()
        assert longest_line(head) <= 78 + 20

    def test_an_answer_names_what_it_answers(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        references = tuple(f"message-{number}.{'x' * 40}@fabrikam.example" for number in range(30))
        index = base64.b64encode(b"\x01" + bytes(range(21))).decode()
        sending.send(an_outgoing(anna, bert, in_reply_to=references[-1], references=references, conversation_index=index))
        arrived = read(bert.arrived(1)[0])
        assert (arrived.in_reply_to, arrived.references) == (references[-1], references)
        assert arrived.conversation_index == index

    def test_importance_and_the_request_of_a_read_receipt(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        sending.send(an_outgoing(anna, bert, priority=Priority.HIGH, read_receipt=True))
        (raw,) = bert.arrived(1)
        assert read(raw).priority is Priority.HIGH
        asked = as_parts(raw)["Disposition-Notification-To"]
        assert asked is not None
        assert anna.address in asked

    def test_who_writes_for_somebody_else_is_named_as_the_sender(
        self, sending: Sending, anna: Arriving, bert: Arriving, carla: Arriving
    ) -> None:
        """The mailbox is Anna's; Carla's is the name on the letter."""
        sending.send(an_outgoing(anna, bert, from_=Address(carla.address, "Carla"), sender=Address(anna.address, "Anna")))
        parsed = as_parts(bert.arrived(1)[0])
        assert carla.address in parsed["From"]
        assert anna.address in parsed["Sender"]

    def test_the_date_is_that_of_the_message(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        sending.send(an_outgoing(anna, bert))
        assert parsedate_to_datetime(as_parts(bert.arrived(1)[0])["Date"]) == TEN

    # ---- attachments

    def test_pictures_of_the_body_stand_beside_it_and_attachments_after_it(
        self, sending: Sending, anna: Arriving, bert: Arriving
    ) -> None:
        picture = an_attachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n\x00\xff", content_id="logo@contoso.example")
        offer = an_attachment("Angebot für Größe 漢字.pdf", "application/pdf", bytes(range(256)) * 9)
        empty = an_attachment("empty.txt", "text/plain", b"")
        html = '<p><img src="cid:logo@contoso.example"> Hello</p>'
        sending.send(an_outgoing(anna, bert, body_html=html, attachments=(picture, offer, empty)))
        (raw,) = bert.arrived(1)
        arrived = read(raw)
        assert [(each.name, each.content_type, each.content_id, each.is_inline) for each in arrived.attachments] == [
            ("logo.png", "image/png", "logo@contoso.example", True),
            ("Angebot für Größe 漢字.pdf", "application/pdf", None, False),
            ("empty.txt", "text/plain", None, False),
        ]
        assert [b"".join(each.chunks()) for each in arrived.attachments] == [
            b"\x89PNG\r\n\x1a\n\x00\xff",
            bytes(range(256)) * 9,
            b"",
        ]
        kinds = [part.get_content_type() for part in as_parts(raw).walk()]
        assert kinds[0] == "multipart/mixed"
        assert kinds.index("multipart/related") < kinds.index("image/png") < kinds.index("application/pdf")

    def test_an_attached_message_or_text_arrives_byte_for_byte(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        contents = {
            "lines.txt": ("text/plain", b"one\ntwo\r\nthree\r\x00\xff.\n.\n"),
            "page.html": ("text/html", "<p>Grüße".encode("latin-1")),
            "note.eml": ("message/rfc822", b"Subject: inner\r\n\r\nHello\r\n"),
            "odd": ("x/y; name=z", b"?"),
        }
        attachments = tuple(an_attachment(name, kind, content) for name, (kind, content) in contents.items())
        sending.send(an_outgoing(anna, bert, attachments=attachments))
        arrived = read(bert.arrived(1)[0])
        found = {each.name: b"".join(each.chunks()) for each in arrived.attachments}
        assert found == {name: content for name, (_, content) in contents.items()}

    def test_a_large_attachment_arrives_whole(self, sending: Sending, anna: Arriving, bert: Arriving) -> None:
        content = Content(LARGE)
        sending.send(an_outgoing(anna, bert, attachments=(an_attachment("large.bin", "application/octet-stream", content),)))
        assert digest(read(bert.arrived(1)[0]), "large.bin") == content.digest()

    # ---- for whom

    def test_who_is_refused_is_named_and_the_others_get_it(
        self, sending: Sending, anna: Arriving, bert: Arriving, carla: Arriving
    ) -> None:
        receipt = sending.send(an_outgoing(anna, bert, "nobody@contoso.example", carla))
        (refused,) = receipt.refused
        assert (refused.address, refused.status_code[:4]) == ("nobody@contoso.example", "5.1.")
        assert refused.detail
        assert receipt.waiting == ()
        assert len(bert.arrived(1)) == len(carla.arrived(1)) == 1

    def test_where_everybody_is_refused_nothing_is_sent_and_the_next_one_is(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        with pytest.raises(RecipientsRefused) as refused:
            sending.send(an_outgoing(anna, "nobody@contoso.example", "none@contoso.example"))
        assert [each.address for each in refused.value.refused] == ["nobody@contoso.example", "none@contoso.example"]
        assert refused.value.status_code[:4] == "5.1."
        assert str(refused.value)
        sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1
        assert (len(given_to(tap)), tap.connections) == (1, 1)

    def test_who_waits_gets_it_alone_and_reads_of_everybody(
        self, sending: Sending, anna: Arriving, bert: Arriving, carla: Arriving
    ) -> None:
        sending.send(an_outgoing(anna, bert, carla, waiting=(1,)))
        assert [each.address for each in read(carla.arrived(1)[0]).to] == [bert.address, carla.address]
        assert bert.messages() == []

    def test_hundreds_of_recipients_are_named_each(self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap) -> None:
        nobody = [f"nobody{number}@contoso.example" for number in range(300)]
        receipt = sending.send(an_outgoing(anna, bert, *nobody))
        assert [each.address for each in receipt.refused] == nobody
        assert len(read(bert.arrived(1)[0]).to) == 301
        assert longest_line(given_to(tap)[0]) <= 998

    # ---- the connection

    def test_one_connection_serves_all_and_signs_in_once(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        for _ in range(5):
            sending.send(an_outgoing(anna, bert))
        assert len(bert.arrived(5)) == 5
        assert tap.connections == 1
        assert sum(line.upper().startswith(b"AUTH") for line in tap.said) == 1

    def test_nothing_is_asked_of_the_server_before_something_is_sent(
        self, connect: Connect, profile: EmailServerProfile, anna: Arriving, tap: Tap
    ) -> None:
        with connect.outgoing(profile, a_mailbox(anna.address)):
            pass
        assert tap.connections == 0

    def test_it_takes_leave(
        self, connect: Connect, profile: EmailServerProfile, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        self.send(connect, profile, anna, an_outgoing(anna, bert))
        tap.settle()
        assert tap.said[-1].upper() == b"QUIT"

    def test_it_greets_by_the_domain_of_the_mailbox(self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap) -> None:
        sending.send(an_outgoing(anna, bert))
        assert tap.said[0].lower() == b"ehlo contoso.example"

    @pytest.mark.parametrize("way", [AuthenticationProtocol.BASIC, AuthenticationProtocol.AUTO_DETECT])
    def test_the_ways_of_signing_in(
        self, connect: Connect, place: SmtpPlace, anna: Arriving, bert: Arriving, way: AuthenticationProtocol
    ) -> None:
        profile = self.profile_of(place, anna, outgoing_authentication=way)
        self.send(connect, profile, anna, an_outgoing(anna, bert))
        assert len(bert.arrived(1)) == 1

    def test_a_server_that_offers_login_alone(self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap) -> None:
        tap.alter = lambda heard: re.sub(rb"(?m)^(250.AUTH) .*?(?=\r)", rb"\1 LOGIN", heard)
        sending.send(an_outgoing(anna, bert))
        assert any(line.upper().startswith(b"AUTH LOGIN") for line in tap.said)

    def test_a_server_that_offers_nothing_more_than_signing_in(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        tap.alter = without(b"8BITMIME", b"SIZE", b"SMTPUTF8", b"DSN", b"PIPELINING", b"CHUNKING")
        sending.send(an_outgoing(anna, bert, body_html="<p>Grüße</p>", body_text="Grüße", delivery_receipt=True))
        assert in_lines(text_of(bert.arrived(1)[0])) == ["Grüße"]
        assert given_to(tap)[0].isascii()
        mail = next(line for line in tap.said if line.upper().startswith(b"MAIL"))
        assert mail.strip().endswith(b">")

    # ---- what servers offer

    def test_an_address_beyond_ascii(self, sending: Sending, place: SmtpPlace, anna: Arriving, tap: Tap) -> None:
        jürgen = place.new_mailbox(f"jürgen.{an_unused_address()}")
        message = an_outgoing(anna, jürgen)
        sending.send(message)
        arrived = read(jürgen.arrived(1)[0])
        assert [each.address for each in arrived.to] == [jürgen.address]
        assert any(b"SMTPUTF8" in line.upper() for line in tap.said if line.upper().startswith(b"MAIL"))

    def test_an_address_beyond_ascii_is_refused_where_the_server_cannot_take_it(
        self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap
    ) -> None:
        """As the server itself would: the others get it."""
        tap.alter = without(b"SMTPUTF8")
        receipt = sending.send(an_outgoing(anna, bert, bcc=(Address("jürgen@contoso.example"),)))
        assert [each.address for each in receipt.refused] == ["jürgen@contoso.example"]
        assert len(bert.arrived(1)) == 1
        assert b"j\xc3\xbcrgen" not in b"".join(tap.said)

    def test_a_report_of_delivery_is_asked_for(self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap) -> None:
        sending.send(an_outgoing(anna, bert, delivery_receipt=True))
        (rcpt,) = [line.upper() for line in tap.said if line.upper().startswith(b"RCPT")]
        assert b"NOTIFY=" in rcpt
        assert b"SUCCESS" in rcpt
        assert b"FAILURE" in rcpt

    def test_the_size_is_announced(self, sending: Sending, anna: Arriving, bert: Arriving, tap: Tap) -> None:
        sending.send(an_outgoing(anna, bert))
        (mail,) = [line.upper() for line in tap.said if line.upper().startswith(b"MAIL")]
        announced = int(mail.partition(b"SIZE=")[2].split()[0])
        assert 0 <= announced - len(given_to(tap)[0]) < 1000
