"""What a worker remembers of secrets: a version that it read."""

import pytest

from shared.connectors.stored_secrets import MOST_REMEMBERED, RememberedSecrets
from shared.domain.configuration import SecretRef


class Vault:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.values: dict[SecretRef, str] = {}
        self.asked: list[SecretRef] = []

    def get(self, ref: SecretRef) -> str:
        self.asked.append(ref)
        return self.values[ref]

    def set(self, name: str, value: str) -> SecretRef:
        ref = SecretRef(name, str(len(self.values) + 1))
        self.values[ref] = value
        return ref

    def set_on(self, ref: SecretRef) -> None:
        del ref


def test_a_version_is_read_once_and_another_one_anew() -> None:
    vault = Vault()
    secrets = RememberedSecrets(vault)
    first, second = vault.set("anna", "one"), vault.set("anna", "two")
    assert [secrets.get(first), secrets.get(first), secrets.get(second)] == ["one", "one", "two"]
    assert vault.asked == [first, second]


def test_what_is_not_there_is_asked_for_again() -> None:
    vault = Vault()
    secrets = RememberedSecrets(vault)
    missing = SecretRef("anna", "1")
    with pytest.raises(KeyError):
        secrets.get(missing)
    vault.values[missing] = "one"
    assert secrets.get(missing) == "one"


def test_what_was_asked_for_longest_ago_is_forgotten() -> None:
    vault = Vault()
    secrets = RememberedSecrets(vault)
    refs = [vault.set(f"mailbox-{number}", "secret") for number in range(MOST_REMEMBERED)]
    for ref in (*refs, refs[0], vault.set("one-more", "secret")):
        secrets.get(ref)
    vault.asked.clear()
    secrets.get(refs[0])
    secrets.get(refs[1])
    assert vault.asked == [refs[1]]
