"""The certificate that an application signs in with: private key and certificate in PEM.

Read far enough to refuse a wrong one, and to know when it has to be renewed.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.choices import AlertLevel
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ProfileId
from shared.domain.operations import Alert

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

EXPIRY = "certificate_expiry"
"""Code of the alert that says until when a certificate is valid."""
SOON = timedelta(days=30)


def valid_until(field: str, pem: str, now: datetime) -> datetime:
    """Until when the certificate is valid. Raises InvalidRecord where it is none, is not valid now, or has another key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    content = pem.encode()
    try:
        certificate = load_pem_x509_certificate(content)
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidRecord(
            field,
            f"{field} is no private key with its certificate",
            "Write both in PEM, one after the other, the private key without a passphrase.",
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise InvalidRecord(
            field, f"{field} has a key that Microsoft Entra ID does not accept", "Write a certificate with an RSA key."
        )
    if key.public_key() != certificate.public_key():
        raise InvalidRecord(
            field,
            f"{field}: the private key is not that of the certificate",
            "Write the key that the certificate was issued for.",
        )
    return _checked_validity(field, certificate, now)


def expiry_alert(profile_id: ProfileId, until: datetime, now: datetime) -> Alert:
    """Tells the administrator when to renew: a warning within a month of it, else for information."""
    return Alert(
        about=f"profile:{profile_id}",
        code=EXPIRY,
        level=AlertLevel.WARNING if until - now < SOON else AlertLevel.INFORMATION,
        cause=f"The certificate of the profile is valid until {until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}.",
        remedy="Give the profile a new certificate before that, and the application registration its public part.",
        raised_on=now,
    )


def _checked_validity(field: str, certificate: "Certificate", now: datetime) -> datetime:
    until = certificate.not_valid_after_utc
    if not certificate.not_valid_before_utc <= now < until:
        raise InvalidRecord(
            field,
            f"{field} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to {until:%Y-%m-%d} only",
            "Write a certificate that is valid now.",
        )
    return until
