"""What the API accepts and shows of the address book and its bulk loads."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from functions.api.derived import Given, Shown, accepts, shows
from shared.domain.configuration import AddressMatch
from shared.domain.records import AddressBookRecord, BulkLoad, RejectedLine

_EXAMPLE: dict[str, JsonValue] = {
    "name": "Kim Abercrombie",
    "addresses": ["kim@fabrikam.com", "k.abercrombie@example.com"],
    "owner_id": "anna",
}


@accepts(AddressBookRecord, without=("type", "id"))
class RecordGiven(Given):
    """A record of the address book; its type and id stand in the path."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


@accepts(AddressBookRecord, without=("type", "id"), partial=True)
class RecordPatch(Given):
    """JSON merge patch of a record: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"addresses": ["kim@fabrikam.com"], "owner_id": None}]})


@shows(AddressBookRecord)
class RecordShown(Shown):
    """A contact, account, lead or other record with email addresses."""


@shows(AddressMatch)
class AddressMatchShown(Shown):
    """A record that has the address."""


class AddressShown(BaseModel):
    """Which records have an address now."""

    address: str = Field(description="In lower case, as addresses are compared.")
    records: Sequence[AddressMatchShown] = ()


@shows(BulkLoad, without=("held_until", "attempts"))
class LoadShown(Shown):
    """A bulk load: how far it is, and how it ended."""

    url: str = Field(default="", description="Where its progress shows.")
    rejected_url: str = Field(default="", description="Where its rejected lines show.")

    @classmethod
    def of(cls, load: BulkLoad) -> "LoadShown":
        url = f"/api/loads/{load.id}"
        return cls.model_validate(load).model_copy(update={"url": url, "rejected_url": f"{url}/rejected"})


@shows(RejectedLine)
class RejectedLineShown(Shown):
    """A line that was left out, and why."""
