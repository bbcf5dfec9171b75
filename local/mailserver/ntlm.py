"""The server's side of NTLM version 2: the challenge, and the proof that the other side knows the password ([MS-NLMP]).

Neither signs nor seals; it signs in a connection, which is all that HTTP asks of it.
"""

import hmac
import secrets
import struct
import time
from dataclasses import dataclass

from spnego._ntlm_raw.crypto import ntowfv1, ntowfv2  # MD4 is in no public module of this Python

from local.mailserver.accounts import Account, Accounts

_SIGNATURE = b"NTLMSSP\x00"
_NEGOTIATE, _CHALLENGE, _AUTHENTICATE = 1, 2, 3
_UNICODE, _REQUEST_TARGET, _NTLM, _ALWAYS_SIGN, _TARGET_DOMAIN = 0x1, 0x4, 0x200, 0x8000, 0x10000
_EXTENDED_SECURITY, _TARGET_INFO, _VERSION, _128, _KEY_EXCHANGE, _56, _SIGN, _SEAL = (
    0x80000, 0x800000, 0x2000000, 0x20000000, 0x40000000, 0x80000000, 0x10, 0x20,
)  # fmt: skip
_OFFERED = (
    _UNICODE | _REQUEST_TARGET | _NTLM | _ALWAYS_SIGN | _TARGET_DOMAIN | _EXTENDED_SECURITY | _TARGET_INFO | _VERSION
    | _128 | _KEY_EXCHANGE | _56 | _SIGN | _SEAL
)  # fmt: skip
_DOMAIN, _COMPUTER, _DNS_DOMAIN, _DNS_COMPUTER, _TIMESTAMP = 2, 1, 4, 3, 7
_TARGET = "CONTOSO"


@dataclass(frozen=True, slots=True)
class Handshake:
    """A challenge that was sent on a connection."""

    challenge: bytes


def is_negotiate(token: bytes) -> bool:
    return _kind(token) == _NEGOTIATE


def _kind(token: bytes) -> int:
    return int.from_bytes(token[8:12], "little") if token.startswith(_SIGNATURE) and len(token) >= 12 else 0


def challenge() -> tuple[Handshake, bytes]:
    """A fresh challenge and its message."""
    nonce = secrets.token_bytes(8)
    target, info = _TARGET.encode("utf-16-le"), _target_info()
    payload_at = 56
    message = b"".join(
        [
            _SIGNATURE,
            struct.pack("<I", _CHALLENGE),
            struct.pack("<HHI", len(target), len(target), payload_at),
            struct.pack("<I", _OFFERED),
            nonce,
            bytes(8),
            struct.pack("<HHI", len(info), len(info), payload_at + len(target)),
            b"\x0a\x00\x63\x45\x00\x00\x00\x0f",
            target,
            info,
        ]
    )
    return Handshake(nonce), message


def _target_info() -> bytes:
    names = (
        (_DOMAIN, _TARGET),
        (_COMPUTER, "MAIL01"),
        (_DNS_DOMAIN, "contoso.example"),
        (_DNS_COMPUTER, "mail.contoso.example"),
    )
    pairs = [(kind, text.encode("utf-16-le")) for kind, text in names]
    since_1601 = int((time.time() + 11644473600) * 10_000_000)
    pairs.append((_TIMESTAMP, struct.pack("<Q", since_1601)))
    return b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in pairs) + bytes(4)


def signed_in(token: bytes, handshake: Handshake, accounts: Accounts) -> Account | None:
    """The account whose password the answer to the challenge proves, if it does."""
    if _kind(token) != _AUTHENTICATE:
        return None
    try:
        response, domain, username = _field(token, 20), _text(token, 28), _text(token, 36)
    except (struct.error, UnicodeDecodeError):
        return None
    account = accounts.find(username)
    if account is None or account.is_application or len(response) <= 16:  # 16 bytes of proof, then the client's part
        return None
    key = ntowfv2(username, ntowfv1(account.password), domain)
    proof = hmac.digest(key, handshake.challenge + response[16:], "md5")
    return account if hmac.compare_digest(proof, response[:16]) else None


def _field(token: bytes, at: int) -> bytes:
    length, _, offset = struct.unpack_from("<HHI", token, at)
    return token[offset : offset + length]


def _text(token: bytes, at: int) -> str:
    return _field(token, at).decode("utf-16-le")
