"""Email server profiles: what is refused and why, what is stored, and what a change does to the mailboxes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.administration import Rules
from shared.administration.failures import RecordNotFound
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType, Workload
from shared.domain.configuration import Breaker, Credentials, Discovered, EmailServerProfile, SecretRef
from shared.domain.eligibility import credential_version
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ProfileId
from shared.stores.memory import snapshot
from tests.builders import MONDAY, a_profile
from tests.unit.administration.office import ADMIN, PASSWORD, Office

APPLICATION = {
    "server_type": ServerType.EXCHANGE_ONLINE,
    "authentication": AuthenticationProtocol.OAUTH,
    "credential_source": CredentialSource.APPLICATION,
    "credentials": Credentials(tenant_id="contoso.onmicrosoft.com", client_id="0f0f"),
}
MANAGED = {
    "authentication": AuthenticationProtocol.OAUTH,
    "credential_source": CredentialSource.MANAGED_IDENTITY,
    "credentials": Credentials(),
}
OWN = {"credential_source": CredentialSource.MAILBOX, "credentials": Credentials()}


def test_a_profile_is_stored_as_given_and_its_secret_only_by_reference(office: Office) -> None:
    stored = office.administration.profiles.put(a_profile(), ADMIN, {"credentials/secret": PASSWORD})

    ref = stored.stored.record.credentials.secret
    assert stored.created
    assert ref is not None
    assert office.stores.secrets.get(ref) == PASSWORD
    assert replace(stored.stored.record, credentials=a_profile().credentials) == a_profile()
    assert PASSWORD not in repr(list(office.stores.profiles.list()))


def test_the_same_profile_again_changes_nothing(office: Office) -> None:
    first = office.administration.profiles.put(a_profile(), ADMIN, {"credentials/secret": PASSWORD}).stored
    before = snapshot(office.stores)

    again = office.administration.profiles.put(a_profile(), ADMIN, {"credentials/secret": PASSWORD})

    assert again.stored == first
    assert not again.created
    assert snapshot(office.stores) == before


def test_a_reference_that_a_caller_makes_up_is_not_believed(office: Office) -> None:
    office.has_profile(id=ProfileId("other"), secret="not yours")
    stolen = office.administration.profiles.get(ProfileId("other")).record.credentials

    with pytest.raises(InvalidRecord) as refused:
        office.administration.profiles.put(a_profile(credentials=stolen), ADMIN)

    assert refused.value.field == "credentials/secret"


def test_leaving_the_secret_out_keeps_it(office: Office) -> None:
    kept = office.has_profile().credentials.secret

    changed = office.administration.profiles.put(a_profile(name="Contoso"), ADMIN).stored.record

    assert changed.credentials.secret == kept
    assert changed.name == "Contoso"


@pytest.mark.parametrize(
    "elsewhere",
    [
        a_profile(incoming_location="https://mail.fabrikam.example/EWS/Exchange.asmx"),
        a_profile(credentials=Credentials(username="contoso\\sync", authority="login.fabrikam.example")),
    ],
)
def test_a_stored_secret_is_not_sent_to_another_host(office: Office, elsewhere: EmailServerProfile) -> None:
    office.has_profile()
    before = snapshot(office.stores)

    with pytest.raises(InvalidRecord, match="another host") as refused:
        office.administration.profiles.put(elsewhere, ADMIN)

    assert refused.value.field == "credentials/secret"
    assert snapshot(office.stores) == before


def test_the_stored_secrets_of_mailboxes_are_not_sent_to_another_host(office: Office) -> None:
    office.has_profile(secret=None, **OWN)
    mailbox_id = office.has_user().record.id
    office.administration.mailboxes.change(
        mailbox_id,
        lambda mailbox: replace(mailbox, profile_id=ProfileId("contoso"), credentials=Credentials(username="anna")),
        ADMIN,
        {"credentials/secret": PASSWORD},
    )
    before = snapshot(office.stores)

    with pytest.raises(InvalidRecord, match="another host") as refused:
        office.has_profile(secret=None, incoming_location="https://mail.fabrikam.example/EWS/Exchange.asmx", **OWN)

    assert refused.value.field == "incoming_location"
    assert snapshot(office.stores) == before


def test_another_path_on_the_same_host_keeps_the_secret(office: Office) -> None:
    kept = office.has_profile().credentials.secret
    moved = a_profile(incoming_location="https://MAIL.contoso.example/ews/exchange.asmx")

    assert office.administration.profiles.put(moved, ADMIN).stored.record.credentials.secret == kept


def test_a_profile_that_is_not_there_is_not_found(office: Office) -> None:
    with pytest.raises(RecordNotFound, match="nowhere"):
        office.administration.profiles.get(ProfileId("nowhere"))


def test_profiles_are_listed_by_id(office: Office) -> None:
    office.has_profile(id=ProfileId("b"))
    office.has_profile(id=ProfileId("a"))

    assert [stored.record.id for stored in office.administration.profiles.list()] == ["a", "b"]


def test_an_edit_of_another_state_is_refused(office: Office) -> None:
    office.has_profile()
    seen = office.administration.profiles.get(ProfileId("contoso")).etag
    office.has_profile(name="Meanwhile")

    with pytest.raises(Changed):
        office.administration.profiles.put(a_profile(name="Late"), ADMIN, etag=seen)

    assert office.administration.profiles.get(ProfileId("contoso")).record.name == "Meanwhile"


def test_an_edit_of_a_profile_that_was_never_there_is_refused(office: Office) -> None:
    with pytest.raises(Changed):
        office.administration.profiles.put(a_profile(), ADMIN, {"credentials/secret": PASSWORD}, etag="*")


@pytest.mark.parametrize("kind", [APPLICATION, OWN, MANAGED, {}])
def test_each_credential_source_has_a_valid_form(office: Office, kind: dict[str, object]) -> None:
    secret = None if kind in (OWN, MANAGED) else PASSWORD

    assert office.administration.profiles.put(a_profile(**kind), ADMIN, {"credentials/secret": secret}).created


INVALID: list[tuple[str, dict[str, object]]] = [
    ("id", {"id": "../contoso"}),
    ("id", {"id": "a" * 65}),
    ("name", {"name": " "}),
    ("name", {"name": "line\nbreak"}),
    ("name", {"name": "\ud800"}),
    ("incoming_location", {"server_type": ServerType.IMAP_SMTP}),
    ("min_polling_interval", {"min_polling_interval": timedelta(days=2)}),
    ("min_polling_interval", {"min_polling_interval": timedelta(seconds=-1)}),
    ("timeout", {"timeout": timedelta(seconds=101)}),
    ("timeout", {"timeout": timedelta()}),
    ("max_connections", {"max_connections": 0}),
    ("max_connections", {"max_connections": 301}),
    ("process_emails_received_after", {"process_emails_received_after": datetime(2026, 1, 1)}),  # noqa: DTZ001 - the point
    ("process_emails_received_after", {"process_emails_received_after": datetime(1601, 1, 1, tzinfo=UTC)}),
    ("process_emails_received_after", {"process_emails_received_after": datetime(9999, 1, 1, tzinfo=UTC)}),
    ("authentication", {"authentication": AuthenticationProtocol.OAUTH}),
    ("authentication", {"authentication": AuthenticationProtocol.NEGOTIATE}),
    ("authentication", {"server_type": ServerType.EXCHANGE_ONLINE}),
    ("authentication", APPLICATION | {"authentication": AuthenticationProtocol.BASIC}),
    ("authentication", OWN | {"authentication": AuthenticationProtocol.OAUTH}),
    ("credential_source", {"credential_source": CredentialSource.ANONYMOUS}),
    ("credentials/username", {"credentials": Credentials()}),
    ("credentials/username", {"credentials": Credentials(username="\x00")}),
    ("credentials/username", OWN | {"credentials": Credentials(username="anna")}),
    ("credentials/username", MANAGED | {"credentials": Credentials(username="anna")}),
    ("credentials/tenant_id", APPLICATION | {"credentials": Credentials(client_id="0f0f")}),
    ("credentials/tenant_id", APPLICATION | {"credentials": Credentials(client_id="0f0f", tenant_id="a/../b")}),
    ("credentials/client_id", APPLICATION | {"credentials": Credentials(tenant_id="contoso.com")}),
    ("credentials/secret", OWN),
    ("credentials/secret", MANAGED),
    ("credentials/authority", {"credentials": Credentials(username="anna", authority="login.example/path")}),
    ("credentials/authority", {"credentials": Credentials(username="anna", authority="http://login.example")}),
    ("credentials/authority", {"credentials": Credentials(username="anna", authority="https://login.microsoftonline.us")}),
    ("use_impersonation", APPLICATION | {"use_impersonation": False}),
]


@pytest.mark.parametrize(("field", "wrong"), INVALID)
def test_what_is_wrong_is_named_with_its_remedy_and_nothing_is_stored(
    office: Office, field: str, wrong: dict[str, object]
) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        office.administration.profiles.put(a_profile(**wrong), ADMIN, {"credentials/secret": PASSWORD})

    assert refused.value.field == field
    assert refused.value.remedy.endswith((".", "others"))
    assert snapshot(office.stores) == empty


@pytest.mark.parametrize("secret", ["", "x" * 8001, "a\x00b", "\ud800"])
def test_a_secret_that_cannot_be_one_is_refused_without_repeating_it(office: Office, secret: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        office.administration.profiles.put(a_profile(), ADMIN, {"credentials/secret": secret})

    assert refused.value.field == "credentials/secret"
    assert not secret or secret not in str(refused.value) + refused.value.remedy


def test_a_source_that_signs_in_with_a_secret_needs_one(office: Office) -> None:
    with pytest.raises(InvalidRecord, match="needs credentials/secret"):
        office.administration.profiles.put(a_profile(), ADMIN)


LOCATIONS_REFUSED = [
    "mail server",
    "mail.contoso.example",
    "http://mail.contoso.example/EWS/Exchange.asmx",
    "ftp://mail.contoso.example/",
    "https://",
    "https:///EWS/Exchange.asmx",
    "https://user:password@mail.contoso.example/",
    "https://mail.contoso.example@evil.example/",
    "https://mail.contoso.example/EWS#fragment",
    "https://mail.contoso.example/EWS?x=1",
    "https://mail.contoso.example:99999/",
    "https://mail.contoso.example:0/",
    "https://mail.contoso.example\\@evil.example/",
    "https://mail contoso.example/",
    "https://mail.contoso.example/\n",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://169.254.169.254/metadata",
    "https://0.0.0.0/",
    "https://168.63.129.16/",
    "https://[fd00:ec2::254]/",
    "https://2130706433/",
    "https://127.1/",
    "https://localhost/",
    "https://mail.localhost/",
    "https://[::1",
    "https://mail.contoso.example/" + "x" * 2084,
]


@pytest.mark.parametrize("location", [each for each in LOCATIONS_REFUSED if not each.endswith("\n")])
def test_a_location_that_is_no_safe_url_is_refused(office: Office, location: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        office.has_profile(incoming_location=location)

    assert refused.value.field == "incoming_location"
    assert "password@" not in str(refused.value)


def test_a_server_in_a_private_network_is_allowed(office: Office) -> None:
    assert office.has_profile(incoming_location="https://10.0.0.5/EWS/Exchange.asmx").active


@pytest.mark.parametrize("location", ["http://127.0.0.1:8080/EWS/Exchange.asmx", "https://localhost/EWS", "http://[::1]:1/"])
def test_local_servers_are_allowed_where_the_deployment_says_so(location: str) -> None:
    office = Office(rules=Rules(allow_local_servers=True))

    assert office.has_profile(incoming_location=location).incoming_location == location


@pytest.mark.parametrize("location", ["https://user:password@127.0.0.1/", "ftp://127.0.0.1/", "https://127.0.0.1/#x"])
def test_what_is_never_right_is_refused_for_local_servers_too(location: str) -> None:
    with pytest.raises(InvalidRecord):
        Office(rules=Rules(allow_local_servers=True)).has_profile(incoming_location=location)


def test_a_start_date_is_kept_in_utc(office: Office) -> None:
    berlin = datetime(2026, 6, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))

    stored = office.has_profile(process_emails_received_after=berlin)

    assert stored.process_emails_received_after == datetime(2026, 6, 1, tzinfo=UTC)


def test_a_new_password_closes_the_breakers_and_makes_the_mailboxes_due(office: Office) -> None:
    profile = office.has_profile()
    office.has_mailbox_being_read("anna")
    office.has_user("bruno")
    failing = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1), credential=credential_version(profile))
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        office.stores.profiles.set_breaker(profile.id, workload, failing, replacing=None)
    office.has_schedule(due=MONDAY + timedelta(hours=1), failures=3, breaker=replace(failing, credential=None))
    office.clock.advance(timedelta(minutes=10))

    stored = office.administration.profiles.put(a_profile(), ADMIN, {"credentials/secret": "another password"}).stored

    assert stored.breakers == office.administration.profiles.get(profile.id).breakers == {}
    office.does_visits()
    assert (office.incoming_of("anna").due, office.incoming_of("anna").breaker) == (office.clock.now, None)
    assert office.incoming_of("anna").failures == 0
    assert office.incoming_of("bruno").due is None


def test_a_new_name_leaves_breaker_and_schedules_alone(office: Office) -> None:
    profile = office.has_profile()
    office.has_mailbox_being_read()
    failing = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1), credential=credential_version(profile))
    office.stores.profiles.set_breaker(profile.id, Workload.INCOMING, failing, replacing=None)
    office.has_schedule(due=MONDAY + timedelta(minutes=5))

    stored = office.administration.profiles.put(a_profile(name="Contoso"), ADMIN, {"credentials/secret": PASSWORD}).stored

    assert stored.breakers == {Workload.INCOMING: failing}
    assert office.incoming_of().due == MONDAY + timedelta(minutes=5)


def test_the_secret_reference_of_another_record_is_never_taken_over(office: Office) -> None:
    foreign = a_profile(credentials=Credentials(username="contoso\\sync", secret=SecretRef("mailbox-1", "1")))

    stored = office.administration.profiles.put(foreign, ADMIN, {"credentials/secret": PASSWORD}).stored.record

    assert stored.credentials.secret is not None
    assert stored.credentials.secret.name.startswith("profile-")


def test_a_patch_starts_from_the_present_record(office: Office) -> None:
    kept = office.has_profile().credentials.secret

    changed = office.administration.profiles.change(
        ProfileId("contoso"), lambda profile: replace(profile, id=ProfileId("other"), name="Contoso"), ADMIN
    )

    assert (changed.record.id, changed.record.name, changed.record.credentials.secret) == ("contoso", "Contoso", kept)
    with pytest.raises(RecordNotFound):
        office.administration.profiles.change(ProfileId("nowhere"), lambda profile: profile, ADMIN)


def test_a_change_of_the_connection_forgets_what_was_discovered(office: Office) -> None:
    office.has_profile()
    mailbox_id = office.has_mailbox_being_read().record.id
    found = Discovered("https://old.contoso.example/", "15.2", AuthenticationProtocol.BASIC, MONDAY)
    office.stores.mailboxes.set_discovered(mailbox_id, found)

    office.has_profile(incoming_location="https://new.contoso.example/EWS/Exchange.asmx")
    office.does_visits()

    assert office.mailbox_of("anna").discovered is None


def test_a_token_authority_is_a_host_and_may_have_a_port(office: Office) -> None:
    for authority in ("login.microsoftonline.us", "login.contoso.example:8443"):
        stored = office.has_profile(credentials=Credentials(username="contoso\\sync", authority=authority))
        assert stored.credentials.authority == authority
    with pytest.raises(InvalidRecord) as refused:
        office.has_profile(credentials=Credentials(username="contoso\\sync", authority="https://login.microsoftonline.us"))
    assert "without https://" in refused.value.remedy
