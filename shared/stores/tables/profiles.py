"""Profiles: one partition; the breaker stands in a row of its own, so that opening it never changes a record's ETag."""

from collections.abc import Iterable, Sequence

from shared.domain.configuration import Breaker, EmailServerProfile, StoredProfile
from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import ProfileId
from shared.stores.entities import PROFILES, breaker_row
from shared.stores.limits import checked_id
from shared.stores.tables.gateway import Entity, RowMissing, Verb, operation, rows_of
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of


class TableProfiles:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, profile_id: ProfileId) -> StoredProfile | None:
        rows = self._table.rows(rows_of(PROFILES, profile_id, breaker_row(profile_id) + "~"))
        return next((found for found in _profiles(rows) if found.record.id == profile_id), None)

    def list(self) -> Sequence[StoredProfile]:
        return _profiles(self._table.rows(rows_of(PROFILES)))

    def create(self, profile: EmailServerProfile) -> StoredProfile:
        insert = operation(Verb.INSERT, PROFILES, checked_id(profile.id), columns_of(profile))
        try:
            etag = self._table.write(insert)
        except AlreadyExists as error:
            raise AlreadyExists(f"profile {profile.id}") from error
        return self._with_breaker(profile, etag)

    def replace(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        replacement = operation(Verb.REPLACE, PROFILES, checked_id(profile.id), columns_of(profile), etag)
        try:
            fresh = self._table.write(replacement)
        except Changed as error:
            raise Changed(f"profile {profile.id} was changed since it was read") from error
        return self._with_breaker(profile, fresh)

    def delete(self, profile_id: ProfileId, etag: str) -> None:
        if not until_unchanged(lambda: self._deleted(profile_id, etag)):
            raise Changed(f"profile {profile_id} was changed since it was read")

    def set_breaker(self, profile_id: ProfileId, breaker: Breaker | None, *, replacing: Breaker | None) -> bool:
        """A write whose reply was lost and that is repeated counts as another's: who is not sure does not try."""
        row = breaker_row(checked_id(profile_id))
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
        """Record and breaker in one transaction; False if the record differs. Raises Changed when others come in between."""
        found = self.get(profile_id)
        if found is None or found.etag != etag:
            return found is None
        deletions = [operation(Verb.DELETE, PROFILES, profile_id, etag=etag)]
        if found.breaker is not None:
            deletions.append(operation(Verb.DELETE, PROFILES, breaker_row(profile_id)))
        self._table.transact(deletions)
        return True

    def _with_breaker(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        found = self._table.get(PROFILES, breaker_row(profile.id))
        return StoredProfile(profile, etag, None if found is None else record_of(Breaker, found))


def _profiles(rows: Iterable[Entity]) -> list[StoredProfile]:
    by_key = {found.row: found for found in rows}
    return [
        StoredProfile(
            record_of(EmailServerProfile, found),
            found.etag,
            record_of(Breaker, breaker) if (breaker := by_key.get(breaker_row(ProfileId(key)))) else None,
        )
        for key, found in by_key.items()
        if not key.endswith(":breaker")
    ]
