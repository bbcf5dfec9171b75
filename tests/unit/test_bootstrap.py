"""The composition root: what a setting names is what is used. Nothing connects."""

from shared.bootstrap import build
from shared.settings import read_settings
from shared.stores.key_vault import KeyVaultSecrets
from shared.stores.secrets import LocalSecrets

STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


def test_a_key_vault_that_is_named_keeps_the_secrets() -> None:
    settings = read_settings({**STORAGE, "SIDESYNC_KEY_VAULT_URL": "https://contoso.vault.azure.net"})

    assert isinstance(build(settings).stores.secrets, KeyVaultSecrets)


def test_without_one_they_are_kept_encrypted_in_storage() -> None:
    settings = read_settings({**STORAGE, "SIDESYNC_SECRETS_KEY": "A" * 43 + "="})

    assert isinstance(build(settings).stores.secrets, LocalSecrets)
