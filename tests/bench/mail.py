"""Mail to measure with: so many messages of so many bytes, all different, from a few dozen senders."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime

_WORDS = (
    *(
        "delivery",
        "order",
        "invoice",
        "quotation",
        "meeting",
        "machine",
        "customer",
        "pallet",
        "drawing",
        "contract",
        "warranty",
    ),
    *(
        "spare",
        "part",
        "service",
        "Prüfstand",
        "größer",
        "Maßnahme",
        "réunion",
        "déjà",
        "voilà",
        "confirm",
        "attached",
        "regards",
    ),
    *("please", "thursday", "number", "price", "page", "line", "signed", "office"),
)


def messages(count: int, size: int, to: str, now: datetime, seed: int = 1) -> Iterator[tuple[bytes, datetime]]:
    """Raw messages and when they were received, oldest first; a quarter of the size is text, the rest HTML."""
    chance = random.Random(seed)
    for number in range(count):
        received = now - timedelta(minutes=count - number)
        yield _message(chance, number, size, to, received, seed), received


def _message(chance: random.Random, number: int, size: int, to: str, received: datetime, seed: int) -> bytes:
    header = (
        f"From: Customer {number % 40} <customer{number % 40}@northwind.example>\r\nTo: <{to}>\r\n"
        f"Cc: <colleague{number % 7}@northwind.example>\r\n"
        f"Message-ID: <bench.{seed}.{number}@northwind.example>\r\n"
    )
    return a_message(chance, number, size, received, header)


def a_message(chance: random.Random, number: int, size: int, received: datetime, header: str) -> bytes:
    """Text and HTML of about `size` bytes under `header`, which says from whom, to whom and what it answers."""
    text = words(chance, size // 4)
    html = "".join(f"<p style='margin:0'>{words(chance, 400)}</p>\r\n" for _ in range(size * 3 // 4 // 480))
    return (
        f"{header}Subject: Order {number}: {words(chance, 40)[:40]!a}\r\nDate: {format_datetime(received)}\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/alternative; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"<html><body>{html}</body></html>\r\n"
        "--b--\r\n"
    ).encode()


def words(chance: random.Random, size: int) -> str:
    """Text of about `size` characters."""
    return " ".join(chance.choices(_WORDS, k=size // 7))
