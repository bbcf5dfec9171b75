"""Issuers of the tokens of POP3 and IMAP mailboxes: where Microsoft and Google are asked, and how their answers are understood.

RFC 6749 sections 4.1.3 (codes), 5 and 6 (refresh tokens), RFC 7523 (assertions), RFC 7009 (revocation). Nothing of what is sent
or answered stands in an error or a log: only codes of errors do.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import quote

import requests

from shared.connectors.deadline import within
from shared.connectors.guarded_http import guarded_session
from shared.connectors.tokens import PASSING, PUBLIC_CLOUD, TOKEN_SECONDS, Tokens, issuer_of
from shared.domain.choices import OAuthProvider
from shared.domain.configuration import Credentials
from shared.domain.consents import ConsentTerms
from shared.domain.errors import Busy, NoAnswer, Throttled, TransientError, Unreachable

_GOOGLE = ("accounts.google.com", "oauth2.googleapis.com")
"""Where users consent, and where tokens are issued."""
_ANY_TENANT = "common"
_LONGEST_ANSWER = 64 << 10
"""Bytes; an answer holds two or three tokens."""
_CODE = re.compile(r"[a-z_]{1,80}")
_LONGEST_WAIT = timedelta(hours=1)
_SHORTEST_LIFE = timedelta(seconds=60)
"""Of an access token whose issuer does not say how long it lives."""
_LONGEST_LIFE = timedelta(days=3650)


class IssuerUnreachable(Unreachable):
    """The issuer of tokens gives no answer, or one that is none of an issuer."""

    code = "issuer_unreachable"
    calls_for_discovery = False
    remedy = (
        "Check the authority of the credentials, and that the firewall lets Sidesync through to the issuer of tokens."
        " The mailbox is tried again by itself."
    )


@dataclass(frozen=True, slots=True)
class ByMsal:
    """`sign_in.Tokens` that msal asks for: it lets through what its requests raise."""

    tokens: Tokens

    def token(self) -> str:
        from msal.exceptions import MsalError

        try:
            return self.tokens.token()
        except (requests.RequestException, MsalError, ValueError) as error:  # ValueError: what answers speaks no JSON
            raise IssuerUnreachable(f"No answer from the issuer of tokens: {type(error).__name__}.") from error

    def forget(self) -> None:
        self.tokens.forget()


class Refused(Exception):
    """The issuer said no; `code` as in RFC 6749 section 5.2, `told` what may be repeated to an administrator."""

    def __init__(self, code: str, numbers: str = "", description: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.told = f"The issuer of tokens refused: {code} {numbers}".strip() + "."
        self.description = description
        """In the issuer's own words: to be looked at, not to be repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    access_token: str = field(repr=False)
    life: timedelta
    refresh_token: str | None = field(default=None, repr=False)
    consent_ends_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """The addresses of one issuer, and what its page of consent wants to be told beside the standard's own."""

    page: str
    tokens: str
    revocation: str | None
    wishes: Mapping[str, str]


def issuer_for(terms: ConsentTerms) -> Issuer:
    """Raises LocationRefused where the terms name no host."""
    if terms.provider is OAuthProvider.GOOGLE:
        return _google(terms.authority)
    named = issuer_of(Credentials(authority=terms.authority), PUBLIC_CLOUD)
    base = f"https://{named}/{quote(terms.tenant_id or _ANY_TENANT, safe='')}/oauth2/v2.0"
    return Issuer(f"{base}/authorize", f"{base}/token", None, {"response_mode": "query", "prompt": "select_account"})


def google_tokens(authority: str | None) -> str:
    """Where service accounts ask. Raises LocationRefused."""
    return _google(authority).tokens


def _google(authority: str | None) -> Issuer:
    page, tokens = (issuer_of(Credentials(authority=authority), each) for each in _GOOGLE)
    wishes = {"access_type": "offline", "prompt": "consent"}  # else only the first consent gives a refresh token
    return Issuer(f"https://{page}/o/oauth2/v2/auth", f"https://{tokens}/token", f"https://{tokens}/revoke", wishes)


