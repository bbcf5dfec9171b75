"""Owners of mailboxes are asked for their consent, answer, and it is withdrawn. What stands is said to whoever asks.

The owner is sent to the provider with a state, 256 random bits that nobody else knows, and comes back with it and a code.
Whoever brings the state is believed, once. The verifier that makes the code worth something (RFC 7636) is made of the state and
a salt that is stored, so that neither what is stored nor what the browser carries is enough.
"""

import hashlib
import hmac
import logging
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from secrets import token_urlsafe
from urllib.parse import urlsplit

from shared.administration.consent_ends import SOON, end_alert
from shared.administration.failures import NotPossibleNow
from shared.administration.mailbox_records import MailboxRecords
from shared.administration.schedules import due_now
from shared.administration.writing import persistently
from shared.domain.alerts import alert_of
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import AlertLevel, ConsentStatus, Workload
from shared.domain.configuration import EmailServerProfile, Mailbox, SecretRef
from shared.domain.consents import Consent, ConsentRequest, ConsentTerms, end_of, signs_in_as, status_of, terms_of
from shared.domain.eligibility import is_server_side, own_ineligibility
from shared.domain.errors import SyncError
from shared.domain.ids import MailboxId
from shared.domain.operations import Alert
from shared.ports import Clock, ConsentIssuer, Granted, Stores

log = logging.getLogger(__name__)

ANSWERED_WITHIN = timedelta(minutes=15)
NOT_REVOKED = "consent_not_revoked"
"""Code of the alert that says that the provider was not told of the end of a consent."""
_LONGEST = 8192
"""Characters of a code or state that are looked at."""
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ConsentStanding:
    """`consent` is there where somebody consented, whatever became of it."""

    status: ConsentStatus
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class ConsentLink:
    """What the owner of the mailbox opens in a browser, and until when the answer counts."""

    request: ConsentRequest
    authorization_url: str


class Outcome(Enum):
    """What the owner is told when back from the provider; no more than this, whatever happened."""

    CONSENTED = auto()
    DECLINED = auto()
    FAILED = auto()


