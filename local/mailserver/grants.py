"""What users allowed applications to do in their name: authorization codes (RFC 7636) and refresh tokens. Knows no HTTP."""

import base64
import hashlib
import secrets
import threading
import time
from dataclasses import dataclass, field

from local.mailserver.accounts import Account
from local.mailserver.habits import Habit, Habits

CODE_LIFETIME = 600.0
"""Seconds."""


class Refused(Exception):
    """`invalid_grant`: the number that Entra ID gives the cause, and a text."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class Consent:
    """This user allowed this application that."""

    account: Account
    client_id: str
    scope: str
    offline: bool
    """Also when the user is not there: with a refresh token."""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class _Code:
    consent: Consent
    redirect_uri: str
    challenge: str
    method: str
    expires: float


@dataclass(slots=True)
class Grants:
    habits: Habits
    _codes: dict[str, _Code] = field(default_factory=dict)
    _refresh_tokens: dict[str, Consent] = field(default_factory=dict)
    _dead: dict[str, Refused] = field(default_factory=dict)
    """Refresh tokens that were good once, and why they are no longer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def code(self, consent: Consent, redirect_uri: str, challenge: str, method: str) -> str:
        """Good once, for who knows the verifier of the challenge; without a challenge for who has the code."""
        with self._lock:
            code = secrets.token_urlsafe(48)
            self._codes[code] = _Code(consent, redirect_uri, challenge, method, time.monotonic() + CODE_LIFETIME)
            return code

    def redeem(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> Consent:
        """Raises Refused."""
        with self._lock:
            found = self._codes.pop(code, None)
        if found is None or found.consent.client_id != client_id:
            raise Refused(54005, "The authorization code is unknown or was already redeemed.")
        if time.monotonic() >= found.expires:
            raise Refused(70008, "The provided authorization code has expired.")
        if found.redirect_uri != redirect_uri:
            raise Refused(500112, "The reply URL does not match the one of the authorization request.")
        if found.challenge and not secrets.compare_digest(_challenge_of(verifier, found.method), found.challenge):
            raise Refused(501481, "The code_verifier does not match the code_challenge of the authorization request.")
        return found.consent

    def refresh_token(self, consent: Consent) -> str:
        with self._lock:
            token = secrets.token_urlsafe(64)
            self._refresh_tokens[token] = consent
            return token

    def end(self, token: str) -> bool:
        """False where it is no refresh token that is good."""
        with self._lock:
            if self._refresh_tokens.pop(token, None) is None:
                return False
            self._dead[token] = Refused(50173, "The refresh token was revoked.")
            return True

    def refresh(self, token: str, client_id: str) -> tuple[Consent, str | None]:
        """What was allowed, and the refresh token that comes with it, if one does. Raises Refused."""
        with self._lock:
            if token in self._dead:
                raise self._dead[token]
            consent = self._refresh_tokens.get(token)
            if consent is None or consent.client_id != client_id:
                raise Refused(70000, "The provided refresh token is malformed or not of this client.")
            if not consent.account.enabled:
                raise Refused(50057, "The user account is disabled.")
            if Habit.REFRESH_TOKENS_USED_ONCE in self.habits:
                del self._refresh_tokens[token]
                self._dead[token] = Refused(70000, "The refresh token was used already.")
            elif Habit.REFRESH_TOKENS_RENEWED not in self.habits:
                return consent, None
        return consent, self.refresh_token(consent)

    def revoke(self, username: str | None, *, expired: bool) -> None:
        """All refresh tokens of a user, or of everybody."""
        why = (
            Refused(700082, "The refresh token has expired due to inactivity.")
            if expired
            else Refused(50173, "The provided grant has been revoked. The user might have changed or reset the password.")
        )
        with self._lock:
            for token, consent in list(self._refresh_tokens.items()):
                if username is None or consent.account.username.lower() == username.lower():
                    del self._refresh_tokens[token]
                    self._dead[token] = why

    def clear(self) -> None:
        with self._lock:
            self._codes.clear()
            self._refresh_tokens.clear()
            self._dead.clear()


def _challenge_of(verifier: str, method: str) -> str:
    if method == "S256":
        return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return verifier
