"""Azurite as the local set-up starts it."""

import os
from pathlib import Path

import pytest

from local.azurite import Azurite, AzuriteMissing
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores
from tests.contracts.conftest import SECRETS_KEY


def test_a_missing_azurite_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIDESYNC_AZURITE", str(tmp_path / "azurite.js"))
    with pytest.raises(AzuriteMissing, match="make setup"):
        Azurite().start()


def test_one_that_fails_to_start_is_told_with_what_it_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "azurite.js"
    broken.write_text("console.log('no such luck'); process.exit(3)")
    monkeypatch.setenv("SIDESYNC_AZURITE", str(broken))
    with pytest.raises(AzuriteMissing, match="no such luck"):
        Azurite().start()


def test_what_is_stored_in_a_folder_outlives_the_process(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        with Azurite(tmp_path / "data") as azurite:
            stores = azure_stores(StorageConnection(azurite.connection_string), secrets_key=SECRETS_KEY)
            stores.blobs.put("name", content)
            assert b"".join(stores.blobs.read("name")) == b"first"
            pid = azurite.pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
