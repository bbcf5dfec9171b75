"""The settings of the organisation: each has its rule, and the record its ETag."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.administration.writing import ANY_STATE, NO_STATE
from shared.domain.choices import CorrelationMethod
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ProfileId
from shared.domain.organisation import OrganisationSettings
from shared.stores.memory import snapshot
from tests.unit.administration.office import ADMIN, Office

IN_REPLY_TO, SMART = CorrelationMethod.IN_REPLY_TO, CorrelationMethod.SMART_MATCHING


def test_where_nothing_was_written_all_is_default(office: Office) -> None:
    stored = office.administration.settings.get()

    assert (stored.record, stored.etag) == (OrganisationSettings(), None)


def test_settings_are_kept_in_their_normal_form(office: Office) -> None:
    settings = office.has_settings(
        exclude=("Boss@Contoso.example", "fabrikam.example", " boss@contoso.example "),
        blocked_attachments=("EXE", "js", "exe"),
        tracking_prefix=" CRM: ",
        correlation_methods=(SMART, IN_REPLY_TO),
    )

    assert settings.exclude == ("boss@contoso.example", "fabrikam.example")
    assert settings.blocked_attachments == ("exe", "js")
    assert settings.tracking_prefix == "CRM:"
    assert settings.correlation_methods == (SMART, IN_REPLY_TO)
    assert office.administration.settings.get().record == settings


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("default_profile_id", {"default_profile_id": ProfileId("nowhere")}),
        ("exclude/1", {"exclude": ("contoso.example", "not an address")}),
        ("exclude/0", {"exclude": ("@contoso.example",)}),
        ("exclude/0", {"exclude": ("localhost",)}),
        ("exclude/0", {"exclude": ("10.0.0.1",)}),
        ("exclude", {"exclude": tuple(f"{number}.contoso.example" for number in range(1001))}),
        ("exclude", {"exclude": tuple(f"{'x' * 60}{number}.contoso.example" for number in range(900))}),
        ("tracking_prefix", {"tracking_prefix": ""}),
        ("former_tracking_prefixes/1", {"former_tracking_prefixes": ("CRM:", "x" * 21)}),
        ("former_tracking_prefixes", {"former_tracking_prefixes": tuple(f"P{number}:" for number in range(21))}),
        ("tracked_category", {"tracked_category": " "}),
        ("tracked_category", {"tracked_category": "Tracked, really"}),
        ("undeliverable_category", {"undeliverable_category": "x" * 101}),
        ("undeliverable_category", {"undeliverable_category": "TRACKED"}),
        ("tracking_prefix", {"tracking_prefix": "x" * 21}),
        ("tracking_prefix", {"tracking_prefix": "a\nb"}),
        ("tracking_digits", {"tracking_digits": 3}),
        ("tracking_digits", {"tracking_digits": 13}),
        ("longest_subject", {"longest_subject": 254}),
        ("longest_subject", {"longest_subject": 401}),
        ("largest_message", {"largest_message": 0}),
        ("largest_message", {"largest_message": 150 * 1024 * 1024 + 1}),
        ("largest_attachment", {"largest_attachment": -1}),
        ("blocked_attachments/0", {"blocked_attachments": (".exe",)}),
        ("blocked_attachments/0", {"blocked_attachments": ("",)}),
        ("correlation_methods/1", {"correlation_methods": (IN_REPLY_TO, IN_REPLY_TO)}),
        ("correlation_methods/0", {"correlation_methods": (CorrelationMethod.SKIPPED,)}),
        ("keep_runs", {"keep_runs": timedelta()}),
        ("keep_runs", {"keep_runs": timedelta(days=3651)}),
        ("keep_ledger_details", {"keep_ledger_details": timedelta(hours=23)}),
        ("keep_alerts", {"keep_alerts": timedelta(hours=1)}),
        ("keep_audit", {"keep_audit": timedelta(days=-1)}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(office: Office, field: str, wrong: dict[str, object]) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        office.has_settings(**wrong)

    assert refused.value.field == field
    assert refused.value.remedy.endswith(".")
    assert snapshot(office.stores) == empty


def test_no_correlation_method_at_all_is_a_choice(office: Office) -> None:
    assert office.has_settings(correlation_methods=()).correlation_methods == ()


def test_the_same_settings_again_change_nothing(office: Office) -> None:
    settings = office.has_settings(tracking_digits=9)
    before = snapshot(office.stores)

    office.administration.settings.put(settings, ADMIN)

    assert snapshot(office.stores) == before


@pytest.mark.parametrize("first", [None, NO_STATE, ANY_STATE])
def test_settings_are_edited_in_the_state_that_was_seen(office: Office, first: str | None) -> None:
    seen = office.administration.settings.put(OrganisationSettings(tracking_digits=9), ADMIN, first).etag
    office.has_settings(tracking_digits=8)

    for stale in (seen, NO_STATE):
        with pytest.raises(Changed):
            office.administration.settings.put(OrganisationSettings(), ADMIN, stale)

    assert office.administration.settings.get().record.tracking_digits == 8


def test_insecure_servers_are_allowed_by_the_organisation(office: Office) -> None:
    with pytest.raises(InvalidRecord):
        office.has_profile(incoming_location="http://127.0.0.1/EWS/Exchange.asmx")

    office.has_settings(allow_insecure_servers=True)

    assert office.has_profile(incoming_location="http://127.0.0.1/EWS/Exchange.asmx").active
    with pytest.raises(InvalidRecord, match="cloud platform"):
        office.has_profile(incoming_location="http://169.254.169.254/EWS/Exchange.asmx")


# ---- prefixes that were used before


def test_a_prefix_that_is_changed_joins_the_former_ones(office: Office) -> None:
    office.has_settings(tracking_prefix="CRM:")
    assert office.has_settings(tracking_prefix="ACME:").former_tracking_prefixes == ("SYNC:", "CRM:")
    assert office.audited("settings")[0].changes[-1].field == "former_tracking_prefixes"


def test_repeating_a_change_forgets_no_prefix(office: Office) -> None:
    wanted = OrganisationSettings(tracking_prefix="CRM:")
    for _ in range(3):
        stored = office.administration.settings.put(wanted, ADMIN).record
        assert (stored.tracking_prefix, stored.former_tracking_prefixes) == ("CRM:", ("SYNC:",))


def test_a_prefix_that_is_used_again_is_no_former_one_whatever_its_cases(office: Office) -> None:
    office.has_settings(tracking_prefix="CRM:")
    assert office.has_settings(tracking_prefix="sync:").former_tracking_prefixes == ("CRM:",)
    assert office.has_settings(former_tracking_prefixes=("crm:", "OLD:")).former_tracking_prefixes == ("crm:", "OLD:")


def test_of_many_prefixes_the_latest_20_stay(office: Office) -> None:
    for number in range(25):
        settings = office.has_settings(tracking_prefix=f"P{number}:")
    assert settings.former_tracking_prefixes == tuple(f"P{number}:" for number in range(4, 24))


def test_what_a_change_would_make_of_the_settings_is_told_and_not_written(office: Office) -> None:
    before = snapshot(office.stores)
    tried = office.administration.settings.tried(lambda settings: replace(settings, exclude=("Fabrikam.example",)))
    assert tried.exclude == ("fabrikam.example",)
    with pytest.raises(InvalidRecord, match="exclude"):
        office.administration.settings.tried(lambda settings: replace(settings, exclude=("no domain",)))
    assert snapshot(office.stores) == before
