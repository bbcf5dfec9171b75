"""Profiles: one partition; breakers stand in rows of their own, so that opening one never changes a record's ETag."""

from collections.abc import Iterator, Mapping

from shared.domain.choices import Workload
from shared.domain.configuration import Breaker, EmailServerProfile, StoredProfile
from shared.domain.errors import AlreadyExists, Changed, UnreadableRow
from shared.domain.ids import ProfileId
from shared.stores.entities import END_OF_BREAKERS, PROFILES, breaker_row
from shared.stores.limits import checked_id
from shared.stores.tables.gateway import Entity, Query, RowMissing, Verb, operation, rows_of
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of


class TableProfiles:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, profile_id: ProfileId) -> StoredProfile | None:
        rows = self._rows(rows_of(PROFILES, profile_id, f"{profile_id}:~"))
        return _stored(profile_id, rows) if profile_id in rows else None

    def list(self) -> Iterator[StoredProfile]:
        rows, unreadable = self._rows(rows_of(PROFILES)), dict[ProfileId, UnreadableRow]()
        for profile_id in (ProfileId(row) for row in rows if not row.endswith(END_OF_BREAKERS)):
            try:
                yield _stored(profile_id, rows)
            except UnreadableRow as error:
                unreadable[profile_id] = error
        if unreadable:
            raise UnreadableRow(str(next(iter(unreadable.values()))), tuple(unreadable))

    def create(self, profile: EmailServerProfile) -> StoredProfile:
        insert = operation(Verb.INSERT, PROFILES, checked_id(profile.id), columns_of(profile))
        try:
            etag = self._table.write(insert)
        except AlreadyExists as error:
            raise AlreadyExists(f"profile {profile.id}") from error
        return self._with_breakers(profile, etag)

    def replace(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        replacement = operation(Verb.REPLACE, PROFILES, checked_id(profile.id), columns_of(profile), etag)
        try:
            fresh = self._table.write(replacement)
        except Changed as error:
            raise Changed(f"profile {profile.id} was changed since it was read") from error
        return self._with_breakers(profile, fresh)

    def delete(self, profile_id: ProfileId, etag: str) -> None:
        if not until_unchanged(lambda: self._deleted(profile_id, etag)):
            raise Changed(f"profile {profile_id} was changed since it was read")

    def set_breaker(
        self, profile_id: ProfileId, workload: Workload, breaker: Breaker | None, *, replacing: Breaker | None
    ) -> bool:
        """A write whose reply was lost and that is repeated counts as another's: who is not sure does not try."""
        row = breaker_row(checked_id(profile_id), workload)
        found = self._table.get(PROFILES, row)
        if (None if found is None else record_of(Breaker, found)) != replacing:
            return False
        try:
            if found is None:
                if breaker is not None:
                    self._table.write(operation(Verb.INSERT, PROFILES, row, columns_of(breaker)))
            elif breaker is not None:
                self._table.write(operation(Verb.REPLACE, PROFILES, row, columns_of(breaker), found.etag))
            else:
                self._table.write(operation(Verb.DELETE, PROFILES, row, etag=found.etag))
        except (AlreadyExists, Changed, RowMissing):
            return False
        return True

    def _deleted(self, profile_id: ProfileId, etag: str) -> bool:
        """Record and breakers in one transaction; False if the record differs. Raises Changed when others come in between."""
        found = self.get(profile_id)
        if found is None or found.etag != etag:
            return found is None
        rows = [breaker_row(profile_id, workload) for workload in found.breakers]
        deletions = [operation(Verb.DELETE, PROFILES, row) for row in rows]
        self._table.transact([operation(Verb.DELETE, PROFILES, profile_id, etag=etag), *deletions])
        return True

    def _with_breakers(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        rows = self._rows(rows_of(PROFILES, f"{profile.id}:", f"{profile.id}:~"))
        return StoredProfile(profile, etag, _breakers(profile.id, rows))

    def _rows(self, query: Query) -> Mapping[str, Entity]:
        return {found.row: found for found in self._table.rows(query)}


def _stored(profile_id: ProfileId, rows: Mapping[str, Entity]) -> StoredProfile:
    found = rows[profile_id]
    return StoredProfile(record_of(EmailServerProfile, found), found.etag, _breakers(profile_id, rows))


def _breakers(profile_id: ProfileId, rows: Mapping[str, Entity]) -> Mapping[Workload, Breaker]:
    keys = ((workload, breaker_row(profile_id, workload)) for workload in Workload)
    return {workload: record_of(Breaker, rows[key]) for workload, key in keys if key in rows}
