"""Certificates for tests, in PEM with their private keys."""

from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.builders import MONDAY

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sidesync")])


type Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def a_key(name: str = "own") -> Key:
    """The same key for the same name: they take long to make."""
    return ec.generate_private_key(ec.SECP256R1()) if name == "elliptic" else rsa.generate_private_key(65537, 2048)


def pem_of(key: Key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def a_certificate(
    until: datetime = MONDAY + timedelta(days=365),
    since: datetime = MONDAY - timedelta(days=1),
    private: Key | None = None,
    key: Key | None = None,
) -> str:
    """`private` is the key that stands beside the certificate, in place of its own, `key`."""
    key = key or a_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(key, SHA256())
    )
    return pem_of(private or key) + certificate.public_bytes(Encoding.PEM).decode()
