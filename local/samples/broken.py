"""Messages that break the rules of RFC 5322 and MIME, as they arrive every day. Each must become an activity all the same."""

from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime

from local.samples.people import BRUNO, DAVID
from local.samples.sample import Sample, Shows


def broken(now: datetime) -> Iterator[Sample]:
    """Put into the mailbox with a date of its own: a sending mail program would repair or refuse half of them."""
    for number, (name, raw, contains) in enumerate(_messages(format_datetime(now))):
        to = (BRUNO, DAVID)[number % 2]
        yield Sample(
            name=f"broken: {name}",
            shows=Shows.BROKEN,
            raw=raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            to=(to.address,),
            received=now,
            message_id=_message_id(raw),
            sender="sloppy@broken.example",
            contains=contains,
        )


def _message_id(raw: bytes) -> str | None:
    for line in raw.splitlines():
        if line.lower().startswith(b"message-id:"):
            return line.partition(b":")[2].strip().strip(b"<>").decode("ascii", "replace") or None
    return None


def _messages(date: str) -> Iterator[tuple[str, bytes, str | None]]:
    def head(name: str, *more: str, sender: str = "From: Sloppy <sloppy@broken.example>\n") -> str:
        extra = "".join(f"{line}\n" for line in more)
        return f"{sender}To: team@contoso.example\nSubject: {name}\nDate: {date}\nMessage-ID: <{name}@broken.example>\n{extra}"

    part = "--x\nContent-Type: text/plain\n\nvisible text\n"
    yield (
        "multipart without a boundary",
        f"{head('no-boundary', 'MIME-Version: 1.0', 'Content-Type: multipart/mixed')}\n{part}--x--\n".encode(),
        None,
    )
    yield (
        "boundary never closed",
        f"{head('open-boundary', 'Content-Type: multipart/mixed; boundary=x')}\n{part}".encode(),
        "visible text",
    )
    yield (
        "base64 that is none",
        f"{head('bad-base64', 'Content-Type: multipart/mixed; boundary=x')}\n{part}"
        "--x\nContent-Type: application/pdf; name=a.pdf\n"
        "Content-Transfer-Encoding: base64\n\n!!!! this is no base64 $$$$\n--x--\n".encode(),
        "visible text",
    )
    yield (
        "utf-8 said, latin-1 sent",
        f"{head('wrong-charset', 'Content-Type: text/plain; charset=utf-8')}\nvisible text ".encode()
        + "Größe\n".encode("latin-1"),
        "visible text",
    )
    yield (
        "a charset nobody knows",
        f"{head('unknown-charset', 'Content-Type: text/plain; charset=x-klingon')}\nvisible text\n".encode(),
        "visible text",
    )
    yield ("no From", f"{head('no-from', sender='')}\nvisible text\n".encode(), "visible text")
    yield ("no Date", f"{head('no-date')}\nvisible text\n".replace(f"Date: {date}\n", "").encode(), "visible text")
    yield (
        "a date that is none",
        f"{head('bad-date')}\nvisible text\n".replace(date, "yesterday, around noon").encode(),
        "visible text",
    )
    yield (
        "headers twice",
        f"{head('twice', 'From: Other <other@broken.example>', 'Subject: another one', 'Message-ID: <other@broken.example>')}"
        "\nvisible text\n".encode(),
        "visible text",
    )
    yield ("a very long line", f"{head('long-line')}\nvisible text {'lorem ipsum ' * 5000}\n".encode(), "visible text")
    yield (
        "a header of 64 KB",
        f"{head('long-header', 'X-Spam-Report: ' + 'y' * 65_000)}\nvisible text\n".encode(),
        "visible text",
    )
    yield ("NUL characters", f"{head('nul')}\nvisible\0 text\0\n".encode(), None)
    yield (
        "control characters in the subject",
        f"{head('bell').replace('bell', 'be\x07l\x1bl', 1)}\nvisible text\n".encode(),
        "visible text",
    )
    yield (
        "raw eight-bit header",
        f"{head('raw')}\nvisible text\n".encode().replace(b"Subject: raw", b"Subject: r\xe4w \xff"),
        "visible text",
    )
    yield ("no body at all", head("no-body").encode(), None)
    yield ("no blank line", head("no-blank-line").encode() + b"this is not a header line\n", None)
    yield ("nothing but a body", b"\nvisible text without any header\n", "visible text")
    yield (
        "parts forty deep",
        f"{head('deep', 'Content-Type: multipart/mixed; boundary=b0')}\n{_nested(40)}".encode(),
        None,
    )
    yield (
        "quoted-printable cut short",
        f"{head('bad-qp', 'Content-Transfer-Encoding: quoted-printable')}\nvisible text =E4=\n=Z".encode(),
        "visible text",
    )
    yield (
        "an encoding nobody knows",
        f"{head('bad-encoding', 'Content-Transfer-Encoding: x-uuencode-2')}\nvisible text\n".encode(),
        "visible text",
    )
    yield (
        "addresses that are none",
        f"{head('bad-addresses', 'Cc: <<>>, recipients:;, a@b@c', sender='From: nobody at nowhere\n')}"
        "\nvisible text\n".encode(),
        "visible text",
    )


def _nested(depth: int) -> str:
    opened = "".join(f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(depth))
    closed = "".join(f"--b{n}--\n" for n in reversed(range(depth + 1)))
    return f"{opened}--b{depth}\nContent-Type: text/plain\n\nvisible text\n{closed}"
