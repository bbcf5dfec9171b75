"""What a consent does to its mailbox, and when the administrator hears that it ends. The provider always says yes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.administration import Administration, Rules
from shared.administration.consent_ends import SOON
from shared.administration.consenting import ANSWERED_WITHIN, Outcome
from shared.domain.audit import ChangeAction
from shared.domain.choices import (
    Approval,
    AuthenticationProtocol,
    ConsentStatus,
    CredentialSource,
    EmailDeliveryMethod,
    OAuthProvider,
    ServerType,
    Workload,
)
from shared.domain.configuration import Breaker, Credentials, EmailServerProfile, Mailbox, SecretRef, WorkloadSchedule
from shared.domain.consents import Consent, ConsentRequest, ConsentTerms, covers, end_of, server_of_tokens, status_of, terms_of
from shared.domain.errors import Busy
from shared.domain.ids import MailboxId, ProfileId
from shared.ports import Granted
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN, Office

DAY = timedelta(days=1)
REDIRECT = "https://sidesync.contoso.example/api/consent"


@dataclass
class Provider:
    """Gives what it is told to, and remembers who asked."""

    gives: Granted = field(default_factory=lambda: Granted("the refresh token"))
    redeemed: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def address(self, terms: ConsentTerms, *, login_hint: str, redirect_uri: str, state: str, challenge: str) -> str:
        return f"https://provider.example/?state={state}&to={redirect_uri}&hint={login_hint}&{challenge}&{terms.client_id}"

    def redeem(self, profile: EmailServerProfile, request: ConsentRequest, code: str, verifier: str) -> Granted:
        assert terms_of(profile) == request.terms
        self.redeemed.append((code, verifier))
        self.meanwhile()
        return self.gives

    def revoke(self, terms: ConsentTerms, refresh_token: str) -> bool:
        raise Busy(f"{terms} {refresh_token}")


@dataclass
class ConsentOffice(Office):
    provider: Provider = field(default_factory=Provider)

    @property
    def administration(self) -> Administration:
        return Administration(self.stores, self.clock, Rules(), consent_issuer=self.provider)

    def has_mailbox(self, provider: OAuthProvider = OAuthProvider.GOOGLE) -> MailboxId:
        self.has_profile(
            server_type=ServerType.IMAP_SMTP,
            incoming_location="imap.example",
            authentication=AuthenticationProtocol.OAUTH,
            credential_source=CredentialSource.MAILBOX,
            credentials=Credentials(client_id="app"),
            oauth_provider=provider,
        )
        return self.has_mailbox_being_read().record.id

    def consents(self, mailbox_id: MailboxId) -> Outcome:
        link = self.administration.consents.ask(mailbox_id, REDIRECT, ADMIN)
        state = parse_qs(urlsplit(link.authorization_url).query)["state"][0]
        return self.administration.consents.answer(state, "the code")

    def consent_of(self, mailbox_id: MailboxId) -> Consent:
        stored = self.stores.consents.get(mailbox_id)
        assert stored is not None
        return stored.record

    def status_of(self, mailbox_id: MailboxId) -> ConsentStatus:
        return self.administration.consents.standing(mailbox_id).status

    def told(self) -> list[tuple[str, str]]:
        return [(alert.about, alert.code) for alert in self.stores.alerts.list().items]


@pytest.fixture
def office() -> ConsentOffice:
    return ConsentOffice()


def test_a_mailbox_needs_no_credentials_of_its_own_where_its_owner_consents(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    assert office.mailbox_of("anna").record.credentials == Credentials()
    assert office.status_of(mailbox_id) is ConsentStatus.MISSING


def test_a_consent_makes_the_mailbox_due_and_closes_its_breaker_without_touching_its_record(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    breaker = Breaker("consent_ended", office.clock(), office.clock() + DAY)
    office.has_schedule(due=office.clock() + DAY, breaker=breaker, failures=3)
    before = office.mailbox_of("anna").etag
    office.clock.advance(DAY / 2)

    assert office.consents(mailbox_id) is Outcome.CONSENTED

    after = office.incoming_of()
    assert (after.due, after.breaker, after.failures) == (office.clock(), None, 0)
    assert office.mailbox_of("anna").etag == before


def test_what_the_mailbox_sends_is_due_as_well(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    office.changes(mailbox_id, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
    breaker = Breaker("consent_missing", office.clock(), office.clock() + DAY)
    off = WorkloadSchedule(due=office.clock() + DAY, breaker=breaker)
    office.stores.mailboxes.reschedule(mailbox_id, Workload.OUTGOING, off)

    office.consents(mailbox_id)

    after = office.mailbox_of("anna").schedule[Workload.OUTGOING]
    assert (after.due, after.breaker) == (office.clock(), None)


def test_a_consent_from_before_mail_was_sent_is_outdated_only_for_a_mailbox_that_sends(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox(OAuthProvider.MICROSOFT)
    office.consents(mailbox_id)
    consent = office.consent_of(mailbox_id)
    scopes = tuple(each for each in consent.terms.scopes if "SMTP" not in each)
    assert len(scopes) == len(consent.terms.scopes) - 1
    former = replace(consent, terms=replace(consent.terms, scopes=scopes, outgoing_server=None))
    stored = office.stores.consents.get(mailbox_id)
    assert stored is not None
    office.stores.consents.put(former, stored.etag)
    assert office.status_of(mailbox_id) is ConsentStatus.GRANTED

    office.changes(mailbox_id, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)

    assert office.status_of(mailbox_id) is ConsentStatus.OUTDATED


def test_a_mailbox_that_may_not_run_does_not_run_for_a_consent(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    office.administration.mailboxes.decide(mailbox_id, Approval.REJECTED, ADMIN)
    office.consents(mailbox_id)
    assert office.mailbox_of("anna").schedule.get(Workload.INCOMING, WorkloadSchedule()).due is None


def test_a_mailbox_that_was_rejected_while_its_owner_consented_does_not_run(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    office.provider.meanwhile = lambda: office.administration.mailboxes.decide(mailbox_id, Approval.REJECTED, ADMIN)
    assert office.consents(mailbox_id) is Outcome.CONSENTED
    assert office.mailbox_of("anna").schedule.get(Workload.INCOMING, WorkloadSchedule()).due is None


def test_an_owner_whose_consent_is_stored_is_not_told_that_it_failed(
    office: ConsentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was that could not be done for it after: the mailbox is tried again within the hour."""
    mailbox_id = office.has_mailbox()

    def fails(*_: object) -> None:
        raise Busy("not now")

    monkeypatch.setattr(office.stores.mailboxes, "reschedule", fails)
    assert office.consents(mailbox_id) is Outcome.CONSENTED
    assert office.status_of(mailbox_id) is ConsentStatus.GRANTED
    assert office.told() == []


