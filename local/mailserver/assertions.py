"""Signed statements of applications about themselves (RFC 7523): as proof of a client at Entra ID, as a grant at Google."""

import base64
import binascii
from typing import Any, cast

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from local.mailserver.accounts import Account


def proves_client(account: Account, assertion: str, token_url: str) -> bool:
    """Whether the key of the account's certificate signed this, for this endpoint and not too long ago."""
    if account.certificate is None or "BEGIN CERTIFICATE" not in account.certificate:
        return False
    certificate = x509.load_pem_x509_certificate(account.certificate.encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
    key = cast(RSAPublicKey, certificate.public_key())
    try:
        claims = jwt.decode(assertion, key, algorithms=["PS256"], audience=token_url, issuer=account.username)
        named = str(jwt.get_unverified_header(assertion).get("x5t#S256", "")).rstrip("=")
    except jwt.PyJWTError:
        return False
    return claims.get("sub") == account.username and named == thumbprint


def issuer_of(assertion: str) -> str:
    """Who says he made it; empty where it is no assertion."""
    try:
        return str(jwt.decode(assertion, options={"verify_signature": False}).get("iss", ""))
    except (jwt.PyJWTError, binascii.Error, ValueError):
        return ""


def claims_of_service(account: Account, assertion: str, token_url: str) -> dict[str, Any] | None:
    """What a service account of Google states, if its key signed it (RS256), for this endpoint and for an hour at most."""
    if account.certificate is None:
        return None
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion, _key(account.certificate), algorithms=["RS256"], audience=token_url, issuer=account.username
        )
    except jwt.PyJWTError:
        return None
    lasts = claims.get("exp", 0) - claims.get("iat", 0)
    return claims if 0 < lasts <= 3600 else None


def _key(pem: str) -> RSAPublicKey:
    """Of a certificate, or the key itself."""
    if "BEGIN CERTIFICATE" in pem:
        return cast(RSAPublicKey, x509.load_pem_x509_certificate(pem.encode()).public_key())
    return cast(RSAPublicKey, serialization.load_pem_public_key(pem.encode()))
