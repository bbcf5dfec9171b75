"""Mail in the alphabets and encodings of the world, as the programs that were common there wrote it."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from urllib.parse import quote

from local.samples.people import ANNA, EMIL, Person
from local.samples.sample import Sample, Shows, sent_attachment
from local.samples.writing import pdf


@dataclass(frozen=True, slots=True)
class _Writing:
    charset: str
    subject: str
    text: str
    encoding: str = "8bit"


_WRITINGS = (
    _Writing("iso-8859-1", "Größenübersicht", "Die Größe beträgt 12 µm ± 3 %."),
    _Writing("iso-8859-15", "Prix en €", "Le prix est de 42 € hors taxes, livré à Œuilly."),
    _Writing("utf-8", "Grüße, 挨拶, привет", "Żółć, Ελληνικά, עברית, 中文, 🚚 unterwegs."),
    _Writing("windows-1252", "“Smart” quotes – and €", "“It’s here” – for 5 €…"),
    _Writing("windows-1251", "Отчёт за квартал", "Отчёт готов, смотрите ниже."),
    _Writing("koi8-r", "Договор поставки", "Договор подписан, оригиналы отправлены почтой."),
    _Writing("iso-2022-jp", "お見積りの件", "お世話になっております。見積書をお送りします。", "7bit"),
    _Writing("shift_jis", "納期の件", "納期は来週の金曜日です。"),
    _Writing("gb18030", "订单确认", "订单已确认，下周发货。", "base64"),
    _Writing("big5", "出貨通知", "貨物已於今日出貨。", "base64"),
    _Writing("euc-kr", "견적 요청", "견적을 보내 주시기 바랍니다.", "base64"),
    _Writing("iso-8859-2", "Potvrzení objednávky", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
    _Writing("iso-8859-7", "Παραγγελία", "Η παραγγελία σας στάλθηκε."),
    _Writing("iso-8859-8", "אישור הזמנה", "ההזמנה אושרה."),
    _Writing("windows-1256", "تأكيد الطلب", "تم تأكيد طلبكم."),
    _Writing("tis-620", "ยืนยันคำสั่งซื้อ", "คำสั่งซื้อได้รับการยืนยันแล้ว"),
    _Writing("utf-16", "UTF-16 in base64", "Zwei Byte je Zeichen: äöü.", "base64"),
)
_NAMES = (
    ("RFC 2231, utf-8", "Übersicht €.pdf", "filename*=utf-8''" + quote("Übersicht €.pdf")),
    ("RFC 2231, iso-8859-1", "Größe.pdf", "filename*=iso-8859-1'de'" + quote("Größe.pdf".encode("latin-1"))),
    (
        "RFC 2231, in pieces",
        "Übersicht der Prüfstände.pdf",
        "filename*0*=utf-8''" + quote("Übersicht der ") + ";\r\n filename*1*=" + quote("Prüfstände") + ";\r\n filename*2=.pdf",
    ),
    ("RFC 2047 in the name", "見積書.pdf", f'filename="{Header("見積書.pdf", "iso-2022-jp").encode()}"'),
)


def charsets(now: datetime) -> Iterator[Sample]:
    for number, writing in enumerate(_WRITINGS):
        yield _in_charset(now, writing, (ANNA, EMIL)[number % 2])
    for number, (kind, name, parameter) in enumerate(_NAMES):
        yield _with_name(now, number, kind, name, parameter)


def _in_charset(now: datetime, writing: _Writing, to: Person) -> Sample:
    message_id = f"{writing.charset}@alphabets.example"
    body = f"{writing.text}\r\n".encode(writing.charset)
    if writing.encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    head = _head(now, Header(writing.subject, _of_headers(writing.charset)).encode(linesep="\r\n"), to, message_id)
    raw = f"{head}Content-Type: text/plain; charset={writing.charset}\r\nContent-Transfer-Encoding: {writing.encoding}\r\n\r\n"
    return Sample(
        name=f"charset {writing.charset}",
        shows=Shows.CHARSET,
        raw=raw.encode("ascii") + body,
        to=(to.address,),
        subject=writing.subject,
        message_id=message_id,
        sender="writer@alphabets.example",
        contains=writing.text,
    )


def _of_headers(charset: str) -> str:
    """UTF-16 holds bytes that no header may hold."""
    return "utf-8" if charset == "utf-16" else charset


def _with_name(now: datetime, number: int, kind: str, name: str, parameter: str) -> Sample:
    message_id = f"name-{number}@alphabets.example"
    content = pdf(f"Name {number}")
    encoded = base64.encodebytes(content).decode("ascii").replace("\n", "\r\n")
    subject = f"Attachment name {number}"
    raw = (
        f"{_head(now, subject, EMIL, message_id)}Content-Type: multipart/mixed; boundary=names\r\n\r\n"
        f"--names\r\nContent-Type: text/plain\r\n\r\nThe name is the point.\r\n"
        f"--names\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment;\r\n {parameter}\r\n\r\n{encoded}--names--\r\n"
    )
    return Sample(
        name=f"attachment name: {kind}",
        shows=Shows.CHARSET,
        raw=raw.encode("ascii"),
        to=(EMIL.address,),
        subject=subject,
        message_id=message_id,
        sender="writer@alphabets.example",
        contains="The name is the point.",
        attachments=(sent_attachment(name, content),),
    )


def _head(now: datetime, subject: str, to: Person, message_id: str) -> str:
    return (
        f"From: Writer <writer@alphabets.example>\r\nTo: <{to.address}>\r\nSubject: {subject}\r\n"
        f"Date: {format_datetime(now)}\r\nMessage-ID: <{message_id}>\r\nMIME-Version: 1.0\r\n"
    )
