"""Access tokens for a mailbox whose owner consented: the refresh token that the issuer exchanges for them, and renews.

Of all workers one at a time asks the issuer for a mailbox: it says so in the consent before (intent), asks (effect), and stores
what the issuer gave, refresh token first, before the access token is used (receipt). An issuer may end a refresh token as soon
as it gave another: where the process dies between effect and receipt at such an issuer, the owner has to consent again.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from time import monotonic

from shared.connectors.internet.consenting import client_fields, of_application
from shared.connectors.internet.issuers import Answer, Refused, ask, issuer_for
from shared.connectors.internet.kept_token import KeptToken
from shared.domain.configuration import Credentials
from shared.domain.consents import Consent, StoredConsent
from shared.domain.errors import AuthenticationFailed, Busy, Changed, SyncError, TransientError
from shared.domain.ids import MailboxId
from shared.ports import Clock, Consents, Secrets

_log = logging.getLogger(__name__)

RENEWAL = timedelta(seconds=90)
"""How long a worker keeps others from asking: longer than one call to the issuer and two to the stores may take."""
_ATTEMPTS = 5
_MEANWHILE = "Another worker has asked the issuer of tokens meanwhile."
_WORTH_NOTING = timedelta(days=1)
"""Where the issuer gives no other refresh token, the consent says only so often that it was used."""
_ENDED = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
"""Refusals that only the owner can do something about."""
_ASK_AGAIN = (
    "Ask the owner of the mailbox to consent again: `python -m admin consent ask MAILBOX`, or POST"
    " /api/mailboxes/{mailbox_id}/consent, gives the link."
)


class ConsentMissing(AuthenticationFailed):
    """The owner of the mailbox did not consent yet, or the consent was withdrawn here."""

    code = "consent_missing"
    remedy = _ASK_AGAIN.replace(" again", "")


class ConsentOutdated(AuthenticationFailed):
    """The consent was given to another application, or for another provider, protocol or server than the profile has; or for
    reading alone, where mail is to be sent."""

    code = "consent_outdated"
    remedy = _ASK_AGAIN


class ConsentEnded(AuthenticationFailed):
    """The issuer does not accept the consent any more: it expired, was revoked, or the password was changed."""

    code = "consent_ended"
    remedy = _ASK_AGAIN


class ConsentedTokens(KeptToken):
    """Asking for a token raises ConsentMissing and ConsentEnded too."""

    def __init__(
        self,
        consent: Consent,
        application: Credentials,
        consents: Consents,
        secrets: Secrets,
        clock: Clock,
        *,
        allow_local_servers: bool,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(seconds)
        self._mailbox_id: MailboxId = consent.mailbox_id
        self._granted_on = consent.granted_on
        self._application = application
        self._consents = consents
        self._secrets = secrets
        self._clock = clock
        self._allow_local_servers = allow_local_servers

    def _asked_anew(self) -> Answer:
        stored = self._claimed()
        try:
            answer = self._asked(stored.record)
        except Refused as refused:
            if refused.code not in _ENDED:
                self._give_back(stored)
                raise of_application(refused) from refused
            if not self._note_end(stored):
                raise Busy(_MEANWHILE) from refused
            raise ConsentEnded(refused.told) from refused
        except SyncError:
            self._give_back(stored)
            raise
        self._store(stored, answer)
        return answer

    def _claimed(self) -> StoredConsent:
        """The consent, with nobody else asking the issuer about it. Raises ConsentMissing, ConsentEnded, Busy."""
        for _ in range(_ATTEMPTS):
            stored = self._present()
            if stored.record.ended_on is not None:
                raise ConsentEnded("The issuer of tokens refused the consent before.")
            now = self._clock()
            if stored.record.renewing_until is not None and now < stored.record.renewing_until:
                raise Busy("Another worker is asking the issuer of tokens.", stored.record.renewing_until - now)
            with suppress(Changed):
                return self._consents.put(replace(stored.record, renewing_until=now + RENEWAL), stored.etag)
        raise Busy("The consent is changed by others again and again.")

    def _present(self) -> StoredConsent:
        """Raises ConsentMissing; Busy where who comes back finds a newer consent."""
        stored = self._consents.get(self._mailbox_id)
        if stored is None:
            raise ConsentMissing("The consent was withdrawn.")
        if stored.record.granted_on != self._granted_on:
            raise Busy("The owner of the mailbox has consented anew.")
        return stored

    def _asked(self, consent: Consent) -> Answer:
        """Raises Refused, AuthenticationFailed, TransientError."""
        try:
            refresh_token = self._secrets.get(consent.refresh_token)
        except KeyError as error:
            raise ConsentMissing("The secret of the consent is not stored.") from error
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "scope": " ".join(consent.terms.scopes),
            **client_fields(consent.terms, self._application, self._secrets),
        }
        return ask(issuer_for(consent.terms).tokens, form, allow_local_servers=self._allow_local_servers)

    def _store(self, stored: StoredConsent, answer: Answer) -> None:
        """The secret first, then the consent that names it. Raises TransientError, also where the owner consented anew;
        ConsentMissing where somebody withdrew the consent meanwhile: then this answer is of no consent that stands."""
        before, now = stored.record, self._clock()
        after = replace(before, renewed_on=now, renewing_until=None)
        if answer.refresh_token is not None:
            name, fresh = before.refresh_token.name, answer.refresh_token
            after = replace(after, refresh_token=_insisting(lambda: self._secrets.set(name, fresh)))
        elif now - before.renewed_on < _WORTH_NOTING:
            after = replace(after, renewed_on=before.renewed_on)
        if answer.consent_ends_in is not None:
            after = replace(after, expires_on=now + answer.consent_ends_in)
        self._put(after, stored)

    def _put(self, after: Consent, stored: StoredConsent) -> None:
        """Against a worker that asked in vain since this one's time was over, too: it had the refresh token from before."""
        before, etag = stored.record.refresh_token, stored.etag
        for _ in range(_ATTEMPTS):
            with suppress(Changed):
                _insisting(partial(self._consents.put, after, etag))
                return
            present = self._present()
            if present.record == after:  # only the reply to the first attempt was lost
                return
            if present.record.refresh_token != before:
                break
            etag = present.etag
        raise Busy(_MEANWHILE)

    def _note_end(self, stored: StoredConsent) -> bool:
        """So that nobody asks the issuer again. False where another worker has asked as well: what the issuer refused may be
        what that one used up. Raises ConsentMissing, TransientError."""
        try:
            self._consents.put(replace(stored.record, ended_on=self._clock(), renewing_until=None), stored.etag)
        except Changed:
            return self._present().record.ended_on is not None
        return True

    def _give_back(self, stored: StoredConsent) -> None:
        """Where this fails, the others wait until the claim is over."""
        try:
            self._consents.put(replace(stored.record, renewing_until=None), stored.etag)
        except (Changed, TransientError) as error:
            _log.warning("renewal_not_given_back", extra={"mailbox_id": self._mailbox_id, "code": error.code})


def _insisting[T](store: Callable[[], T]) -> T:
    """What cannot be asked for again is not given up at the first trouble of a store. Raises TransientError."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(TransientError):
            return store()
    return store()
