"""Secrets in Key Vault: the contract of secrets over a vault on TLS, names, errors, and what is kept for how long."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.keyvault.secrets import SecretClient

from shared.domain.configuration import SecretRef
from shared.domain.errors import Busy, InvalidRecord, SyncError, Throttled, Unreachable
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores
from shared.stores.key_vault import KEPT, KeyVaultSecrets, VaultRefused, vault_name
from tests.contracts.key_vault import Identity, KeyVault, Refusal


class Scene:
    """A vault, an identity, and a clock that tests turn."""

    def __init__(self, vault: KeyVault) -> None:
        self.vault = vault
        self.identity = Identity()
        self.now = 1_000.0
        self._clients: list[SecretClient] = []

    def open(self, identity: Identity | None = None, url: str | None = None) -> KeyVaultSecrets:
        def client() -> SecretClient:
            found = SecretClient(
                url or self.vault.url,
                identity or self.identity,
                verify_challenge_resource=False,  # the vault of a test is not in the domain of Azure's
                connection_verify=str(self.vault.certificate),
                retry_total=0,
            )
            self._clients.append(found)
            return found

        return KeyVaultSecrets(self.vault.url, open_client=client, seconds=lambda: self.now)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with KeyVault(tmp_path) as vault:
        found = Scene(vault)
        yield found
        found.close()


@pytest.fixture
def secrets(scene: Scene) -> KeyVaultSecrets:
    return scene.open()


# ---- the contract of secrets


def test_every_version_of_a_secret_can_be_read(scene: Scene, secrets: KeyVaultSecrets) -> None:
    first = secrets.set("profile/ü#1", "pässword")
    second = secrets.set("profile/ü#1", "another")
    assert first.version != second.version
    assert (secrets.get(first), secrets.get(second)) == ("pässword", "another")
    assert (scene.open().get(first), scene.open().get(second)) == ("pässword", "another")


def test_a_version_knows_when_it_was_set(secrets: KeyVaultSecrets) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    ref = secrets.set("name", "value")
    found = secrets.set_on(ref)
    assert found is not None
    assert before <= found <= datetime.now(UTC)
    assert secrets.set_on(replace(ref, version="0" * 32)) is None


def test_what_was_never_set_cannot_be_read(secrets: KeyVaultSecrets) -> None:
    known = secrets.set("name", "value")
    for unknown in (
        SecretRef("other", known.version),
        replace(known, version="0" * 32),
        SecretRef("a/b", ""),
        replace(known, version="../x"),
    ):
        with pytest.raises(KeyError):
            secrets.get(unknown)


def test_a_secret_that_does_not_fit_is_refused_without_being_told(secrets: KeyVaultSecrets) -> None:
    with pytest.raises(InvalidRecord) as caught:
        secrets.set("name", "hush" * 10_000)
    assert "hush" not in str(caught.value)


# ---- the vault


def test_the_token_is_for_what_the_challenge_names(scene: Scene, secrets: KeyVaultSecrets) -> None:
    secrets.set("name", "value")
    assert set(scene.identity.scopes) == {"https://vault.azure.net/.default"}


@pytest.mark.parametrize("name", ["profile/1/secret", "Profile", "profile", "a" * 300, "日本", "", "a--b", "-"])
def test_any_name_has_its_own_in_the_vault(scene: Scene, secrets: KeyVaultSecrets, name: str) -> None:
    ref = secrets.set(name, "value")
    assert ref.name == name
    assert secrets.get(ref) == "value"
    assert list(scene.vault.secrets) == [vault_name(name)]


def test_names_that_differ_in_case_or_signs_only_are_apart() -> None:
    names = ["mailbox-1", "Mailbox-1", "mailbox/1", "mailbox:1", "mailbox 1"]
    assert len({vault_name(name) for name in names}) == len(names)


def test_a_version_is_asked_for_once_in_a_while(scene: Scene, secrets: KeyVaultSecrets) -> None:
    ref = secrets.set("name", "value")
    asked = len(scene.vault.requests)
    assert [secrets.get(ref) for _ in range(3)] == ["value"] * 3
    assert secrets.set_on(ref) is not None
    assert len(scene.vault.requests) == asked + 1
    scene.now += KEPT.total_seconds()
    assert secrets.get(ref) == "value"
    assert len(scene.vault.requests) == asked + 2


def test_a_rotated_secret_is_read_at_once(secrets: KeyVaultSecrets) -> None:
    old = secrets.set("name", "old")
    assert secrets.get(old) == "old"
    assert secrets.get(secrets.set("name", "new")) == "new"


def test_a_version_that_is_disabled_in_the_vault_works_no_longer_than_it_is_kept(
    scene: Scene, secrets: KeyVaultSecrets
) -> None:
    ref = secrets.set("name", "value")
    assert secrets.get(ref) == "value"
    scene.vault.secrets["name"][ref.version].enabled = False
    scene.now += KEPT.total_seconds() + 1
    with pytest.raises(VaultRefused, match="403 SecretDisabled"):
        secrets.get(ref)


def test_a_version_that_is_gone_from_the_vault_is_not_kept(scene: Scene, secrets: KeyVaultSecrets) -> None:
    ref = secrets.set("name", "value")
    assert secrets.get(ref) == "value"
    scene.vault.secrets.clear()
    scene.now += KEPT.total_seconds() + 1
    with pytest.raises(KeyError):
        secrets.get(ref)


# ---- errors


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal(403, "Forbidden", "ForbiddenByRbac"), VaultRefused),
        (Refusal(403, "Forbidden", "ForbiddenByFirewall"), VaultRefused),
        (Refusal(400, "BadParameter"), InvalidRecord),
        (Refusal(500, "InternalServerError"), Busy),
        (Refusal(503, "ServiceUnavailable"), Busy),
    ],
    ids=lambda each: each.inner or each.code if isinstance(each, Refusal) else each.__name__,
)
def test_what_the_vault_refuses_is_told_by_its_code_and_never_by_the_secret(
    scene: Scene, secrets: KeyVaultSecrets, refusal: Refusal, error: type[SyncError]
) -> None:
    scene.vault.refusals.append(refusal)
    with pytest.raises(error) as caught:
        secrets.set("name", "hush")
    assert refusal.inner or refusal.code in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "words of the vault" not in str(caught.value)


def test_a_vault_that_is_asked_too_much_says_when_to_come_back(scene: Scene, secrets: KeyVaultSecrets) -> None:
    scene.vault.refusals.append(Refusal(429, "Throttled", headers={"Retry-After": "7"}))
    with pytest.raises(Throttled) as caught:
        secrets.get(SecretRef("name", "0" * 32))
    assert caught.value.retry_after == timedelta(seconds=7)


def test_a_secret_that_was_deleted_in_the_vault_says_to_recover_it(scene: Scene, secrets: KeyVaultSecrets) -> None:
    scene.vault.deleted.add("name")
    with pytest.raises(VaultRefused, match="ObjectIsDeletedButRecoverable") as caught:
        secrets.set("name", "value")
    assert "recovered" in caught.value.remedy


def test_an_identity_that_the_vault_does_not_know_is_refused(scene: Scene) -> None:
    with pytest.raises(VaultRefused):
        scene.open(Identity("another token")).set("name", "value")
    assert scene.vault.requests == []


def test_a_vault_that_does_not_answer_is_unreachable(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with KeyVault(tmp_path / "other") as other:
        gone = other.url
    with pytest.raises(Unreachable):
        scene.open(url=gone).get(SecretRef("name", "0" * 32))


@pytest.mark.parametrize("url", ["", "vault", "http://sidesync.vault.azure.net", "https://", "https://[", "https://a:b@c"])
def test_a_url_without_tls_is_refused_and_names_the_setting(url: str) -> None:
    with pytest.raises(VaultRefused, match="SIDESYNC_KEY_VAULT_URL"):
        KeyVaultSecrets(url)


def test_stores_with_a_vault_need_no_key_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the vault, before somebody wants a secret."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("the vault is looked for"))
    stores = azure_stores(
        StorageConnection("UseDevelopmentStorage=true"), secrets_key="", key_vault_url="https://sidesync.vault.azure.net"
    )
    assert isinstance(stores.secrets, KeyVaultSecrets)
