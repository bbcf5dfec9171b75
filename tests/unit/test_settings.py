"""Settings: read once from the environment; what is missing or malformed is named, with what to write."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from shared.settings import MissingSetting, StorageAccount, read_settings

ROOT = Path(__file__).parents[2]
COMPLETE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "SIDESYNC_SECRETS_KEY": "k" * 43 + "="}


def test_a_connection_string_and_a_key_are_enough() -> None:
    settings = read_settings(COMPLETE)

    assert settings.storage == StorageAccount(connection_string="UseDevelopmentStorage=true")
    assert settings.run_budget == timedelta(minutes=4)
    assert not settings.allow_local_servers


def test_an_account_name_stands_for_a_managed_identity() -> None:
    environment = {
        "AzureWebJobsStorage__accountName": "contosomail",
        "AzureWebJobsStorage__clientId": "1f2e",
        "SIDESYNC_SECRETS_KEY": "key",
    }

    assert read_settings(environment).storage == StorageAccount(account_name="contosomail", client_id="1f2e")


def test_settings_that_are_printed_show_no_key() -> None:
    shown = repr(read_settings({"AzureWebJobsStorage": "AccountKey=a2V5", "SIDESYNC_SECRETS_KEY": "c2VjcmV0"}))

    assert "a2V5" not in shown
    assert "c2VjcmV0" not in shown


@pytest.mark.parametrize("name", ["AzureWebJobsStorage", "SIDESYNC_SECRETS_KEY"])
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(MissingSetting, match=name):
        read_settings({key: value for key, value in COMPLETE.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIDESYNC_ALLOW_LOCAL_SERVERS", "yes"),
        ("SIDESYNC_RUN_SECONDS", "soon"),
        ("SIDESYNC_RUN_SECONDS", "5"),
        ("SIDESYNC_RUN_PAGES", "-1"),
    ],
)
def test_a_malformed_setting_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(MissingSetting, match=f"{name} is '{value}'"):
        read_settings({**COMPLETE, name: value})


def test_the_sample_explains_every_setting_that_is_read() -> None:
    read = set(re.findall(r'"((?:SIDESYNC|AzureWebJobs)_?\w*)"', (ROOT / "shared" / "settings.py").read_text()))
    sample = (ROOT / "local.settings.sample.json").read_text()

    assert json.loads(sample)["IsEncrypted"] is False
    assert {name for name in read if name not in sample} == set()


def test_a_key_vault_needs_no_key_of_ours() -> None:
    environment = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "SIDESYNC_KEY_VAULT_URL": "https://contoso.vault.azure.net",
    }

    settings = read_settings(environment)

    assert (settings.key_vault_url, settings.secrets_key) == ("https://contoso.vault.azure.net", "")


def test_a_key_vault_is_asked_over_tls_only() -> None:
    plain = COMPLETE | {"SIDESYNC_KEY_VAULT_URL": "http://127.0.0.1:8443"}

    with pytest.raises(MissingSetting, match="SIDESYNC_KEY_VAULT_URL"):
        read_settings(plain)
    assert read_settings(plain | {"SIDESYNC_ALLOW_LOCAL_SERVERS": "true"}).key_vault_url == "http://127.0.0.1:8443"


def test_the_header_of_the_platform_is_believed_only_where_that_is_said() -> None:
    assert not read_settings(COMPLETE).platform_authentication
    assert read_settings(COMPLETE | {"SIDESYNC_PLATFORM_AUTHENTICATION": "true"}).platform_authentication


@pytest.mark.parametrize("url", ["http://sidesync.example", "sidesync.example", "https://sidesync.example/api", "https"])
def test_owners_of_mailboxes_come_back_over_tls_only(url: str) -> None:
    with pytest.raises(MissingSetting, match="SIDESYNC_PUBLIC_URL"):
        read_settings(COMPLETE | {"SIDESYNC_PUBLIC_URL": url})


def test_without_a_public_address_the_one_of_the_request_counts() -> None:
    assert read_settings(COMPLETE).public_url is None
    assert read_settings(COMPLETE | {"SIDESYNC_PUBLIC_URL": ""}).public_url is None
    there = read_settings(COMPLETE | {"SIDESYNC_PUBLIC_URL": "https://sidesync.example/"}).public_url
    assert there == "https://sidesync.example"
