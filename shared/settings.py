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
    """Key of the local secrets store: 32 bytes in URL-safe base64."""
    allow_local_servers: bool = False
    """Mail servers on loopback or private addresses and without TLS are allowed: for one machine only."""
    run_budget: timedelta = timedelta(minutes=4)
    """After this a run commits, queues its continuation and ends."""
    page_budget: int = 20
    """Pages of a run at most."""


def read_settings(environment: Mapping[str, str] = environ) -> Settings:
    """Raises MissingSetting, naming the setting and what to write there."""
    return Settings(
        storage=_storage(environment),
        secrets_key=_required(environment, "SIDESYNC_SECRETS_KEY", "32 random bytes in URL-safe base64; `make run` writes one"),
        allow_local_servers=_flag(environment, "SIDESYNC_ALLOW_LOCAL_SERVERS"),
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
