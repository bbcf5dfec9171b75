"""The ordinary mail of some weeks: threads between customers and the people of the organisation, in five languages."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from local.samples.people import CORRESPONDENTS, READY, WAITING, Correspondent, Person
from local.samples.sample import Sample, SentAttachment, Shows, sent_attachment
from local.samples.writing import File, Letter, archive, pdf, picture, spreadsheet, write

_DAYS = 20
"""Over so many days before now the older half of the mail was received."""

_TOPICS = {
    "en": ("Delivery of order {n}", "Quotation {n} for the new line", "Question about invoice {n}", "Visit on site, week {w}"),
    "de": ("Lieferung zu Auftrag {n}", "Angebot {n} für die Prüfstände", "Rückfrage zur Rechnung {n}", "Wartung in KW {w}"),
    "fr": ("Livraison de la commande {n}", "Devis n° {n} à vérifier", "Question sur la facture {n}", "Réunion, semaine {w}"),
    "ja": ("注文 {n} の納期について", "見積書 {n} の件", "請求書 {n} のお問い合わせ", "第 {w} 週の訪問"),
    "ru": ("Поставка по заказу {n}", "Коммерческое предложение {n}", "Вопрос по счёту {n}", "Встреча на неделе {w}"),
}
_SENTENCES = {
    "en": (
        "Could you confirm the date by Thursday?",
        "We received the first pallets this morning, two of them were damaged.",
        "The prices on page 3 differ from what we agreed on the phone.",
        "Please find the figures attached.",
        "Our accounting department asks for the purchase order number.",
        "I am out of the office next week; Peter takes over.",
    ),
    "de": (
        "Könnten Sie uns den Termin bis Donnerstag bestätigen?",
        "Die ersten Paletten sind heute früh eingetroffen, zwei davon beschädigt.",
        "Die Preise auf Seite 3 weichen von unserer Absprache ab.",
        "Anbei die gewünschten Zahlen.",
        "Unsere Buchhaltung benötigt noch die Bestellnummer.",
        "Nächste Woche bin ich nicht im Haus; Frau Müller vertritt mich.",
    ),
    "fr": (
        "Pourriez-vous confirmer la date avant jeudi ?",
        "Les premières palettes sont arrivées ce matin, deux étaient abîmées.",
        "Les prix de la page 3 diffèrent de ce dont nous étions convenus.",
        "Vous trouverez les chiffres ci-joints.",
        "La comptabilité demande le numéro de commande.",
        "Je serai absent la semaine prochaine.",
    ),
    "ja": (
        "木曜日までに日程をご確認いただけますか。",
        "最初のパレットが今朝届きましたが、二つ破損していました。",
        "3ページの価格がお電話でのお話と異なります。",
        "添付の資料をご覧ください。",
        "経理部が注文番号を求めております。",
        "来週は出張のため不在です。",
    ),
    "ru": (
        "Подтвердите, пожалуйста, дату до четверга.",
        "Первые паллеты прибыли сегодня утром, две повреждены.",
        "Цены на странице 3 отличаются от согласованных по телефону.",
        "Цифры во вложении.",
        "Бухгалтерия просит номер заказа.",
        "На следующей неделе меня не будет в офисе.",
    ),
}
_REPLY = {"en": "Re: ", "de": "AW: ", "fr": "RE : ", "ja": "Re: ", "ru": "Re: "}


@dataclass(frozen=True, slots=True)
class _Thread:
    number: int
    subject: str
    writers: tuple[Correspondent, Correspondent]
    person: Person
    started: datetime


def correspondence(now: datetime, count: int, seed: int = 20261122) -> Iterator[Sample]:
    """`count` messages in threads of one to four; the older half carries its date, the newer half arrives now."""
    chance = random.Random(seed)
    written = 0
    for number in range(count):
        thread = _a_thread(chance, number, now)
        for sample in _messages(chance, thread, now):
            if written == count:
                return
            yield sample
            written += 1


def waiting(now: datetime) -> Iterator[Sample]:
    """Mail for those whose mailboxes must not be touched: three messages each."""
    chance = random.Random(7)
    for number, person in enumerate(WAITING):
        for serial in range(3):
            thread = replace(_a_thread(chance, 900_000 + 10 * number + serial, now), person=person)
            yield next(_messages(chance, thread, now))


def _a_thread(chance: random.Random, number: int, now: datetime) -> _Thread:
    writer = chance.choice(CORRESPONDENTS)
    colleagues = [one for one in CORRESPONDENTS if one.address.split("@")[1] == writer.address.split("@")[1]]
    topic = chance.choice(_TOPICS[writer.language]).format(n=4000 + number, w=chance.randint(1, 52))
    ago = timedelta(minutes=chance.randint(120, _DAYS * 24 * 60)) if number % 2 else timedelta(minutes=chance.randint(1, 90))
    return _Thread(number, topic, (writer, chance.choice(colleagues)), READY[number % len(READY)], now - ago)


def _messages(chance: random.Random, thread: _Thread, now: datetime) -> Iterator[Sample]:
    ids: list[str] = []
    for position in range(chance.choice((1, 1, 2, 3, 4))):
        writer = thread.writers[position % 2]
        sent = min(thread.started + timedelta(minutes=25 * position), now)
        letter = _a_letter(chance, thread, writer, position, sent, ids)
        yield _a_sample(thread, letter, ids, None if now - thread.started < timedelta(hours=2) else sent)
        ids.append(letter.message_id or "")


def _a_letter(
    chance: random.Random, thread: _Thread, writer: Correspondent, position: int, sent: datetime, ids: Sequence[str]
) -> Letter:
    domain = writer.address.split("@")[1]
    text = _text(chance, writer)
    files = _files(chance, thread, position)
    pictured = any(file.content_id for file in files)
    return Letter(
        sender=(writer.name, writer.address),
        to=[(thread.person.name, thread.person.address)],
        cc=[(other.name, other.address) for other in thread.writers if other != writer],
        subject=(_REPLY[writer.language] if position else "") + thread.subject,
        text=text,
        html=_html(text, files) if pictured or chance.random() < 0.6 else None,
        sent=sent,
        message_id=f"{thread.number:06d}.{position}.{chance.getrandbits(48):012x}@{domain}",
        files=files,
        in_reply_to=ids[-1] if ids else None,
        references=tuple(ids),
    )


def _text(chance: random.Random, writer: Correspondent) -> str:
    sentences = chance.sample(_SENTENCES[writer.language], chance.randint(2, 5))
    repeated = " ".join(sentences)
    paragraphs = [repeated, *(" ".join(chance.sample(sentences, len(sentences))) for _ in range(chance.choice((0, 1, 6, 40))))]
    return "\r\n\r\n".join((*paragraphs, "-- ", writer.name or writer.address)) + "\r\n"


def _html(text: str, files: Sequence[File]) -> str:
    paragraphs = "".join(f"<p>{paragraph}</p>\r\n" for paragraph in text.replace("&", "&amp;").split("\r\n\r\n"))
    pictures = "".join(f'<img src="cid:{file.content_id}" alt="{file.name}">' for file in files if file.content_id)
    return f"<html><head><style>p {{margin: 0 0 1em}}</style></head><body>{paragraphs}{pictures}</body></html>\r\n"


def _files(chance: random.Random, thread: _Thread, position: int) -> tuple[File, ...]:
    number = thread.number
    match chance.randrange(12):
        case 0:
            return (File(f"quotation-{number}-{position}.pdf", "application/pdf", pdf(f"Quotation {number}.{position}")),)
        case 1:
            rows = [("item", "pieces", "price"), *((f"A{n}", n * number, n * 1.25) for n in range(1, 60))]
            return (File(f"prices-{number}.csv", "text/csv", spreadsheet(rows)),)
        case 2:
            content = archive(
                [("read me.txt", b"delivery notes\r\n"), (f"{number}.csv", spreadsheet([("a", "b"), (1, position)]))]
            )
            return (File(f"delivery notes {number}.zip", "application/zip", content),)
        case 3:
            logo = picture(48, 16, (number % 256, 90, 160))
            return (File("logo.png", "image/png", logo, f"logo.{number}.{position}@{thread.writers[0].address.split('@')[1]}"),)
        case _:
            return ()


def _a_sample(thread: _Thread, letter: Letter, ids: Sequence[str], received: datetime | None) -> Sample:
    return Sample(
        name=f"thread {thread.number}, message {letter.message_id}",
        shows=_what(letter),
        raw=write(letter),
        to=(thread.person.address,),
        subject=letter.subject,
        message_id=letter.message_id,
        sender=letter.sender[1],
        received=received,
        contains=letter.text.split("\r\n\r\n", maxsplit=1)[0],
        in_reply_to=ids[-1] if ids else None,
        attachments=tuple(_as_sent(file) for file in letter.files),
    )


def _what(letter: Letter) -> Shows:
    if any(file.content_id for file in letter.files):
        return Shows.INLINE_PICTURE
    if letter.files:
        return Shows.ATTACHMENT
    return Shows.REPLY if letter.in_reply_to else Shows.CORRESPONDENCE


def _as_sent(file: File) -> SentAttachment:
    return sent_attachment(file.name, file.content, is_inline=file.content_id is not None)
