"""The settings of a deployment: the only reader of the environment.

`local.settings.sample.json` lists every setting with its meaning; `tests/unit/test_settings.py` keeps the two in step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from os import environ

from shared.domain.errors import SyncError


class MissingSetting(SyncError):
    """A setting is absent or malformed; the message names it and says what to write."""

    code = "missing_setting"


@dataclass(frozen=True, slots=True)
class StorageAccount:
    """Where tables, queues and blobs are: a connection string, or an account reached as a managed identity."""

    connection_string: str | None = field(default=None, repr=False)
    account_name: str | None = None
    client_id: str | None = None
    """Of a user-assigned identity; None is the system-assigned one."""


@dataclass(frozen=True, slots=True)
class Settings:
    storage: StorageAccount
    secrets_key: str = field(repr=False)
    """Key of the local secrets store: 32 bytes in URL-safe base64; empty where Key Vault keeps them."""
    key_vault_url: str | None = None
    """Where the secrets of mail servers are kept; None is the local encrypted store."""
    platform_authentication: bool = False
    """The platform in front of the function app signs callers in, and its header is to be believed."""
    public_url: str | None = None
    """Address of the function app as browsers reach it, without a path; None is the one that a request was sent to."""
    allow_local_servers: bool = False
    """Mail servers on loopback or private addresses and without TLS are allowed: for one machine only."""
    run_budget: timedelta = timedelta(minutes=4)
    """After this a run commits, queues its continuation and ends."""
    page_budget: int = 20
    """Pages of a run at most."""


def read_settings(environment: Mapping[str, str] = environ) -> Settings:
    """Raises MissingSetting, naming the setting and what to write there."""
    allow_local_servers = _flag(environment, "SIDESYNC_ALLOW_LOCAL_SERVERS")
    key_vault_url = _key_vault(environment, allow_local_servers=allow_local_servers)
    return Settings(
        storage=_storage(environment),
        secrets_key=_secrets_key(environment) if key_vault_url is None else "",
        key_vault_url=key_vault_url,
        platform_authentication=_flag(environment, "SIDESYNC_PLATFORM_AUTHENTICATION"),
        public_url=_public_url(environment),
        allow_local_servers=allow_local_servers,
        run_budget=timedelta(seconds=_number(environment, "SIDESYNC_RUN_SECONDS", 240, 10, 1500)),
        page_budget=_number(environment, "SIDESYNC_RUN_PAGES", 20, 1, 1000),
    )


def _storage(environment: Mapping[str, str]) -> StorageAccount:
    if connection_string := environment.get("AzureWebJobsStorage"):
        return StorageAccount(connection_string=connection_string)
    if account_name := environment.get("AzureWebJobsStorage__accountName"):
        return StorageAccount(account_name=account_name, client_id=environment.get("AzureWebJobsStorage__clientId"))
    raise MissingSetting(
        "The setting AzureWebJobsStorage is missing: write the connection string of the storage account there"
        " (UseDevelopmentStorage=true for Azurite), or set AzureWebJobsStorage__accountName for a managed identity."
    )


def _secrets_key(environment: Mapping[str, str]) -> str:
    return _required(environment, "SIDESYNC_SECRETS_KEY", "32 random bytes in URL-safe base64; `make run` writes one")


def _key_vault(environment: Mapping[str, str], *, allow_local_servers: bool) -> str | None:
    url = environment.get("SIDESYNC_KEY_VAULT_URL")
    if not url:
        return None
    if not url.startswith("https://") and not (allow_local_servers and url.startswith("http://")):
        raise MissingSetting(
            "The setting SIDESYNC_KEY_VAULT_URL is no https:// URL: write the vault's own, such as https://contoso.vault.azure.net."
        )
    return url


def _public_url(environment: Mapping[str, str]) -> str | None:
    url = environment.get("SIDESYNC_PUBLIC_URL", "").rstrip("/")
    if not url:
        return None
    if not url.startswith("https://") or len(url.split("/")) != 3:
        raise MissingSetting(
            "The setting SIDESYNC_PUBLIC_URL is no https:// address without a path: write the one that browsers use, such as"
            " https://contoso-sidesync.azurewebsites.net."
        )
    return url


def _required(environment: Mapping[str, str], name: str, what: str) -> str:
    if value := environment.get(name):
        return value
    raise MissingSetting(f"The setting {name} is missing: write {what}.")


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "false").lower()
    if value not in ("true", "false"):
        raise MissingSetting(f"The setting {name} is {value!r}: write true or false.")
    return value == "true"


def _number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = environment.get(name, str(default))
    if not value.isdecimal() or not low <= int(value) <= high:
        raise MissingSetting(f"The setting {name} is {value!r}: write a whole number from {low} to {high}.")
    return int(value)
