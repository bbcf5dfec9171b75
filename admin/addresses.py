"""Finds a mailbox by its id or by its email address."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from admin.connection import Api
from admin.failures import Gone

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


class MailboxFinder:
    """Reads the list of mailboxes once, and only where somebody names an address."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def id_of(self, name: str) -> str:
        """Raises Gone where no mailbox has the address."""
        wanted = name.strip().casefold()
        if _ID.match(wanted):
            return wanted
        found = self._ids_by_address.get(wanted)
        if found is None:
            raise Gone(f"there is no mailbox {name}", "Name a mailbox by its id or its email address; `mailboxes` lists them.")
        return found

    @cached_property
    def _ids_by_address(self) -> dict[str, str]:
        return {each["address"].casefold(): each["id"] for each in self._api.entries("/api/mailboxes")}


def each_id(api: Api, names: Sequence[str]) -> Iterator[tuple[str, str | Gone]]:
    """The id of each, or why it has none."""
    finder = MailboxFinder(api)
    for name in names:
        try:
            yield name, finder.id_of(name)
        except Gone as failure:
            yield name, failure