def test_the_verifier_is_none_that_was_stored_or_sent(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    link = office.administration.consents.ask(mailbox_id, REDIRECT, ADMIN)
    state = parse_qs(urlsplit(link.authorization_url).query)["state"][0]
    office.administration.consents.answer(state, "the code")
    ((code, verifier),) = office.provider.redeemed
    assert (code, len(verifier)) == ("the code", 43)
    assert verifier not in link.authorization_url + repr(link.request)


def test_a_profile_that_changed_while_the_owner_consented_gets_no_code(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    link = office.administration.consents.ask(mailbox_id, REDIRECT, ADMIN)
    state = parse_qs(urlsplit(link.authorization_url).query)["state"][0]
    other = Credentials(client_id="another")
    office.administration.profiles.change(ProfileId("contoso"), lambda each: replace(each, credentials=other), ADMIN)
    assert office.administration.consents.answer(state, "the code") is Outcome.FAILED
    assert office.provider.redeemed == []


def test_every_step_is_in_the_audit_without_a_token(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    for _ in range(2):
        office.clock.advance(timedelta(seconds=1))
        office.consents(mailbox_id)
    office.administration.consents.withdraw(mailbox_id, ADMIN)
    entries = [entry for entry in office.audited(f"mailbox:{mailbox_id}") if entry.action.value.startswith("consent")]
    steps = [ChangeAction.CONSENT_ASKED, ChangeAction.CONSENT_GIVEN]
    assert sorted(entry.action for entry in entries) == sorted([*steps, *steps, ChangeAction.CONSENT_WITHDRAWN])
    assert {entry.caller for entry in entries} == {ADMIN.name}
    assert "the refresh token" not in repr(entries)


def test_a_deleted_forward_mailbox_takes_its_consent_with_it(office: ConsentOffice) -> None:
    office.has_mailbox()
    mailbox = Mailbox(MailboxId("collected"), "Collected", "all@contoso.example", None, profile_id=ProfileId("contoso"))
    office.administration.forward_mailboxes.put(mailbox, ADMIN)
    assert office.consents(mailbox.id) is Outcome.CONSENTED
    office.administration.forward_mailboxes.delete(mailbox.id, ADMIN)
    assert office.stores.consents.get(mailbox.id) is None
    assert office.told() == [("mailbox:collected", "consent_not_revoked")], "the provider was asked to end it"
    assert ChangeAction.CONSENT_WITHDRAWN in [entry.action for entry in office.audited("mailbox:collected")]


# ---- the end


def test_a_consent_that_is_about_to_end_is_told_in_time_and_once(office: ConsentOffice) -> None:
    office.provider.gives = Granted("the refresh token", 100 * DAY)
    mailbox_id = office.has_mailbox()
    office.consents(mailbox_id)
    for days, expected in ((0, []), (86, []), (1, [(f"mailbox:{mailbox_id}", "consent_expiry")])):
        office.clock.advance(days * DAY)
        office.administration.housekeeping.run()
        assert office.told() == expected
    office.clock.advance(DAY)
    office.administration.housekeeping.run()
    (alert,) = office.stores.alerts.list().items
    assert "2027-03-03T08:00:00Z" in alert.cause
    assert "consent ask" in alert.remedy


def test_a_consent_that_nothing_uses_ends_after_ninety_days_at_microsoft(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox(OAuthProvider.MICROSOFT)
    office.consents(mailbox_id)
    assert end_of(office.consent_of(mailbox_id)) == office.clock() + 90 * DAY
    office.clock.advance(90 * DAY - SOON + timedelta(seconds=1))
    office.administration.housekeeping.run()
    assert "if nothing uses it" in office.stores.alerts.list().items[0].cause


def test_a_consent_that_ends_soon_is_told_when_it_is_given(office: ConsentOffice) -> None:
    """As Google has it for applications that are being tested: after seven days."""
    office.provider.gives = Granted("the refresh token", 7 * DAY)
    office.consents(office.has_mailbox())
    assert [code for _, code in office.told()] == ["consent_expiry"]


@pytest.mark.parametrize("why", ["ended", "inactive", "another profile", "withdrawn"])
def test_nobody_is_told_of_a_consent_that_is_not_in_use(office: ConsentOffice, why: str) -> None:
    mailbox_id = office.has_mailbox()
    office.consents(mailbox_id)
    match why:
        case "ended":
            stored = office.stores.consents.get(mailbox_id)
            assert stored is not None
            office.stores.consents.put(replace(stored.record, ended_on=office.clock()), stored.etag)
        case "inactive":
            office.administration.mailboxes.deactivate(mailbox_id, ADMIN)
        case "another profile":
            office.changes(mailbox_id, profile_id=None)
        case _:
            office.stores.consents.delete(mailbox_id)
    office.clock.advance(179 * DAY)
    office.administration.housekeeping.run()
    assert office.told() == []


def test_requests_that_nobody_answered_are_removed(office: ConsentOffice) -> None:
    link = office.administration.consents.ask(office.has_mailbox(), REDIRECT, ADMIN)
    office.clock.advance(ANSWERED_WITHIN + timedelta(seconds=1))
    office.administration.housekeeping.run()
    assert office.stores.consents.answered(link.request.key) is None


def test_a_withdrawn_consent_is_forgotten_although_the_provider_is_down(office: ConsentOffice) -> None:
    mailbox_id = office.has_mailbox()
    office.consents(mailbox_id)
    office.administration.consents.withdraw(mailbox_id, ADMIN)
    assert office.status_of(mailbox_id) is ConsentStatus.MISSING
    assert office.told() == [(f"mailbox:{mailbox_id}", "consent_not_revoked")]


# ---- terms


def profile(**changes: Any) -> EmailServerProfile:
    consented = EmailServerProfile(
        ProfileId("p"),
        "P",
        ServerType.POP3_SMTP,
        "Mail.example",
        AuthenticationProtocol.OAUTH,
        CredentialSource.MAILBOX,
        Credentials(client_id="app"),
        oauth_provider=OAuthProvider.MICROSOFT,
    )
    return replace(consented, **changes)


def terms(**changes: Any) -> ConsentTerms:
    found = terms_of(profile(**changes))
    assert found is not None
    return found


OWN_SERVER = {"use_same_settings_for_outgoing": False, "outgoing_location": "Smtp.example"}
OWN_SIGN_IN = OWN_SERVER | {"outgoing_credential_source": CredentialSource.ANONYMOUS}


def test_owners_are_asked_for_sending_too_unless_other_credentials_send() -> None:
    sending = "https://outlook.office.com/SMTP.Send"
    assert sending in terms().scopes
    assert sending in terms(**OWN_SERVER).scopes
    assert sending not in terms(**OWN_SIGN_IN).scopes
    servers = [terms(**each).outgoing_server for each in ({}, OWN_SERVER, OWN_SIGN_IN)]
    assert servers == ["mail.example", "smtp.example", None]


def test_what_google_gives_for_reading_goes_for_sending_too() -> None:
    google = terms(oauth_provider=OAuthProvider.GOOGLE)
    assert google.scopes == ("https://mail.google.com/",)
    assert google.outgoing_server == "mail.example"


@pytest.mark.parametrize(
    ("since", "reads", "sends"),
    [
        ({}, True, True),
        (OWN_SERVER, True, False),
        (OWN_SIGN_IN, True, False),
        ({"incoming_location": "elsewhere.example"}, False, False),
        ({"credentials": Credentials(client_id="another")}, False, False),
        ({"server_type": ServerType.IMAP_SMTP}, False, False),
        ({"credential_source": CredentialSource.APPLICATION}, False, False),
    ],
)
def test_a_consent_covers_what_it_was_given_for_and_no_other_server(since: dict[str, Any], reads: bool, sends: bool) -> None:
    given, present = terms(), profile(**since)
    assert covers(given, present, Workload.INCOMING) is reads
    assert covers(given, present, Workload.OUTGOING) is sends


def test_a_mailbox_that_sends_by_other_credentials_needs_consent_to_be_read_alone() -> None:
    given = Consent(MailboxId("m"), terms(**OWN_SIGN_IN), SecretRef("token", "1"), MONDAY, "ada", MONDAY)

    assert status_of(given, profile(**OWN_SIGN_IN), sends=True) is ConsentStatus.GRANTED
    assert status_of(given, profile(), sends=True) is ConsentStatus.OUTDATED


def test_a_consent_that_was_given_for_reading_alone_does_not_send() -> None:
    assert covers(terms(**OWN_SIGN_IN), profile(), Workload.INCOMING)
    assert not covers(terms(**OWN_SIGN_IN), profile(), Workload.OUTGOING)
    assert not covers(terms(**OWN_SIGN_IN), profile(**OWN_SIGN_IN), Workload.OUTGOING)


def test_sovereign_clouds_have_mail_servers_of_their_own() -> None:
    public, government = terms(), terms(credentials=Credentials(client_id="app", authority="login.microsoftonline.us"))
    assert public.scopes[:2] == ("https://outlook.office.com/POP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
    assert government.scopes[0] == "https://outlook.office365.us/POP.AccessAsUser.All"
    assert government.scopes[1] == "https://outlook.office365.us/SMTP.Send"
    assert server_of_tokens(Credentials()) == "https://outlook.office365.com"
    assert server_of_tokens(Credentials(authority="login.partner.microsoftonline.cn")) == "https://partner.outlook.cn"