def ask(url: str, form: Mapping[str, str], *, allow_local_servers: bool) -> Answer:
    """Asks the token endpoint. Raises Refused, TransientError, LocationRefused."""
    status, said = _post(url, form, allow_local_servers=allow_local_servers)
    if status != 200:
        raise _refusal(said)
    token = said.get("access_token")
    if not isinstance(token, str) or not token:
        raise IssuerUnreachable("The issuer of tokens answered without a token.")
    refresh_token = said.get("refresh_token")
    return Answer(
        token,
        _seconds(said.get("expires_in")) or _SHORTEST_LIFE,
        refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        _seconds(said.get("refresh_token_expires_in")),
    )


def end(url: str, refresh_token: str, *, allow_local_servers: bool) -> None:
    """Revokes the token; one that is invalid already counts as revoked. Raises Refused, TransientError, LocationRefused."""
    status, said = _post(url, {"token": refresh_token}, allow_local_servers=allow_local_servers)
    if status != 200 and said.get("error") not in ("invalid_token", "invalid_grant"):
        raise _refusal(said)


type _Said = tuple[int, Mapping[str, object]]
"""Status and JSON object of an answer."""


def _post(url: str, form: Mapping[str, str], *, allow_local_servers: bool) -> _Said:
    """In `TOKEN_SECONDS` all in all: who asks keeps others from asking meanwhile."""
    try:
        return within(timedelta(seconds=TOKEN_SECONDS), lambda: _posted(url, form, allow_local_servers=allow_local_servers))
    except NoAnswer as error:
        raise IssuerUnreachable("The issuer of tokens does not answer in time.") from error


def _posted(url: str, form: Mapping[str, str], *, allow_local_servers: bool) -> _Said:
    try:
        with (
            guarded_session(allow_local_servers=allow_local_servers) as session,
            session.post(url, data=dict(form), timeout=TOKEN_SECONDS, allow_redirects=False, stream=True) as response,
        ):
            if response.status_code == 429 or response.status_code >= 500:
                raise _passing(response)
            return response.status_code, _object(response)
    except requests.RequestException as error:
        raise IssuerUnreachable(f"No answer from the issuer of tokens: {type(error).__name__}.") from error


def _object(response: requests.Response) -> Mapping[str, object]:
    """Google answers a revocation with nothing."""
    content = b""
    for chunk in response.iter_content(8192):
        content += chunk
        if len(content) > _LONGEST_ANSWER:
            raise IssuerUnreachable("The issuer of tokens answered more than an issuer would.")
    try:
        said = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise IssuerUnreachable(f"What answers as the issuer of tokens is none (status {response.status_code}).")
    return said


def _passing(response: requests.Response) -> TransientError:
    text = response.headers.get("Retry-After", "")
    wait = min(timedelta(seconds=int(text)), _LONGEST_WAIT) if text.isdecimal() and len(text) < 10 else None
    kind = Throttled if response.status_code == 429 else Busy
    return kind(f"The issuer of tokens answered {response.status_code}.", wait)


def _refusal(said: Mapping[str, object]) -> Refused | TransientError:
    error = said.get("error")
    if not isinstance(error, str) or not _CODE.fullmatch(error):
        return IssuerUnreachable("What answers as the issuer of tokens refuses without saying why, as no issuer does.")
    if error in PASSING:
        return Busy(f"The issuer of tokens: {error}.")
    numbers = said.get("error_codes")
    known = [each for each in numbers if isinstance(each, int)][:5] if isinstance(numbers, list) else []
    return Refused(error, " ".join(f"AADSTS{each}" for each in known), str(said.get("error_description", "")))


def _seconds(value: object) -> timedelta | None:
    """A time to live; some write it as text."""
    text = str(value)
    return min(timedelta(seconds=int(text)), _LONGEST_LIFE) if text.isdecimal() and len(text) < 10 and int(text) else None
