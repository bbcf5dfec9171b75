"""Rows of the tables as another version of Sidesync writes them, and what is told of those that cannot be read."""

from datetime import timedelta

from shared.domain.choices import Workload
from shared.domain.operations import Alert
from shared.stores.tables.gateway import Entity, Gateway, Verb, operation
from tests.builders import MONDAY

LATER = MONDAY + timedelta(days=7)

type Key = tuple[str, str, str]
"""Table, partition and row."""


class Tables:
    """The tables, as another version of Sidesync sees them."""

    def __init__(self, gateway: Gateway, prefix: str) -> None:
        self._gateway = gateway
        self._prefix = prefix

    def later_version_writes(self, *key: str) -> Entity:
        return self._write(key, 2)

    def update(self, *key: str) -> None:
        """This version is now the later one."""
        self._write(key, 1)

    def row(self, *key: str) -> Entity:
        table, partition, row = key
        found = self._gateway.get(self._prefix + table, partition, row)
        assert found is not None, key
        return found

    def _write(self, key: tuple[str, ...], version: int) -> Entity:
        table, partition, row = key
        assert self.row(*key)
        self._gateway.write(self._prefix + table, operation(Verb.MERGE, partition, row, {"v": version}))
        return self.row(*key)


def told(alerts: list[Alert], workload: Workload) -> Alert:
    [alert] = [each for each in alerts if each.code == "unreadable_row"]
    assert alert.parameters == ({} if workload is Workload.INCOMING else {"workload": workload.value})
    assert "Update Sidesync" in alert.remedy
    return alert
