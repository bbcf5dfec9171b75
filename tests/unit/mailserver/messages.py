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
