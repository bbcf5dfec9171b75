"""Finds a mailbox by its id or by its email address."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from admin.connection import Api, Fields, path_part
from admin.failures import Gone, Refused


class MailboxFinder:
    """Reads the list of mailboxes once, and only where somebody names an address."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def path_of(self, name: str) -> str:
        """Path of the mailbox. Raises Gone where no mailbox has the address, Refused where several have it."""
        return f"/api/mailboxes/{path_part(self.id_of(name))}"

    def id_of(self, name: str) -> str:
        """Whatever is no address is an id. Raises as `path_of`."""
        wanted = name.strip()
        if "@" not in wanted:
            return wanted
        found = self._by_address.get(wanted.casefold(), ())
        if not found:
            raise Gone(f"there is no mailbox {name}", "Name a mailbox by its id or its email address; `mailboxes` lists them.")
        chosen = [each for each in found if each["active"]] if len(found) > 1 else found
        if len(chosen) != 1:
            ids = ", ".join(str(each["id"]) for each in found)
            raise Refused(f"{name} is the address of several mailboxes: {ids}", "Name the one that is meant by its id.")
        return str(chosen[0]["id"])

    @cached_property
    def _by_address(self) -> Mapping[str, Sequence[Fields]]:
        """A mailbox stays when its owner goes, and somebody else may have its address by then."""
        found: dict[str, list[Fields]] = {}
        for each in self._api.entries("/api/mailboxes"):
            found.setdefault(each["address"].casefold(), []).append(each)
        return found
