"""Messages for tests of the mail server: raw bytes, with what a test cares about."""

import base64


def a_message(
    subject: str = "Offer",
    *,
    text: str = "Good morning",
    sender: str = "Carla <carla@supplier.example>",
    to: str = "anna@contoso.example",
    message_id: str | None = "<offer-1@supplier.example>",
    headers: str = "",
) -> bytes:
    identity = f"Message-ID: {message_id}\r\n" if message_id else ""
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Mon, 02 Nov 2026 10:00:00 +0100\r\n{identity}{headers}"
    return f"{head}\r\n{text}\r\n".encode()


def with_attachments(*parts: bytes, text: str = "See attached", boundary: str = "edge") -> bytes:
    """A multipart/mixed message: a text, then the parts as they are (headers, empty line, content)."""
    headers = f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n'
    head = a_message(headers=headers).partition(b"\r\n\r\n")[0]
    edge = f"--{boundary}".encode()
    body = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    pieces = b"".join(edge + b"\r\n" + part + b"\r\n" for part in (body, *parts))
    return head + b"\r\n\r\n" + pieces + edge + b"--\r\n"


def a_file(name: str, content: bytes, kind: str = "application/octet-stream", extra: str = "") -> bytes:
    head = f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n{extra}'
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def an_attached_message(raw: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" + raw


def a_report(about: str = "<offer-1@contoso.example>", *, action: str = "failed", kind: str = "delivery-status") -> bytes:
    """A report as another server sends it about a message of ours: text, what programs read, and the headers returned."""
    status = (
        f"Reporting-MTA: dns; mx.supplier.example\r\n\r\nFinal-Recipient: rfc822; nobody@supplier.example\r\nAction: {action}"
    )
    parts = (
        b"Content-Type: text/plain\r\n\r\nYour message could not be delivered.",
        f"Content-Type: message/{kind}\r\n\r\n{status}\r\nStatus: 5.1.1\r\n".encode(),
        b"Content-Type: message/rfc822\r\n\r\n" + a_message("Offer", message_id=about),
    )
    kinds = f'Content-Type: multipart/report; report-type={kind}; boundary="r"\r\nAuto-Submitted: auto-replied\r\n'
    head = a_message("Undeliverable: Offer", sender="postmaster@supplier.example", headers=f"MIME-Version: 1.0\r\n{kinds}")
    pieces = b"".join(b"--r\r\n" + part + b"\r\n" for part in parts)
    return head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + pieces + b"--r--\r\n"


def a_draft(to: str, subject: str = "Offer", *, headers: str = "", text: str = "Good morning") -> bytes:
    """What somebody writes before the mail client completes it."""
    return f"To: {to}\r\nSubject: {subject}\r\n{headers}\r\n{text}\r\n".encode()
