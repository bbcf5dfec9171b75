"""How clients name records, users and queues."""

from typing import Annotated

from pydantic import ConfigDict, Field

from functions.api.derived import Given
from functions.api.schemas import examples
from shared.administration.address_book import TYPE_PATTERN
from shared.administration.rules import ID_PATTERN
from shared.domain.choices import OwnerKind
from shared.domain.configuration import OwnerRef
from shared.domain.ids import OwnerId
from shared.domain.records import RecordRef

ChosenId = Annotated[str, Field(description="Chosen by whoever created it.", pattern=ID_PATTERN, max_length=64)]


class RegardingGiven(Given):
    """The record that an email is about: of the address book, or any other."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.REGARDING})

    type: str = Field(description="Type of the record: contact, account, lead, or any other.", pattern=TYPE_PATTERN)
    id: ChosenId

    def record(self) -> RecordRef:
        return RecordRef(self.type, self.id)


class OwnerRefGiven(Given):
    """The user or queue that an email belongs to."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.OWNER_REF})

    kind: OwnerKind
    id: ChosenId

    def owner(self) -> OwnerRef:
        return OwnerRef(self.kind, OwnerId(self.id))
