"""The organisation's settings: one row."""

from shared.domain.errors import AlreadyExists, Changed
from shared.domain.organisation import OrganisationSettings, StoredSettings
from shared.stores.entities import ORGANISATION
from shared.stores.tables.gateway import Verb, operation
from shared.stores.tables.table import Table, columns_of, record_of


class TableOrganisation:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self) -> StoredSettings:
        found = self._table.get(*ORGANISATION)
        if found is None:
            return StoredSettings(OrganisationSettings(), None)
        return StoredSettings(record_of(OrganisationSettings, found), found.etag)

    def put(self, settings: OrganisationSettings, etag: str | None) -> StoredSettings:
        verb = Verb.INSERT if etag is None else Verb.REPLACE
        try:
            fresh = self._table.write(operation(verb, *ORGANISATION, columns_of(settings), etag))
        except (AlreadyExists, Changed) as error:
            raise Changed("the settings were changed since they were read") from error
        return StoredSettings(settings, fresh)
