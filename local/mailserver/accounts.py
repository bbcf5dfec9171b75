"""Who may sign in, with what, and whose mailboxes they may open. Knows no protocol."""

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

TOKEN_LIFETIME = 3599.0
"""Seconds that access tokens are good for, as at Entra ID."""


@dataclass(slots=True)
class Account:
    """Somebody who signs in: a person or service with a password, or an application with a client secret."""

    username: str
    password: str
    mailbox: str | None = None
    """Address of the mailbox that is this account's own."""
    may_impersonate: bool = False
    impersonates: frozenset[str] = frozenset()
    """Addresses it may impersonate; empty: all, if it may at all."""
    full_access: frozenset[str] = frozenset()
    """Addresses of mailboxes that it may open as a delegate; "*" is all."""
    enabled: bool = True
    is_application: bool = False
    certificate: str | None = None
    """PEM, of a certificate or a public key: an application that proves with its private key who it is."""
    redirect_uris: frozenset[str] = frozenset()
    """Where an application may have users sent who allowed it something."""

    def has_password(self, password: str) -> bool:
        return secrets.compare_digest(self.password.encode(), password.encode())

    def can_impersonate(self, address: str) -> bool:
        return self.may_impersonate and (not self.impersonates or address.lower() in self.impersonates)

    def can_open(self, address: str) -> bool:
        own = self.mailbox is not None and self.mailbox.lower() == address.lower()
        return own or "*" in self.full_access or address.lower() in self.full_access


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that is good until `expires` (of the monotonic clock, seconds)."""

    account: Account
    """As whom it acts."""
    client_id: str
    scope: str
    expires: float

    @property
    def seconds_left(self) -> float:
        return self.expires - time.monotonic()

    @property
    def mailbox(self) -> str | None:
        """The only one that it is good for, where there is only one."""
        only = self.account.impersonates if len(self.account.impersonates) == 1 else None
        return self.account.mailbox or (next(iter(only)) if only and self.account.may_impersonate else None)


@dataclass(slots=True)
class Accounts:
    """All accounts, and the tokens issued to applications."""

    token_lifetime: float = TOKEN_LIFETIME
    """Seconds."""
    _accounts: dict[str, Account] = field(default_factory=dict)
    _tokens: dict[str, Token] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, account: Account) -> Account:
        with self._lock:
            self._accounts[account.username.lower()] = account
        return account

    def find(self, username: str) -> Account | None:
        """By name, with or without a domain in front (DOMAIN\\name)."""
        wanted = username.strip().lower()
        for name in (wanted, wanted.rpartition("\\")[2]):
            if name in self._accounts:
                return self._accounts[name]
        return None

    def sign_in(self, username: str, password: str) -> Account | None:
        account = self.find(username)
        return account if account is not None and not account.is_application and account.has_password(password) else None

    def application(self, client_id: str) -> Account | None:
        account = self.find(client_id)
        return account if account is not None and account.is_application else None

    def issue_token(self, account: Account, client_id: str = "", scope: str = "") -> tuple[str, float]:
        """A bearer token and its lifetime in seconds."""
        token = secrets.token_urlsafe(48)
        with self._lock:
            issued = Token(account, client_id or account.username, scope, time.monotonic() + self.token_lifetime)
            self._tokens[token] = issued
        return token, self.token_lifetime

    def token(self, text: str) -> Token | None:
        """What is known of a token that is good."""
        found = self._tokens.get(text)
        return found if found is not None and found.seconds_left > 0 else None

    def bearer(self, token: str) -> Account | None:
        found = self.token(token)
        return found.account if found is not None else None

    def revoke_tokens(self) -> None:
        with self._lock:
            self._tokens.clear()

    def clear(self) -> None:
        with self._lock:
            self._accounts.clear()
            self._tokens.clear()
            self.token_lifetime = TOKEN_LIFETIME


def described(
    username: str,
    secret: str,
    impersonation: bool | Sequence[str],
    full_access: Sequence[str],
    mailbox: str | None,
    enabled: bool,
    *,
    is_application: bool,
) -> Account:
    """`impersonation`: of all mailboxes or of these; `full_access`: as a delegate, "*" is all."""
    some = frozenset() if isinstance(impersonation, bool) else frozenset(address.lower() for address in impersonation)
    return Account(
        username=username,
        password=secret,
        mailbox=mailbox,
        may_impersonate=bool(impersonation),
        impersonates=some,
        full_access=frozenset(address.lower() for address in full_access),
        enabled=enabled,
        is_application=is_application,
    )