class Consenting:
    def __init__(self, stores: Stores, clock: Clock, records: MailboxRecords, issuer: ConsentIssuer | None) -> None:
        self._stores = stores
        self._clock = clock
        self._records = records
        self._issuer = issuer

    def standing(self, mailbox_id: MailboxId) -> ConsentStanding:
        """Raises RecordNotFound."""
        mailbox = self._records.read(mailbox_id).record
        stored = self._stores.consents.get(mailbox_id)
        consent = None if stored is None else stored.record
        sends = is_server_side(mailbox, Workload.OUTGOING)
        return ConsentStanding(status_of(consent, self._profile_of(mailbox), sends=sends), consent)

    def ask(self, mailbox_id: MailboxId, redirect_uri: str, caller: Caller) -> ConsentLink:
        """A link for the owner. A consent that stands is kept until the owner consents again.

        Raises RecordNotFound; NotPossibleNow where no consent is needed, or the answer could be read on its way."""
        mailbox = self._records.read(mailbox_id).record
        profile = self._profile_of(mailbox)
        terms = None if profile is None else terms_of(profile)
        if terms is None or self._issuer is None:
            raise NotPossibleNow(
                "nobody has to consent to this mailbox being read",
                "Give it a POP3 or IMAP profile with authentication oauth, an oauth_provider, credential_source mailbox and the"
                " client_id of the application.",
            )
        _check_way_back(redirect_uri)
        state, salt = token_urlsafe(32), token_urlsafe(32)
        until = self._clock() + ANSWERED_WITHIN
        request = ConsentRequest(_key(state), mailbox_id, terms, redirect_uri, salt, caller.name, until)
        url = self._issuer.address(
            terms,
            login_hint=signs_in_as(mailbox),
            redirect_uri=redirect_uri,
            state=state,
            challenge=_digest(_verifier(state, salt).encode()),
        )
        self._records.trail(caller, mailbox_id).note(ChangeAction.CONSENT_ASKED, None, None, request.key)
        self._stores.consents.ask(request)
        return ConsentLink(request, url)

    def answer(self, state: str | None, code: str | None) -> Outcome:
        """`code` None: the owner, or the provider, declined. A request is over with its first answer, whatever comes of it.

        Raises TransientError where the store fails before the answer was taken."""
        if not state or max(len(state), len(code or "")) > _LONGEST:
            return Outcome.FAILED
        request = self._stores.consents.answered(_key(state))
        if request is None or self._clock() >= request.expires_on:
            return Outcome.FAILED
        if not code:
            log.info("consent_declined", extra={"mailbox_id": request.mailbox_id})
            return Outcome.DECLINED
        try:
            self._accept(request, code, _verifier(state, request.salt))
        except SyncError as error:
            log.warning("consent_failed", extra={"mailbox_id": request.mailbox_id, "code": error.code})
            self._stores.alerts.put(alert_of(f"mailbox:{request.mailbox_id}", error, self._clock(), {"consent": "failed"}))
            return Outcome.FAILED
        return Outcome.CONSENTED

    def withdraw(self, mailbox_id: MailboxId, caller: Caller) -> None:
        """Ends the consent at the provider, where that has a way for it, and forgets it here in any case: from then on nobody
        signs in by it. What is not there counts as withdrawn. Raises RecordNotFound."""
        self._records.read(mailbox_id)
        self.end(mailbox_id, caller)

    def end(self, mailbox_id: MailboxId, caller: Caller) -> None:
        """As `withdraw`; the mailbox itself may be gone already."""
        stored = self._stores.consents.get(mailbox_id)
        if stored is None:
            return
        self._records.trail(caller, mailbox_id).note(ChangeAction.CONSENT_WITHDRAWN, _told(stored.record), None, stored.etag)
        self._stores.consents.delete(mailbox_id)
        if not self._revoked(stored.record):
            self._stores.alerts.put(_not_revoked(stored.record, self._clock))

    # ---- the answer

    def _accept(self, request: ConsentRequest, code: str, verifier: str) -> None:
        """Raises MailboxError, TransientError, RecordNotFound."""
        profile = self._profile_of(self._records.read(request.mailbox_id).record)
        if self._issuer is None or profile is None or terms_of(profile) != request.terms:
            raise NotPossibleNow(
                "the profile of the mailbox was changed while its owner consented", "Ask the owner to consent again."
            )
        granted = self._issuer.redeem(profile, request, code, verifier)
        refresh_token = self._stores.secrets.set(f"consent-{request.mailbox_id}", granted.refresh_token)
        consent = self._put(request, granted, refresh_token)
        try:
            self._follow_up(consent)
        except SyncError as error:  # the consent stands, and the mailbox is tried again within the hour
            log.warning("consent_not_followed_up", extra={"mailbox_id": request.mailbox_id, "code": error.code})

    def _put(self, request: ConsentRequest, granted: Granted, refresh_token: SecretRef) -> Consent:
        """Takes the place of whatever consent stands, also of one that a worker is renewing."""
        now = self._clock()
        ends = None if granted.expires_in is None else now + granted.expires_in
        consent = Consent(request.mailbox_id, request.terms, refresh_token, now, request.asked_by, now, ends)
        trail = self._records.trail(Caller(request.asked_by), request.mailbox_id)

        def attempt() -> None:
            before = self._stores.consents.get(request.mailbox_id)
            told = None if before is None else _told(before.record)
            trail.note(ChangeAction.CONSENT_GIVEN, told, _told(consent), request.key)
            self._stores.consents.put(consent, None if before is None else before.etag)

        persistently(attempt, None)
        return consent

    def _follow_up(self, consent: Consent) -> None:
        """What failed without the consent says nothing any more."""
        if end_of(consent) - self._clock() < SOON:
            self._stores.alerts.put(end_alert(consent, self._clock()))
        stored = self._records.read(consent.mailbox_id)
        for workload in Workload:
            if own_ineligibility(stored.record, workload) is None:
                schedule = due_now(stored.schedule.get(workload), self._clock())
                self._stores.mailboxes.reschedule(stored.record.id, workload, schedule)

    # ---- the end

    def _revoked(self, consent: Consent) -> bool:
        if self._issuer is None:
            return False
        try:
            return self._issuer.revoke(consent.terms, self._stores.secrets.get(consent.refresh_token))
        except (SyncError, KeyError) as error:
            code = error.code if isinstance(error, SyncError) else "secret_missing"
            log.warning("consent_not_revoked", extra={"mailbox_id": consent.mailbox_id, "code": code})
            return False

    def _profile_of(self, mailbox: Mailbox) -> EmailServerProfile | None:
        stored = None if mailbox.profile_id is None else self._stores.profiles.get(mailbox.profile_id)
        return None if stored is None else stored.record


@dataclass(frozen=True, slots=True)
class _Told:
    """What the audit tells of a consent."""

    consent: ConsentTerms
    refresh_token: SecretRef


def _told(consent: Consent) -> _Told:
    return _Told(consent.terms, consent.refresh_token)


def _not_revoked(consent: Consent, clock: Clock) -> Alert:
    return Alert(
        about=f"mailbox:{consent.mailbox_id}",
        code=NOT_REVOKED,
        level=AlertLevel.INFORMATION,
        cause="The consent of the mailbox's owner was forgotten here; the provider has no way to be told, or did not answer.",
        remedy="Where the application must lose the right at the provider too, let the owner remove it from the account there"
        " (at Microsoft https://myapplications.microsoft.com, at Google https://myaccount.google.com/connections).",
        raised_on=clock(),
    )


def _check_way_back(redirect_uri: str) -> None:
    """Raises NotPossibleNow where the code would travel in the clear."""
    url = urlsplit(redirect_uri)
    if url.scheme != "https" and url.hostname not in _LOCAL_HOSTS:
        raise NotPossibleNow(
            "the owner would come back to this function app without TLS",
            "Set SIDESYNC_PUBLIC_URL to the https:// address of the function app, or call it by that address.",
        )


def _key(state: str) -> str:
    """Who reads the store cannot answer in the owner's place."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _verifier(state: str, salt: str) -> str:
    return _text(hmac.digest(salt.encode(), state.encode("utf-8", "surrogatepass"), "sha256"))


def _digest(value: bytes) -> str:
    return _text(hashlib.sha256(value).digest())


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
